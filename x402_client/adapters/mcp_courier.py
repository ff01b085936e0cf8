"""A courier for tools of MCP servers: it calls the tool again with a payment in ``_meta``, and hands the result over.

A result is the answer to a request, so it has a status as HTTP would give it. An error result with terms is a 402. Any
other error after a payment is a 500: nothing says that it was the content. All else is a 200.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..core.asks import Failure, Reply
from ..core.call import HttpRequest, tool_identity
from ..core.delivery import Delivery
from ..core.digests import BodyDigest, tool_digest
from ..errors import BodyNotReplayable
from ..guards.tracebacks import forget_frames
from ..model.offers import words
from ..wire.tool_results import (
    Place,
    ToolTerms,
    carries_payment,
    payment_metas,
    receipt_in,
    terms_in_error,
    terms_in_result,
    was_unread,
)
from .failures import links, timed_out
from .mcp_errors import CLOSED, LOST, TIMED_OUT, LibraryError, error_data, hide_payment
from .mcp_outcomes import put_on_failure, put_on_result, refused_result, without_claims
from .mcp_server import goes_straight_here

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer
    from .session_calls import SessionCall

#: Calls the tool through the library: with what is added to ``_meta``, and True if that is a payment.
Send = Callable[[Mapping[str, Any], bool], Awaitable[Any]]
#: How much of a tool's name is shown.
_TOOL = 64


class ToolRequest(HttpRequest):
    """The request that a tool call makes. Its name is that of the HTTP request; shown, it names the tool."""

    tool: str = ""

    @property
    def shown(self) -> str:
        """Return the server's URL with the tool: ``https://api.example.com/mcp#weather``, ``mcp:reports#weather``."""
        return f"{self.origin}{self.target.partition('?')[0]}#{words(self.tool, _TOOL)}"

    def identity(self, names: Iterable[str] = ()) -> str:
        """Return the identity of the HTTP request, without the id of a session in its URL."""
        return tool_identity(super().identity(names))

    @property
    def no_sign_in(self) -> str:
        """Return that there is no header in which a call of a tool could sign in."""
        return "a sign-in goes in a header of HTTP, and a session of MCP has none"


def tool_request(server: HttpRequest, tool: str, meta: Any) -> ToolRequest:
    """Return the facts of one call."""
    by_hand = {"payment-signature": ""} if carries_payment(meta) else {}
    made = ToolRequest(*server._replace(headers=by_hand))
    made.tool = tool
    return made


class AsyncCourier:
    """Calls, peeks and hands over for one call of a tool."""

    def __init__(self, buyer: Buyer, session: Any, request: ToolRequest, arguments: Any, send: Send) -> None:
        self.request: HttpRequest = request
        self._buyer, self._session, self._send = buyer, session, send
        self._tool, self._arguments = request.tool, arguments
        #: The terms of the answer that asked last, before and after a payment.
        self._asked: ToolTerms | None = None
        #: The call of the session that is made.
        self.session_call: SessionCall
        #: Where the terms of this tool stood, as an earlier call saw them.
        self.place: Place = "content"

    async def send(self, header: tuple[str, str] | None) -> ToolReply:
        """Call the tool, with this payment or without one.

        A server that seems not to have read the payment is shown the same one in the other encodings, once.
        """
        try:
            if header is None:
                reply = await self._call({}, pays=False)
                self._asked = reply.terms
                if reply.terms is not None:
                    self.place = reply.terms.place
                return reply
            version = self._asked.version if self._asked is not None else None
            first, other = payment_metas(header[1], self.place, version)
            reply = await self._pay(first, header[1])
            if not self._may_be_unread(reply):
                return reply
            again = await self._pay(other, header[1])
            # If neither way was read, the first answer may have the better reason.
            return reply if self._may_be_unread(again) else again
        finally:
            header = first = other = None  # type: ignore[assignment]  # tracebacks must show no payment

    async def peek(self, reply: Reply) -> bytes | None:
        """Return the terms, as the body of a 402 would have them. None if they are too large."""
        if not isinstance(reply, ToolReply):
            return b""
        if reply.by_http is not None:
            return reply.by_http.body
        return b"" if reply.terms is None else reply.terms.body(self._buyer.bounds)

    async def digest(self) -> BodyDigest:
        """Return the digest of the call: tool and arguments, as they are written in JSON."""
        return self._digest()

    def known_digest(self) -> bytes | None:
        """Return the digest of the call's body, in HTTP too. None: it has none."""
        try:
            return self._digest().digest
        except BodyNotReplayable:
            return None

    def _digest(self) -> BodyDigest:
        from pydantic_core import to_jsonable_python

        try:
            return tool_digest(self._tool, to_jsonable_python(self._arguments or {}))
        except (TypeError, ValueError) as fault:
            raise BodyNotReplayable(
                f"The arguments of {words(self._tool, _TOOL)} cannot be written as JSON ({type(fault).__name__}). "
                "A repeat of this purchase could not be told from another. Nothing was paid."
            ) from None

    async def hand_over(self, reply: Reply, delivery: Delivery | None) -> Any:
        """Return the library's own result, or raise its own error, with the outcome on it."""
        native, outcome = reply.native, reply.outcome
        if delivery is not None:
            delivery.done()  # all of it is here
        if isinstance(native, Exception):
            if outcome is not None:
                put_on_failure(native, outcome)
            raise native from reply.refusal or native.__cause__
        if reply.refusal is not None:
            return refused_result(native, reply.refusal, reply.body or b"")
        without_claims(native)
        if outcome is not None:
            put_on_result(native, outcome)
        return native

    async def let_go(self, kept: Any = None) -> None:
        """Do nothing: results hold no connections."""

    def failed(self, failure: Exception) -> Failure:
        """Say whether it was a time-out. That nothing left cannot be known from here."""
        late = isinstance(failure, LibraryError) and error_data(failure).code in TIMED_OUT
        return "timeout" if late or any(map(timed_out, links(failure))) else "lost"

    def is_lost(self, failure: Exception) -> bool:
        """Return True if no answer came, so that the library says so itself."""
        if isinstance(failure, LibraryError):
            return error_data(failure).code in LOST
        return self.failed(failure) == "timeout" or isinstance(failure, CLOSED)

    async def _pay(self, meta: Mapping[str, Any], header: str) -> ToolReply:
        """Call the tool with the payment. A server's error that repeats the payment is shown without it."""
        try:
            reply = await self._call(meta, pays=True)
            if isinstance(reply.native, LibraryError):
                hide_payment(reply.native, header)
            return reply
        except LibraryError as failure:
            hide_payment(failure, header)
            raise
        finally:
            meta, header = {}, ""

    async def _call(self, meta: Mapping[str, Any], pays: bool) -> ToolReply:
        try:
            return self._reply(await self._send(meta, pays))
        except LibraryError as failure:
            said = error_data(failure)
            if self.session_call.unpaid is not None and self.session_call.is_ours(said.data):
                forget_frames(failure)
                return self._made(402, failure, None, by_http=self.session_call.unpaid)
            terms = terms_in_error(said.code, said.data, self._buyer.bounds)
            if terms is None and (not pays or said.code in LOST):
                raise
            return self._failed_reply(failure, terms, said.data)
        except (RuntimeError, ValueError) as failure:  # an answer came, and mcp does not take it
            if not pays:
                raise
            return self._failed_reply(failure, None, None)

    def _reply(self, result: Any) -> ToolReply:
        """Return a result as the flow sees it. One that asks its user for something leads on, and is not the end."""
        if not hasattr(result, "content"):
            return self._made(300, result, None)
        is_error, structured = _error_and_structure(result)
        if not is_error:
            return self._made(200, result, None, result.meta)
        terms = terms_in_result(result.meta, structured, _first_text(result.content), self._buyer.bounds)
        return self._made(500, result, terms, result.meta, structured)

    def _failed_reply(self, failure: Exception, terms: ToolTerms | None, data: Any) -> ToolReply:
        forget_frames(failure)  # mcp's frames have the payment in their variables
        return self._made(500, failure, terms, data)

    def _made(
        self, status: int, native: Any, terms: ToolTerms | None, *places: Any, by_http: Reply | None = None
    ) -> ToolReply:
        def header(name: str) -> str | None:
            return receipt_in(places, self._buyer.bounds) if name == "payment-response" else None

        def ends_here(port: int) -> bool:
            return goes_straight_here(self._session, self.request.origin)

        headers = header if by_http is None else by_http.header
        made = ToolReply(status if terms is None else 402, headers, native, ends_here=ends_here)
        made.terms, made.by_http = terms, by_http
        return made

    def _may_be_unread(self, reply: ToolReply) -> bool:
        if reply.terms is None or reply.header("payment-response") is not None:
            return False
        return was_unread(self._asked, reply.terms)


class ToolReply(Reply):
    """A result or an error of mcp, with the terms in it."""

    __slots__ = ("by_http", "terms")
    #: The HTTP 402 that it stands for. None: it is an answer of MCP.
    by_http: Reply | None
    terms: ToolTerms | None


def status_of(result: Any) -> tuple[int, str]:
    """Return a result's status, as that of the same answer over HTTP, and the words of an error in it."""
    if not hasattr(result, "content"):
        return 300, ""
    if not _error_and_structure(result)[0]:
        return 200, ""
    return 500, _first_text(result.content) or ""


def _error_and_structure(result: Any) -> tuple[bool, Any]:
    """Return what a result says in fields that mcp 1.x and 2.x name differently. fastmcp warns of an old name."""
    if "is_error" in getattr(type(result), "model_fields", ()):
        return bool(result.is_error), result.structured_content
    return bool(getattr(result, "isError", False)), getattr(result, "structuredContent", None)


def _first_text(content: Any) -> str | None:
    first = next(iter(content or ()), None)
    text = getattr(first, "text", None)
    return text if isinstance(text, str) else None
