"""What every shell has to hold to. One class; each shell inherits it."""

from __future__ import annotations

from .test_bodies import Bodies
from .test_client_settings import Settings
from .test_concurrency import Crowds
from .test_failures import Failures
from .test_headers import Cookies, Heads
from .test_paying import Outcomes, Paying, Quotes
from .test_pools import Pools
from .test_redirects import Redirects
from .test_repeats import Repeats
from .test_streams import Streams
from .test_transport_settings import Wires


class Compliance(
    Paying,
    Outcomes,
    Quotes,
    Bodies,
    Heads,
    Cookies,
    Streams,
    Failures,
    Pools,
    Redirects,
    Repeats,
    Settings,
    Crowds,
    Wires,
):
    """All of it."""
