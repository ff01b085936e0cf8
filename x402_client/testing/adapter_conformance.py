"""The contract of an adapter for an HTTP client, as tests. Subclass ``AdapterConformance`` and run it with pytest.

    class TestMine(AdapterConformance):
        own_errors = (mylib.Error,)

        def client(self, buyer, connections=None):
            client = mylib.Client(pool_size=connections)
            return wrap(client, buyer) if buyer else client

        def fetch(self, client, method, url, *, body=None, headers=(), read_timeout=None):
            response = client.request(method, url, body=body, headers=headers, timeout=read_timeout)
            return Answer(response.status, [*response.headers.items()], response.read(), response)

        def open(self, client, method, url): ...
        def quote(self, client, method, url): ...

An async library gives ``async def``s and sets ``backend = "asyncio"``. What a library cannot do is a flag that is
False: ``streams``, ``follows_redirects``, ``one_shot_bodies``, ``files``, ``keeps_cookies``, ``pools``, ``quotes``,
``pays_ahead``, ``joins_errors``, ``sees_loopback``. What concerns money has no flag.

Every test has a ``Sandbox`` of its own on a real socket: invented money, real checks of every signature.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("x402_client.testing.adapter")

from .adapter.ahead import PayingAhead  # noqa: E402 - after the line above, so that asserts explain themselves
from .adapter.allowances import Allowances  # noqa: E402
from .adapter.bodies import Bodies  # noqa: E402
from .adapter.crowds import Cancelling, Crowds  # noqa: E402
from .adapter.failures import Failures  # noqa: E402
from .adapter.ground import Answer, Stream  # noqa: E402
from .adapter.paying import Paying, Untouched  # noqa: E402
from .adapter.redirects import Led, Redirects  # noqa: E402
from .adapter.scopes import Quotes, Scopes  # noqa: E402
from .adapter.secrecy import Secrecy  # noqa: E402
from .adapter.streams import Streams  # noqa: E402

__all__ = ["AdapterConformance", "Answer", "Stream"]


class AdapterConformance(
    Paying,
    Untouched,
    Scopes,
    Allowances,
    Quotes,
    Bodies,
    Failures,
    Streams,
    Redirects,
    Led,
    Secrecy,
    Crowds,
    Cancelling,
    PayingAhead,
):
    """The contract of an adapter. Give ``client`` and ``fetch``, and what the flags call for."""
