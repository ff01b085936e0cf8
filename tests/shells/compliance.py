"""What every shell has to hold to. One class; each shell inherits it."""

from __future__ import annotations

from .bodies import Bodies
from .crowds import Crowds
from .failures import Failures
from .heads import Cookies, Heads
from .paying import Outcomes, Paying, Quotes
from .pools import Pools
from .redirects import Redirects
from .repeats import Repeats
from .settings import Settings
from .streams import Streams
from .wires import Wires


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
