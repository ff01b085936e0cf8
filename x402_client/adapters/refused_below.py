"""Brings a refusal in an HTTP client up to the call of an MCP session that caused it.

The transports of mcp end with the first exception of their HTTP client, and every call of the session ends with them.
So the client gives its transport an answer, and the refusal is raised by the call alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, NamedTuple

from ..core.asks import Digest
from ..core.call import HttpRequest, without_session
from ..core.drive import Flow
from ..core.spelling import one_spelling
from ..errors import X402Error

#: The name in an error's data under which a session looks for the refusal that it stands for.
_KEY = "x402-client/refused"
_INTERNAL_ERROR = -32603


class RefusedCall(NamedTuple):
    """A tool call over HTTP that was refused: where it went, the digest of its body, and its ``id``."""

    origin: str
    target: str
    digest: bytes
    number: int | str


class CallAbove:
    """A call of a session, while its first answer is waited for."""

    def __init__(
        self, server: HttpRequest, digest: Callable[[], bytes | None], posts_to: Callable[[], str | None]
    ) -> None:
        from anyio import CancelScope

        #: What is cancelled where no answer can come. ``failure`` says why.
        self.scope: CancelScope = CancelScope()
        self.failure: Exception | None = None
        self._thread: int = get_ident()
        self._origin, self._digest = str(server.origin), digest
        #: The target of the session's endpoint, in its one spelling.
        self.endpoint: str = without_session(one_spelling(server.target))
        #: Returns the target that the session's transport posts to. None: it is not known.
        self.posts_to: Callable[[], str | None] = posts_to
        #: Returns the ``id`` of the request that is waited for. None: it is not known.
        self.number: Callable[[], int | str | None] = lambda: None
        self._refused: dict[str, Exception] = {}

    def is_of(self, origin: str, digest: bytes) -> bool:
        """Return True if a request is one that this call may have made."""
        return self._origin == origin and self._digest() == digest

    def is_here(self) -> bool:
        """Return True if this call is of this thread, and so of this event loop."""
        return self._thread == get_ident()

    def keep(self, place: str, failure: Exception) -> None:
        """Keep a refusal until the error that stands for it comes."""
        self._refused[place] = failure

    def refusal_in(self, data: Any) -> Exception | None:
        """Return the refusal that the data of an error stand for. None: it is a server's own error."""
        place = data.get(_KEY) if isinstance(data, dict) else None
        return self._refused.get(place) if isinstance(place, str) else None

    def end(self, failure: Exception) -> bool:
        """End this call with a refusal. Return False if it is of another thread, and so of another event loop."""
        if not self.is_here():
            return False
        self.failure = failure
        self.scope.cancel()
        return True


_above: list[CallAbove] = []


@contextmanager
def told_of_refusals(
    server: HttpRequest, digest: Callable[[], bytes | None], posts_to: Callable[[], str | None]
) -> Iterator[CallAbove]:
    """Let a session's call hear of a refusal. ``digest`` is that of its body, and is wanted after a 402 alone."""
    call = CallAbove(server, digest, posts_to)
    _above.append(call)
    try:
        yield call
    finally:
        _above.remove(call)


def any_above() -> bool:
    """Return True if some session's call waits for its first answer."""
    return bool(_above)


def calls_above(origin: str, digest: bytes) -> list[CallAbove]:
    """Return the calls of sessions in this event loop that a request may carry."""
    return [one for one in tuple(_above) if one.is_here() and one.is_of(origin, digest)]


def refused_call(request: HttpRequest) -> Flow[RefusedCall | None]:
    """Return the tool call that was refused, if a session may wait for its answer. Most programs have no session."""
    if not _above:
        return None
    try:
        body = yield from Digest()
    except Exception:  # the refusal stands, also where the body cannot be read
        return None
    if not body.tool or body.number is None:
        return None
    return RefusedCall(str(request.origin), request.target, body.digest, body.number)


def told_above(call: RefusedCall, failure: object, accepts: str) -> bytes | None:
    """Tell the session's call of a refusal. Return the body of an answer, or None if no session waits for it.

    Streamable HTTP answers each request on its own connection. Over the older transport no answer could come. There the
    call itself is ended. Of equal calls at once it is the one with the refused request's ``id``: the answers to the
    others are still to come.
    """
    found = [one for one in tuple(_above) if one.is_of(call.origin, call.digest)]
    if not found or not isinstance(failure, X402Error):
        return None
    if "text/event-stream" not in accepts:
        found = _told_apart(found, call)
        return b"" if len(found) == 1 and found[0].end(failure) else None
    from secrets import token_hex

    place = token_hex(8)
    for one in found:
        one.keep(place, failure)
    error = {"code": _INTERNAL_ERROR, "message": str(failure), "data": {_KEY: place}}
    return json.dumps({"jsonrpc": "2.0", "id": call.number, "error": error}).encode()


def _told_apart(equal: list[CallAbove], call: RefusedCall) -> list[CallAbove]:
    """Return those of equal calls that the refused request may be of, by its address and its ``id``."""
    if len(equal) > 1:
        equal = [one for one in equal if one.is_here() and one.posts_to() in (call.target, None)]
        equal = [one for one in equal if one.number() == call.number] or [one for one in equal if one.number() is None]
    return equal
