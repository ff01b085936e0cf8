"""Tool calls that pay: the subclass that a session becomes when it is wrapped, for both generations of mcp and fastmcp.

Strategy: the session's class is replaced by a subclass that differs in the one method. An attribute on the session
would stay bound to it in a copy, and fastmcp copies its clients.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Hashable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import anyio

from ..buyer.scopes import mandate_around, scopes_with
from ..core.call import HttpRequest
from ..core.last_answer import with_last
from ..core.next_step import next_step
from ..core.no_content import expiry
from ..errors import ConfigurationError, PaymentOutcomeUnknown, PaymentRejected, X402Error
from ..guards.mcp_log import hide_payments
from ..guards.tracebacks import shorten
from ..model.holds import Outcome
from ..model.hosts import MCP, Origin, Pattern
from ..model.offers import Quote
from ..receipts import outcome
from ..wire.tool_results import QUOTE_KEY, Place
from .exchange import Exchange
from .hops import Hops
from .mcp_courier import AsyncCourier, ToolReply, ToolRequest, status_of, tool_request
from .mcp_errors import OWN_ERRORS, LibraryError, error_data, made_error, timed_out_error
from .mcp_outcomes import put_beside, put_on_failure
from .mcp_server import pays_by_http, server_of, session_of
from .quoting import finished_quote, quote_in_progress, quote_request
from .session_calls import INTERNAL_ERROR, UNPAID, SessionCall, mark_messages, watched

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer
    from ..buyer.payers import Payer
    from ..policy.policy import Policy

#: The name under which a wrapped session keeps what pays for it.
_KEPT = "_x402_client"
#: The names of the two parameters that are set for a paid call, in mcp and in fastmcp.
_TIMEOUTS, _PROGRESS = ("read_timeout_seconds", "timeout"), ("progress_callback", "progress_handler")
#: Seconds by which mcp's own clock runs later than ours, where a payment may be out below.
_SLACK = 5.0
#: The most tools whose place of terms is remembered.
_PLACES = 1_000
#: The outcome of the last paid call in this task, for a method of fastmcp's that hides the result.
_last: ContextVar[list[Outcome] | None] = ContextVar("x402_client.last_tool_outcome", default=None)


class PaidCalls:
    """The paying side of one session."""

    def __init__(self, buyer: Payer, server: HttpRequest, inner: Any = None) -> None:
        self.server: HttpRequest = server
        #: A method that stood on the session itself, where another library put it. None: that of its class.
        self.inner = inner
        self.exchange: Exchange = Exchange(buyer, is_async=True, own_errors=OWN_ERRORS)
        self._places: dict[str, Place] = {}

    @property
    def buyer(self) -> Buyer:
        """Return the buyer itself, also where an allowance was given."""
        return self.exchange.buyer

    def also_under(self, buyer: Payer) -> PaidCalls:
        """Return what pays under this allowance of the same buyer too. The limits of each hold."""
        if buyer in self.exchange.payers:
            return self
        added = PaidCalls(buyer, self.server, self.inner)
        added.exchange.pays_too(self.exchange.payers, "session")
        return added

    async def call(self, native: ToolCall) -> Any:
        """Call a tool, and pay if it asks."""
        request = tool_request(self.server, native.tool, native.meta)
        courier = AsyncCourier(self.buyer, native.session, request, native.arguments, native.send)
        courier.place = self._places.get(native.tool, courier.place)
        hops = Hops()
        scopes = scopes_with(self.buyer, self.exchange.payers)
        native.shared = SessionCall(request, courier.known_digest, self.buyer.settle_timeout, scopes)
        courier.session_call = native.shared
        try:
            with native.shared.under_way():
                return await self._answer(native, request, courier, hops)
        except BaseException as failure:
            shorten(failure)
            if not isinstance(failure, Exception) and hops.paid is not None:
                # mcp cancels its callers when an answer is lost, and raises a group: the cancellation is found in it.
                put_on_failure(failure, Outcome("unknown", hops.paid, hops.paid.offer))
            raise
        finally:
            self._remember(native.tool, courier.place)

    async def _answer(self, native: ToolCall, request: ToolRequest, courier: AsyncCourier, hops: Hops) -> Any:
        exchange, mandate = self.exchange, mandate_around(self.buyer)
        ahead, call = exchange.pay_ahead(request, hops, mandate), native.shared
        if ahead is not None:
            call.session_pays()
            paid = await exchange.arun(ahead, courier)
            if paid is not None:
                return paid
            call.payer = None
        try:
            first = await self._first_answer(native, courier, call)
        except BaseException as failure:
            call.end(failure)
            _say_what_was_paid(failure, call.paid, courier)
            raise
        if not exchange.asks_to_pay(first.status, request.method, request.headers):
            first.outcome = call.paid
            call.end(delivered=first.status == 200)
            return await courier.hand_over(first, None)
        if quote_in_progress() is None:
            if not call.session_pays():
                call.end()
                assert call.paid is not None
                raise _asked_twice(call.paid, first)
            await native.tell(0.0, "This tool asks to be paid. That may take an approval and a settlement.")
        return await exchange.arun(exchange.pay(request, hops, mandate, first), courier)

    async def _first_answer(self, native: ToolCall, courier: AsyncCourier, call: SessionCall) -> ToolReply:
        """Return the answer to a call without a payment, or raise what the HTTP client below refused."""
        patience = native.read_timeout
        if patience is not None and self.buyer.settle_timeout is not None and pays_by_http(native.session):
            # mcp cannot know that a payment is out below. So its own clock runs later than the one here.
            native.longer = self.buyer.settle_timeout + _SLACK
            call.deadline = anyio.current_time() + patience
        try:
            return await courier.send(None)
        except LibraryError as failure:
            if call.failure is None or not call.is_ours(error_data(failure).data):
                raise
            raise call.failure from None
        finally:
            call.deadline = math.inf

    def _remember(self, tool: str, place: Place) -> None:
        if len(self._places) < _PLACES:
            self._places[tool] = place


def _say_what_was_paid(failure: BaseException, paid: Outcome | None, courier: AsyncCourier) -> None:
    """Put the outcome of a payment by the HTTP client on a failure. Raise ours if no answer came to that payment."""
    if paid is None or isinstance(failure, X402Error):
        return
    if isinstance(failure, Exception) and courier.is_lost(failure):
        raise OWN_ERRORS.of(_no_answer(failure, paid)) from failure
    if outcome(failure) is None:
        put_on_failure(failure, paid)


def _no_answer(failure: Exception, paid: Outcome) -> PaymentOutcomeUnknown:
    hold = paid.hold
    told = with_last(hold, paid.money, transaction=paid.receipt.transaction if paid.receipt is not None else "")
    error = PaymentOutcomeUnknown(
        f"The HTTP client below presented {hold.price} to {hold.host} for this call, and the session had no answer "
        f"({type(failure).__name__}: {failure}). {next_step(told)}",
        hold=hold.shown,
        offer=paid.offer,
        wait_until=expiry(hold),
    )
    error.__cause__ = failure
    if paid.money == "spent":
        error.money = "spent"
    return error


def _asked_twice(below: Outcome, first: ToolReply) -> PaymentRejected:
    """Return the refusal to pay a tool that was paid by HTTP in this call. The rule: "one call pays at most once"."""
    hold = below.hold
    then = "The first payment stays open: the same call presents it again, never a second one."
    error = PaymentRejected(
        f"The HTTP client below paid {hold.price} to {hold.host} for this call, and the tool's result asks for "
        f"payment again; one call pays at most once. Nothing more was signed. {then} Ask the seller which of the two "
        "it means.",
        hold=hold.shown,
        offer=hold.offer,
        response=first.native,
    )
    error.money = hold.money
    return error


class ToolCall:
    """One call of a tool as its caller made it, for any signature that names its parameters as mcp does."""

    def __init__(self, method: Any, bound: inspect.BoundArguments, session: Any, buyer: Buyer) -> None:
        self._method, self._buyer, self._bound = method, buyer, bound
        self.session: Any = session
        mark_messages(session)
        #: What the HTTP client below finds of this call.
        self.shared: SessionCall
        #: The read time-out of the call. None: it has none.
        self.read_timeout: float | None = None
        #: Seconds that the call may take beyond that before mcp ends it.
        self.longer: float | None = None
        known = self._bound.signature.parameters
        self._timeout = next(name for name in _TIMEOUTS if name in known)
        given = self._bound.arguments
        self._own_timeout = given.get(self._timeout)
        if self._own_timeout is None:
            self._own_timeout = getattr(session, "_session_read_timeout_seconds", None)
        self.read_timeout = _seconds(self._own_timeout)
        self._progress = next((given[name] for name in _PROGRESS if given.get(name) is not None), None)
        self.tool: str = given["name"]
        self.arguments: Any = given.get("arguments")
        self.meta: Any = given.get("meta")

    async def send(self, meta: Mapping[str, Any], pays: bool) -> Any:
        """Call the method, with this added to ``_meta``. A call that pays may take as long as a settlement."""
        if quote_in_progress() is not None:
            meta = {**meta, QUOTE_KEY: True}
        changed = dict(self._bound.arguments)
        if meta:
            changed["meta"] = {**(self.meta or {}), **meta}
        if self.longer is not None and not pays:
            changed[self._timeout] = _like(self._own_timeout, (self.read_timeout or 0.0) + self.longer)
        if pays:
            changed[self._timeout] = self._patience(changed.get(self._timeout))
            await self.tell(0.001, "The payment is on its way. The tool may answer once it is settled.")
        bound = inspect.BoundArguments(self._bound.signature, changed)
        with self.shared.waiting():
            return await watched(self._method(*bound.args, **bound.kwargs), self.shared)
        raise self._no_answer()

    def _no_answer(self) -> Exception:
        """Return why the waiting for an answer was ended."""
        call = self.shared
        if call.unpaid is not None:
            return made_error(INTERNAL_ERROR, UNPAID, call.mark_of_ours)
        return call.failure or timed_out_error(self.read_timeout or 0.0)

    def _patience(self, given: Any) -> Any:
        """Return a time-out that is long enough for settlement. None, which waits for ever, stays None."""
        own, least = self.read_timeout, self._buyer.settle_timeout
        return given if own is None or least is None else _like(self._own_timeout, max(own, least))

    async def tell(self, progress: float, words: str) -> None:
        """Tell the caller's progress callback: a host that waits for this call may have less patience than a chain."""
        if self._progress is not None:
            with suppress(Exception):  # mcp passes over its failures, too
                await self._progress(progress, None, words)


def _seconds(timeout: Any) -> float | None:
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout


def _like(timeout: Any, seconds: float) -> Any:
    """Return seconds in the type of a time-out."""
    return timedelta(seconds=seconds) if isinstance(timeout, timedelta) else seconds


def put_around(session: Any, buyer: Payer, name: str | None) -> None:
    """Make a session or a client pay, in place."""
    kept, server = vars(session).get(_KEPT), server_of(session, name)
    if kept is not None:
        if kept.server[:3] != server[:3]:
            raise ConfigurationError(
                f"This session pays {kept.server.shown} already, and now it is said to be {server.shown}. Wrap it once."
            )
        setattr(session, _KEPT, kept.also_under(buyer))  # a copy of the session pays as before
        return
    hide_payments()
    method, base = _method_of(type(session)), cast("Hashable", type(session))
    paying = PaidCalls(buyer, server, vars(session).get(method))
    _check_named(paying.buyer.policy, server.origin)
    paying.buyer.services.servers.add(server.origin.host)
    vars(session).pop(method, None)
    session.__class__ = _paying_class(base)
    setattr(session, _KEPT, paying)


def _check_named(policy: Policy, server: Origin) -> None:
    """Refuse a policy that has a rule for a server's bare name: it is for a host of that name, and would not hold."""
    bare = server.host.removeprefix(f"{MCP}:")
    if bare != server.host and Pattern(bare) in policy.hosts and Pattern(server.host) not in policy.hosts:
        raise ConfigurationError(
            f'hosts["{bare}"] in the policy is a host of that name, and this MCP server is "{server.host}" there, so '
            f'the rule would not hold for it. Write hosts={{"{server.host}": ...}}.'
        )


def _method_of(base: type[Any]) -> str:
    """Return the name of the method that all tool calls go through."""
    return next(name for name in ("call_tool_mcp", "call_tool") if hasattr(base, name))


@functools.cache
def _paying_class(base: Hashable) -> type[Any]:
    """Return the subclass whose tool calls pay. It has the name of its base, and is not told from it otherwise."""
    assert isinstance(base, type)
    method = _method_of(base)
    body: dict[str, Any] = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    body[method] = _paying(getattr(base, method))
    if method != "call_tool":
        body["call_tool"] = _telling(getattr(base, "call_tool"))  # noqa: B009 - a class of theirs
    return type(base.__name__, (base,), body)


def _paying(inner: Any) -> Any:
    @functools.wraps(inner)
    async def call_tool(self: Any, *args: Any, **keywords: Any) -> Any:
        paying: PaidCalls = getattr(self, _KEPT)
        method = paying.inner or inner.__get__(self)
        bound = inspect.signature(method).bind(*args, **keywords)
        native = ToolCall(method, bound, session_of(self), paying.buyer)
        result = await paying.call(native)
        seen, found = _last.get(), outcome(result)
        if seen is not None and found is not None:
            seen.append(found)
        return result

    return call_tool


def _telling(inner: Any) -> Any:
    """Return fastmcp's ``call_tool``, which makes another result or an error of what was paid for, with the outcome."""

    @functools.wraps(inner)
    async def call_tool(self: Any, *args: Any, **keywords: Any) -> Any:
        seen: list[Outcome] = []
        token = _last.set(seen)
        try:
            result = await inner(self, *args, **keywords)
        except Exception as failure:
            if seen and outcome(failure) is None and not isinstance(failure, X402Error):
                put_on_failure(failure, seen[-1])
            raise
        finally:
            _last.reset(token)
        if seen:
            put_beside(result, seen[-1])
        return result

    return call_tool


async def quote_with(session: Any, tool: str, arguments: Any) -> Quote:
    """Return what a tool would cost, without paying."""
    # Nothing is sent unless it is wrapped: mcp 1.x would not tell an HTTP client below that the call is a quote.
    paying: PaidCalls | None = vars(session).get(_KEPT) or getattr(session_of(session), _KEPT, None)
    if paying is None:
        raise ConfigurationError("This session is not wrapped, so nothing was asked: wrap(session, buyer) it first.")
    shown = tool_request(paying.server, tool, None).shown
    with quote_request() as pending:
        try:
            result = await getattr(session, "call_tool_mcp", session.call_tool)(tool, arguments or {})
        except Exception:
            if pending.quote is None:
                raise
            return pending.quote
        return finished_quote(pending, shown, *status_of(result))
