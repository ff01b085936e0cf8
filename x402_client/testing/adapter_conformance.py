"""Contract of an adapter for an HTTP client, as tests. Subclass ``AdapterConformance`` and run it with pytest.

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

For an async library, write these methods as ``async def`` and set ``backend = "asyncio"``. If a library cannot do
something, set the flag to False: ``streams``, ``follows_redirects``, ``one_shot_bodies``, ``files``, ``keeps_cookies``,
``pools``, ``quotes``, ``pays_ahead``, ``joins_errors``, ``sees_loopback``. Tests of money have no flag.

Every test has a ``Sandbox`` of its own on a real socket: invented money, real checks of every signature.
"""

from __future__ import annotations

from .adapter.ahead import PayingAhead
from .adapter.allowances import Allowances
from .adapter.base import Answer, Stream
from .adapter.bodies import Bodies
from .adapter.crowds import Cancelling, Crowds
from .adapter.failures import Failures
from .adapter.paying import Paying, Untouched
from .adapter.redirects import Redirects, RedirectsBeforePaying
from .adapter.scopes import Quotes, Scopes
from .adapter.secrecy import Secrecy
from .adapter.sign_ins import SignIns
from .adapter.statements import Statements
from .adapter.streams import Streams

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
    RedirectsBeforePaying,
    Secrecy,
    SignIns,
    Statements,
    Crowds,
    Cancelling,
    PayingAhead,
):
    """Contract of an adapter. Write ``client`` and ``fetch``, and the methods that the flags need."""
