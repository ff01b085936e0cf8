"""The record of one tool call of a wrapped session. The HTTP client below it finds it: one payer, one payment, one end.

Strategy: a transport of mcp posts a message in a task of its own, which outlives the call. mcp 2.x runs it in the
context of the call, so the record is found there. mcp 1.x does not, so the record is put on each message that a session
gives to its transport, and is found by the frames that post it. What ``call_tool`` gave to its caller decides if a
payment was delivered. So its end is noted here in that same step, and awaits nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from secrets import token_hex
from types import coroutine
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..buyer.scopes import Scopes, inside
from ..core import asks
from ..core.call import HttpRequest, without_session
from ..core.last_answer import money_after
from ..core.spelling import one_spelling
from ..errors import X402Error
from ..model.holds import Outcome

if TYPE_CHECKING:
    from anyio import CancelScope

    from ..core.call import Call
    from ..core.delivery import Delivery
    from ..core.ports import AsyncCourier
    from ..core.reply import Reply

T = TypeVar("T")
#: The name in an error's data under which a session looks for the refusal that it stands for.
_KEY = "x402-client/refused"
#: The name of the record among the private attributes of a message.
_NAME = "x402_session_call"
INTERNAL_ERROR = -32603
#: What the error says that stands for a 402 which the HTTP client does not pay.
UNPAID = "The server answered with HTTP 402: it asks to be paid by HTTP."
#: What is still asked for after the end of a call: nothing of it waits, is signed, or leaves this machine.
_AFTER_THE_END = (asks.Tell, asks.Close, asks.Release, asks.Note, asks.Conclude, asks.LookLater)
#: The modules of mcp that post a message.
_SENDS = "mcp.client."
#: The call that is under way, and which of its messages. mcp makes a new message for each way to present a payment.
_Sent = tuple["SessionCall", int]
_call: ContextVar[_Sent | None] = ContextVar("x402_client.session_call", default=None)


class SessionCall:
    """One call of a tool through a wrapped session, until its caller has its end."""

    def __init__(
        self, server: HttpRequest, digest: Callable[[], bytes | None], settle: float | None, scopes: Scopes = ()
    ) -> None:
        from anyio import CancelScope

        #: The purchase scopes and allowances that the call is made in.
        self.scopes: Scopes = scopes
        #: What is cancelled where no answer can come, and where the caller's time is up. ``failure`` says why.
        self.scope: CancelScope = CancelScope()
        self.failure: Exception | None = None
        #: When the caller's time for an answer without a payment of the session's own is up.
        self.deadline: float = math.inf
        #: The HTTP 402 to a message that the HTTP client does not pay, with its body.
        self.unpaid: Reply | None = None
        #: True from the moment in which the caller has its end. Nothing is signed or presented from then on.
        self.is_over: bool = False
        #: True if that end was the content.
        self.is_delivered: bool = False
        #: Which of the two layers pays. None: neither was asked to.
        self.payer: Literal["session", "client"] | None = None
        self._origin, self._digest, self._settle = str(server.origin), digest, settle
        self._endpoint = without_session(one_spelling(server.target))
        self._below: PaymentBelow | None = None
        self._place, self._message, self._waited_for = token_hex(8), 0, 0

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """End the call if nothing else did."""
        try:
            yield
        except BaseException as failure:
            self.end(failure)
            raise
        finally:
            self.end()

    @contextmanager
    def waiting(self) -> Iterator[CancelScope]:
        """Wait for the answer to the call's next message. An HTTP client finds the call by it."""
        from anyio import CancelScope

        self.unpaid, self._message = None, self._message + 1
        self._waited_for = self._message
        self.scope = CancelScope(deadline=self.deadline)
        token = _call.set((self, self._message))
        try:
            with self.scope:
                yield self.scope
        finally:
            self._waited_for = 0
            _call.reset(token)

    def waits_for(self, message: int) -> bool:
        """Return True if the answer to this message is waited for."""
        return not self.is_over and message == self._waited_for

    def is_of(self, digest: bytes) -> bool:
        """Return True if a body is that of this call."""
        return self._digest() == digest

    def endpoint(self, request: HttpRequest) -> str | None:
        """Return the target by which the call is named, if a request goes to the session's own server."""
        return self._endpoint if str(request.origin) == self._origin else None

    @property
    def paid(self) -> Outcome | None:
        """Return what is known of the payment that the HTTP client presented. None: it presented none."""
        return None if self._below is None else self._below.outcome

    def session_pays(self) -> bool:
        """Let the session pay: the HTTP client pays no more. Return False if that has presented a payment already."""
        if self.paid is not None:
            return False
        self.payer = "session"
        if self._below is not None:
            self._below.stop()
        return True

    def client_pays(self, below: PaymentBelow) -> bool:
        """Let the HTTP client pay. Return False if the session pays, or the caller is gone.

        A payment of an earlier request of this call is given up by it, so that the same one is presented.
        """
        if self.is_over or self.payer == "session":
            return False
        if self._below is not None and self._below is not below:
            self._below.stop()
        self.payer, self._below = "client", below
        return True

    def is_presented(self) -> None:
        """Give the answer to a payment the time that a settlement takes, however short the read time-out is."""
        from anyio import current_time

        if self._settle is not None:
            self.scope.deadline = max(self.scope.deadline, current_time() + self._settle)

    def end(self, failure: BaseException | None = None, *, delivered: bool = False) -> None:
        """Note that the caller has its end: the content, or anything else. The first end counts."""
        if self.is_over:
            return
        self.is_over, self.is_delivered = True, delivered
        if self._below is not None:
            self._below.deliver() if delivered else self._below.stop(failure)

    @property
    def mark_of_ours(self) -> dict[str, str]:
        """Return the data of an error that stands for what the HTTP client met."""
        return {_KEY: self._place}

    def is_ours(self, data: Any) -> bool:
        """Return True if the data of an error are ours: it stands for what the HTTP client met."""
        return isinstance(data, dict) and data.get(_KEY) == self._place

    def answer(self, number: int | str, accepts: str, words: str) -> bytes:
        """End the waiting for an answer. Return the body of one for the transport of mcp.

        Streamable HTTP answers each request on its own connection. Over the older transport no answer could come.
        """
        if "text/event-stream" in accepts:
            return _error(number, words, self.mark_of_ours)
        self.scope.cancel()
        return b""


class PaymentBelow:
    """The payment that one request of an HTTP client makes for a session's call."""

    def __init__(self, above: SessionCall, message: int, number: int | str, hands_off: bool) -> None:
        from anyio import CancelScope

        self.above: SessionCall = above
        self._message = message
        #: The ``id`` of the request, which its answer repeats.
        self.number: int | str = number
        self._scope: CancelScope = CancelScope()
        self._hands_off, self._is_stopped = hands_off, False
        self._call: Call | None = None
        self._delivery: Delivery | None = None
        self._told: Outcome | None = None

    @property
    def outcome(self) -> Outcome | None:
        """Return what is known of the payment. None: none was presented."""
        if self._told is not None or self._call is None or self._call.paid is None:
            return self._told
        return Outcome(money_after(self._call.paid, "unknown"), self._call.paid, self._call.paid.offer)

    def may_pay(self) -> bool:
        """Return True if this request is the HTTP client's to pay: it has no payment of its own, and is no quote."""
        return not self._hands_off and self.above.client_pays(self)

    @contextmanager
    def under_way(self) -> Iterator[CancelScope]:
        """Let a block pay in the call's own scopes, and cancel it with the call: nothing that was sent is waited for.

        A request may come here twice, ahead of its 402 and with it. A cancel scope of Trio is entered once.
        """
        from anyio import CancelScope

        with inside(self.above.scopes), CancelScope() as self._scope:
            if self._is_stopped:
                self._scope.cancel()
            yield self._scope

    def begins(self, call: Call) -> None:
        """Note the flow that pays."""
        self._call = call

    def answered(self, reply: asks.Reply, delivery: Delivery | None) -> None:
        """Note the answer to the payment, and what watches its body. The call may have ended before."""
        assert reply.outcome is not None
        if reply.outcome.money != "untouched":
            self._told = reply.outcome
        self._delivery = delivery
        if self._is_stopped:
            self.deliver() if self.above.is_delivered else self.stop()

    def deliver(self) -> None:
        """Resolve the purchase: the caller has the content. One that is out yet is waited for, for its receipt."""
        if self.outcome is None:
            return self.stop()
        self._is_stopped = True
        if self._told is not None:
            self._told.accept()
            self._delivery = None
        return None

    def stop(self, failure: BaseException | None = None) -> None:
        """Leave the purchase unresolved from this moment, so that the same call presents the same payment."""
        self._is_stopped, delivery, self._delivery = True, self._delivery, None
        if delivery is not None:
            delivery.not_taken(failure)
        if self._call is not None:
            self._call.attempt.end()
        self._scope.cancel()

    def through(self, answers: Callable[[asks.Ask[Any]], Any]) -> Callable[[asks.Ask[Any]], Any]:
        """Return what answers a flow's asks until the call is over."""

        def answer(ask: asks.Ask[Any]) -> Any:
            if self._is_stopped and not isinstance(ask, _AFTER_THE_END):
                return self._cancelled()
            if isinstance(ask, asks.Send):
                self.above.is_presented()
            return answers(ask)

        return answer

    async def _cancelled(self) -> None:
        """Raise the cancellation here and not at the next pause: many a step on the way there waits for nothing."""
        from anyio import sleep_forever

        self._scope.cancel()
        await sleep_forever()

    async def unpaid_answer(self, courier: AsyncCourier, reply: Reply, accepts: str) -> bytes:
        """Bring a 402 that is not paid here up to the call. Return the body of an answer for the transport of mcp.

        The message carries a payment of the session's own or asks for the price alone. Nothing else would end the
        waiting for its answer: most transports of mcp end with a 402, or tell of none.
        """
        if self._is_stopped:  # it was about to pay, and its 402 was read
            return b""
        if self.above.waits_for(self._message):
            with suppress(Exception):  # the headers may tell enough, and a 402 says no in any case
                reply.body = await courier.peek(reply)
        if not self.above.waits_for(self._message):
            return b""
        self.above.unpaid = reply
        return self.above.answer(self.number, accepts, UNPAID)

    def refused_answer(self, failure: object, accepts: str) -> bytes | None:
        """Bring a refusal up to the call. Return the body of an answer for the transport of mcp, None if it raises.

        The transports of mcp end with the first exception of their HTTP client, and every call of the session ends with
        them.
        """
        if self.above.is_over or self._is_stopped:
            return b""
        if not isinstance(failure, X402Error):
            return None
        self.above.failure = failure
        return self.above.answer(self.number, accepts, str(failure))


async def payment_below(courier: Any) -> PaymentBelow | None:
    """Return the payment for a session's call that a request may make. Most programs have no session: None."""
    found = _call.get() or _on_message()
    if found is None:
        return None
    try:
        body = await courier.digest()
    except Exception:  # the request is paid, or refused, as any other
        return None
    call, message = found
    if call.is_over and body.wants_no_answer and call.endpoint(courier.request) is not None:
        # The word of its cancellation. "Nothing more is signed or sent for it."
        return PaymentBelow(call, message, 0, hands_off=True)
    if not body.tool or body.number is None or not call.is_of(body.digest):
        return None
    return PaymentBelow(call, message, body.number, body.hands_off)


def _on_message() -> _Sent | None:
    """Return the call that is on the message which is being sent here."""
    import sys

    frame: Any = sys._getframe(1) if "mcp" in sys.modules else None
    while frame is not None:
        if _module(frame).startswith(_SENDS):
            sent = frame.f_locals.get("session_message", getattr(frame.f_locals.get("ctx"), "session_message", None))
            message = getattr(getattr(sent, "message", None), "root", None)
            kept = getattr(message, "__pydantic_private__", None)
            if kept is not None and _NAME in kept:
                return kept[_NAME]  # type: ignore[no-any-return]
        frame = frame.f_back
    return None


class _MarkingStream:
    """The stream of a session of mcp 1.x to its transport. It puts the call at hand on each message of it.

    The call is that of the context: it is there in tasks that a caller or fastmcp starts for the call, too.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def send(self, item: Any) -> None:
        call, message = _call.get(), getattr(getattr(item, "message", None), "root", None)
        if call is not None and message is not None:
            object.__setattr__(message, "__pydantic_private__", {_NAME: call})
        await self._inner.send(item)

    async def __aenter__(self) -> Any:
        return await self._inner.__aenter__()

    async def __aexit__(self, *failure: Any) -> Any:
        return await self._inner.__aexit__(*failure)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def mark_messages(session: Any) -> None:
    """Let the messages of a session carry the call that they are sent in, if its mcp does not by itself."""
    stream = getattr(session, "_write_stream", None)
    if stream is not None and not isinstance(stream, _MarkingStream):
        session._write_stream = _MarkingStream(stream)


@coroutine
def watched(waiting: Any, call: SessionCall) -> Generator[Any, Any, Any]:
    """Await a session's own method. A cancellation of its caller ends the call at once.

    mcp tells its server of a cancellation, which may take a while. The caller is gone from the first moment on.
    """
    from anyio import get_cancelled_exc_class

    turns = waiting.__await__()  # another library's method may return a task, or anything else that can be awaited
    step, given = turns.send, None
    while True:
        try:
            asked = step(given)
        except StopIteration as end:
            return end.value
        try:
            step, given = turns.send, (yield asked)
        except BaseException as failure:
            # A 402 ends the waiting, too. That end is not the caller's.
            if call.unpaid is None and isinstance(failure, (get_cancelled_exc_class(), GeneratorExit)):
                call.end(failure)
            step, given = turns.throw, failure


def _module(frame: Any) -> str:
    return str(frame.f_globals.get("__name__"))


def _error(number: int | str, message: str, data: Any) -> bytes:
    error = {"code": INTERNAL_ERROR, "message": message, "data": data}
    return json.dumps({"jsonrpc": "2.0", "id": number, "error": error}).encode()
