"""The exchange between a 402 and the answer, alike for every HTTP library.

A free request does not come here: an adapter sends it, and calls ``Exchange.pay`` when a 402 comes back. What only the
library can do is done by a courier (``core.ports``). The exchange reads the caller's scopes, answers a quote that is in
progress, pays ahead where the policy says so, and ends every attempt.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..buyer.answers import Answers, AsyncAnswers
from ..buyer.fitting import with_refusal
from ..buyer.scopes import mandate_around, under_allowances, warn_of_waiting
from ..core.asks import LookAgain, Reply
from ..core.call import Call, HttpRequest
from ..core.delivery import NO_COURIER, Delivery, Resolution, delivers, tell_of_a_stop
from ..core.digests import BodyDigest
from ..core.drive import Flow, arun, run
from ..core.flow import inspect, pay
from ..core.known_terms import Memory
from ..core.left_in_allowances import with_allowances
from ..core.paying_ahead import pay_ahead
from ..core.ports import AsyncCourier, Courier
from ..core.unresolved import with_unresolved
from ..errors import BodyNotReplayable, ConfigurationError, LedgerUnavailable, X402Error
from ..guards.handlers import raise_callers_stop
from ..model.holds import Attempt, Outcome
from ..model.hosts import Origin
from ..model.offers import Quote
from ..policy.allowances import AllowanceRules, joined
from ..policy.choice import Mandate
from ..wire.tool_answers import ToolAnswer
from .hops import REDIRECTS, Hops, not_digested, unread_body
from .quoting import QuoteRequest, finished_quote, quote_in_progress, quote_request

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer
    from ..buyer.payers import Payer
    from .own_errors import OwnErrors
    from .session_calls import PaymentBelow

#: A flow that gives the answer for the caller, and the delivery that watches its body. None: nothing was paid ahead.
Payment = Flow[tuple[Reply, Delivery | None] | None]
#: A request with one of these methods is never paid for.
UNPAID_METHODS = frozenset({"HEAD", "OPTIONS"})
#: A transport of MCP sends these by itself, with one of these headers: for its stream of events, again and again; for
#: the rest of an answer; for the end of a session. No caller asked for them, and "one call pays at most once".
_OF_A_TRANSPORT = frozenset({"GET", "DELETE"})
_TRANSPORT_HEADERS = ("mcp-session-id", "mcp-protocol-version")


class Exchange:
    """The paying side of one HTTP client. ``send`` sends a whole request; ``pay`` goes on from its 402.

    ``own_errors`` are those of our errors that are the client's own too, so that its users' ``except`` clauses hold.
    """

    #: The buyer itself, also where an allowance was given.
    buyer: Buyer

    def __init__(self, buyer: Payer, *, is_async: bool = False, own_errors: OwnErrors | None = None) -> None:
        #: The payers that were given: the buyer, or allowances of its. All of them count.
        self.payers: tuple[Payer, ...] = (buyer,)
        #: The allowances that the client was wrapped with, and those above them.
        self._path: tuple[AllowanceRules, ...] = _path_of(self.payers)
        self.buyer = buyer = _root_of(buyer)
        if not is_async:
            buyer.check_sync()
        self._own_errors = own_errors
        #: The terms of deliveries, for a policy that pays ahead.
        self.memory: Memory | None = Memory() if buyer.policy.pay_ahead else None
        self._deliver = (AsyncAnswers if is_async else Answers)(buyer.services, NO_COURIER)

    def pays_too(self, payers: Iterable[Payer], what: str) -> None:
        """Pay under these payers too, with which the client, ``what``, was wrapped before. The limits of each hold.

        The rule: "nothing in it can widen what is above it". So no wrapping takes away another one's limits.
        """
        for payer in payers:
            if _root_of(payer) is not self.buyer:
                raise ConfigurationError(
                    f"This {what} pays with another buyer already, and keeps it: wrap a new {what} for this buyer. For "
                    f"a tighter limit, wrap this {what} with an allowance of the buyer that it has: "
                    "buyer.allowance(...)."
                )
        self.payers = tuple(dict.fromkeys((*payers, *self.payers)))
        self._path = _path_of(self.payers)

    def send(self, courier: Courier) -> Any:
        """Send a request, pay for it if the seller asks, and return what the courier hands over."""
        return self.run(self._send_and_pay(courier.request), courier)

    async def asend(self, courier: AsyncCourier) -> Any:
        """Async twin of ``send``."""
        return await self.arun(self._send_and_pay(courier.request), courier)

    def quote(self, courier: Courier) -> Quote:
        """Return what a request would cost: every offer, the choice, the reasons against the others. Never pays."""
        with quote_request() as pending:
            self.send(courier)
        return finished_quote(pending, courier.request.shown, pending.status)

    async def aquote(self, courier: AsyncCourier) -> Quote:
        """Async twin of ``quote``."""
        with quote_request() as pending:
            await self.asend(courier)
        return finished_quote(pending, courier.request.shown, pending.status)

    def run(self, payment: Payment, courier: Courier) -> Any:
        """Run one payment with a courier, and return what it hands over. None if nothing was paid ahead."""
        delivery = None
        try:
            answer = run(payment, Answers(self.buyer.services, courier))
            reply, delivery = answer or (None, None)
            return None if reply is None else courier.hand_over(reply, delivery)
        except BaseException as failure:
            if delivery is not None:
                delivery.dropped()
            courier.let_go(_response_of(failure))
            own = self._own_errors.of(failure) if self._own_errors is not None else failure
            if own is not failure:
                raise own  # noqa: B904 - it has its cause
            raise

    async def arun(self, payment: Payment, courier: AsyncCourier) -> Any:
        """Async twin of ``run``."""
        delivery: Delivery | None = None
        answers, below = AsyncAnswers(self.buyer.services, courier), getattr(courier, "below", None)
        try:
            answer = await arun(payment, answers if below is None else below.through(answers))
            if answer is None:
                return None
            reply, delivery = answer
            return await courier.hand_over(reply, delivery)
        except BaseException as failure:
            if delivery is not None:
                delivery.dropped()
            await courier.let_go(_response_of(failure))
            own = self._own_errors.of(failure) if self._own_errors is not None else failure
            if own is not failure:
                raise own  # noqa: B904 - it has its cause
            raise

    def asks_to_pay(self, status: int, method: str, headers: Container[str]) -> bool:
        """Return True if an answer is one for ``pay``.

        While a quote is in progress, the method does not matter.
        """
        quoting = quote_in_progress()
        if quoting is not None:
            quoting.reached, quoting.status = True, status
        if status != 402:
            return False
        return quoting is not None or not (is_unpaid(method, headers) or _paid_by_hand(headers))

    def pay(self, request: HttpRequest, hops: Hops, mandate: Mandate, first: Reply) -> Payment:
        """Pay for a request that was answered with a 402, or answer the quote that is in progress."""
        call = self._call(request, hops, mandate, _proven(request.origin, first))
        quoting = quote_in_progress()
        if quoting is None:
            warn_of_waiting(self.buyer, mandate)
        answer = pay(call, first, self.buyer.rules) if quoting is None else self._quote(call, first, quoting)
        return self._ended(request, call, hops, first, answer)

    def pay_ahead(self, request: HttpRequest, hops: Hops, mandate: Mandate) -> Payment | None:
        """Return a flow that pays in the first request. The flow gives None if nothing was sent.

        Return None if the policy does not pay ahead, the terms are not known, or something speaks against it.
        """
        if (
            self.memory is None
            or is_unpaid(request.method, request.headers)
            or quote_in_progress() is not None
            or hops.paid is not None
            or mandate.per_request is not None
            or mandate.quote is not None
            or not mandate.in_reach
            or _paid_by_hand(request.headers)
        ):
            return None
        call = self._call(request, hops, mandate, request.origin)
        if call.came_from is not None or not self.memory.knows(call.place):
            return None
        warn_of_waiting(self.buyer, mandate)
        return self._ended(request, call, hops, None, pay_ahead(call, self.buyer.rules))

    def redirected(self, hops: Hops, courier: Courier, status: int, *, unread: bool = False) -> None:
        """Note that a redirect leads a call on: its first request names the purchase, wherever the 402 is.

        The rule: "Where a request with a body is answered by a redirect, its digest is taken then". ``unread``: the
        body can be read once, and nothing of it was read.
        """
        if not hops.asks_for_digest:
            return
        body: BodyDigest | BodyNotReplayable | None
        try:
            body = unread_body(courier.request.method, status) if unread else courier.digest()
        except Exception as failure:
            raise_callers_stop(failure)
            body = not_digested(failure)
        hops.lead_on(courier.request, body)

    async def aredirected(
        self, hops: Hops, courier: AsyncCourier, status: int, *, unread: bool = False, once: bool = False
    ) -> None:
        """Async twin of ``redirected``. ``once``: the body's end is waited for, for as long as that of a 402."""
        if not hops.asks_for_digest:
            return
        body: BodyDigest | BodyNotReplayable | None
        try:
            if unread:
                body = unread_body(courier.request.method, status)
            elif once:
                body = await self._in_time(courier)
            else:
                body = await courier.digest()
        except Exception as failure:
            raise_callers_stop(failure)
            body = not_digested(failure)
        hops.lead_on(courier.request, body)

    async def _in_time(self, courier: AsyncCourier) -> BodyDigest:
        import anyio

        with anyio.fail_after(self.buyer.bounds.terms_time):
            return await courier.digest()

    def _send_and_pay(self, request: HttpRequest) -> Payment:
        mandate, hops = mandate_around(self.buyer), Hops()
        ahead = self.pay_ahead(request, hops, mandate)
        paid = None if ahead is None else (yield from ahead)
        if paid is not None:
            return paid
        first = yield from LookAgain()
        if not self.asks_to_pay(first.status, request.method, request.headers):
            return first, None
        return (yield from self.pay(request, hops, mandate, first))

    def _call(self, request: HttpRequest, hops: Hops, mandate: Mandate, origin: Origin) -> Call:
        first, names = hops.first, self.buyer.identity_headers
        mandate = under_allowances(mandate, self.buyer, self._path)
        asked = request if first is None else first.request
        identity, former = asked.identity(names), request.former_identity()
        return Call(
            method=request.method,
            origin=origin,
            url=request.shown,
            identity=identity,
            mandate=mandate,
            came_from=hops.came_from,
            body=None if first is None else first.body,
            attempt=Attempt(hops.is_stranded),
            hop="" if former == identity else former,
            paid=hops.paid,
            memory=self.memory,
            started=hops.started,
            no_sign_in=request.no_sign_in,
            endpoint=None if hops.below is None else hops.below.above.endpoint(asked),
        )

    def _quote(self, call: Call, first: Reply, quoting: QuoteRequest) -> Flow[Reply]:
        quote = yield from inspect(call, first, self.buyer.rules)
        if quote is not None:
            quote = yield from with_allowances(call, quote, self.buyer.rules)
            quote = yield from with_unresolved(call, quote, self.buyer.rules)
            quoting.quote = yield from with_refusal(call, quote, self.buyer.rules)
        return first

    def _ended(
        self, request: HttpRequest, call: Call, hops: Hops, first: Reply | None, answer: Flow[Reply | None]
    ) -> Payment:
        payment = self._watched(request, call, hops, first, answer)
        return payment if hops.below is None else self._for_session(hops.below, call, payment)

    def _for_session(self, below: PaymentBelow, call: Call, payment: Payment) -> Payment:
        """Run a payment for a session's call, which may end before it. Then the purchase ends as the call did."""
        below.begins(call)
        try:
            found = yield from payment
        except BaseException:
            if below.above.is_delivered and call.paid is not None:
                Resolution(call, Outcome("unknown", call.paid, call.paid.offer), self._deliver).told.accept()
            raise
        if found is not None and found[0].outcome is not None:
            below.answered(*found)
        return found

    def _watched(
        self, request: HttpRequest, call: Call, hops: Hops, first: Reply | None, answer: Flow[Reply | None]
    ) -> Payment:
        """Run one payment. At its end its attempt ends too, or a delivery watches its answer."""
        hops.redirect_delivery = None
        try:
            reply = yield from answer
            if reply is None or reply.outcome is None or reply.outcome.money == "untouched":
                return None if reply is None else (reply, None)
            delivery = Delivery(call, reply.outcome, self._deliver)
            if call.number is not None:
                delivery.answer = _tool_answer(call.number, reply)
            delivery.left = hops.below is not None
            if call.resolved:
                return reply, delivery.that_only_tells()
            leads_on = reply.status in REDIRECTS and reply.header("location") is not None
            if not delivers(reply.status, reply.outcome, leads_on or _is_unchanged(reply, request)):
                reply.outcome = Resolution(call, reply.outcome, self._deliver).told
                delivery = delivery.that_only_tells()
            else:
                reply.outcome = delivery.outcome
                if 200 <= reply.status < 300:
                    return reply, delivery
                if not leads_on:
                    if reply.status != 101:
                        yield from delivery.arrives()  # so that it stays in flight until its end is written
                    yield from delivery.resolved()
            if 300 <= reply.status < 400:
                hops.outcome = reply.outcome
            hops.redirect_delivery = delivery if leads_on else None
            return reply, None
        except BaseException as failure:
            call.attempt.end()
            if isinstance(failure, X402Error) and failure.response is None and _is_unsent(failure):
                failure.response = first and first.native
            tell_of_a_stop(failure, call)
            raise
        finally:
            hops.paid = call.paid


def _is_unsent(failure: X402Error) -> bool:
    """Return True if a failure came before a payment of its call left. Then the seller's answer is its 402."""
    return failure.money == "untouched" or isinstance(failure, LedgerUnavailable)


def _tool_answer(number: int | str, reply: Reply) -> ToolAnswer:
    """Return the reader of an answer. Where a redirect leads, another encoding may be: gzip, or it is read as it is."""
    if not 200 <= reply.status < 300:
        return ToolAnswer(number, "gzip")
    return ToolAnswer(number, reply.header("content-encoding") or "", reply.header("content-type") or "")


def _is_unchanged(reply: Reply, request: HttpRequest) -> bool:
    """Return True if a caller that asked whether its copy is still good was told that it is: that is what it bought."""
    return reply.status == 304 and ("if-none-match" in request.headers or "if-modified-since" in request.headers)


def _path_of(payers: Iterable[Payer]) -> tuple[AllowanceRules, ...]:
    """Return the allowances of these payers, and those above them."""
    found: tuple[AllowanceRules, ...] = ()
    for payer in payers:
        found = joined(found, getattr(payer, "path", ()))
    return found


def _root_of(given: object) -> Buyer:
    """Return the buyer that pays. Refuse what is no payer.

    A program with a buyer has imported its module. A face alone does without that import.
    """
    from ..buyer.payers import root_of

    return root_of(given)


def is_unpaid(method: str, headers: Container[str]) -> bool:
    """Return True if a request is never paid for."""
    if method in _OF_A_TRANSPORT:
        return any(name in headers for name in _TRANSPORT_HEADERS)
    return method in UNPAID_METHODS


def _paid_by_hand(headers: Container[str]) -> bool:
    """Return True if the caller pays by hand."""
    return "payment-signature" in headers or "x-payment" in headers


def _proven(origin: Origin, first: Reply) -> Origin:
    """Return the origin, marked as elsewhere if plain http to this machine was not seen to end here.

    Plain http is paid because it ends on this machine, so the connection itself has to show that.
    """
    if origin.scheme == "https" or not origin.loopback:
        return origin
    return origin if first.ends_here is not None and first.ends_here(origin.port) else replace(origin, elsewhere=True)


def _response_of(failure: BaseException) -> Any:
    """Return the response that an error is about. It stays readable."""
    return failure.response if isinstance(failure, X402Error) else None
