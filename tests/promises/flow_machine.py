"""The whole flow as a state machine: many calls at once on one ledger, each stopped at any ask, answered well or badly.

The machine plays network, seller, chain, clock and user. It keeps books of its own, and after each step holds the flow
to its promises: nothing is signed without a hold; a purchase has no second live signature; what counts is never less
than what was really spent; and no state is without a way out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.core.scripted_flow import Ground, asking, called, paid, reply
from tests.wire.terms import decoded, entry
from x402_client import Policy
from x402_client.core import asks
from x402_client.core.call import Call
from x402_client.core.delivery import deliver
from x402_client.core.flow import pay
from x402_client.core.known_terms import Memory
from x402_client.core.paying_ahead import pay_ahead
from x402_client.errors import LedgerUnavailable, PaidNotDelivered, PaymentOutcomeUnknown, PaymentRejected, X402Error
from x402_client.model.holds import Spending

T = TypeVar("T")
PRICE = 10_000
LIMIT = 8
REQUESTS = [("GET /a", None), ("GET /a", None), ("GET /b", None), ("GET /c", "order-1")]
_WHICH = st.integers(0, 7)
KILLED: list[Callable[[], BaseException]] = [KeyboardInterrupt, asyncio.CancelledError, SystemExit]
FAILED: list[Callable[[], BaseException]] = [OSError, TimeoutError, *KILLED]
#: Asks whose doing may be lost: the ledger did it, and the answer never came back.
LEDGER = (asks.Reserve, asks.Claim, asks.Record, asks.Release, asks.Close, asks.Conclude, asks.WriteOff, asks.Note)


@dataclass
class Payment:
    """One authorization, as seller and chain know it."""

    purchase: str
    expires: float
    call: Running
    #: In the seller's hands from the first sending on: he can settle it while it lives.
    handed_over: bool = False
    settled: bool = False
    delivered: bool = False
    written_off: bool = False


@dataclass
class Running:
    """One call of the application, stopped at an ask."""

    call: Call
    flow: Any
    name: tuple[str, str | None]
    ask: Any = None
    answer: asks.Reply | None = None
    over: bool = False
    signs: int = 0
    written_off: int = 0
    told: list[Any] = field(default_factory=list)


def _pick(things: list[T], which: int) -> T | None:
    return things[which % len(things)] if things else None


class FlowMachine(RuleBasedStateMachine):
    """``ledger()`` makes the one under test."""

    def __init__(self) -> None:
        super().__init__()
        policy = Policy(per_request="0.01", total=str(LIMIT / 100), accept_loss=self.accepted())
        self.started, self.offset = time.time(), 0.0
        self.ground = Ground(policy, self.ledger(), repeat=("GET",))
        self.payments: dict[str, Payment] = {}
        self.calls: list[Running] = []
        self.memory = Memory()

    def ledger(self) -> Any:
        raise NotImplementedError

    def now(self) -> float:
        """The ledger's clock moves with the machine's steps, and not while the machine is slow."""
        return self.started + self.offset

    def accepted(self) -> str:
        return "0"

    # --- what the application does

    @precondition(lambda self: len(self.running) < 6)
    @rule(name=st.sampled_from(REQUESTS), first=st.sampled_from(["good", "good", "good", "bad", "dear"]))
    def call(self, name: tuple[str, str | None], first: str) -> None:
        call = called(name[0], key=name[1], memory=self.memory)
        terms = {"good": asking(), "bad": reply(402, {"x402Version": 2}), "dear": asking(entry(amount="99000"))}[first]
        running = Running(call, pay(call, terms, self.ground.rules), name)
        self.calls.append(running)
        self.go_on(running, lambda: next(running.flow))

    @precondition(lambda self: len(self.running) < 6 and self.memory.knows(called().place))
    @rule(name=st.sampled_from(REQUESTS))
    def call_ahead(self, name: tuple[str, str | None]) -> None:
        """As ``call``, where an earlier delivery taught the terms."""
        call = called(name[0], key=name[1], memory=self.memory)
        running = Running(call, pay_ahead(call, self.ground.rules), name)
        self.calls.append(running)
        self.go_on(running, lambda: next(running.flow))

    @precondition(lambda self: self.answered)
    @rule(data=st.data(), how=st.sampled_from(["read", "read", "dropped", "closing fails"]))
    def finish(self, data: st.DataObject, how: str) -> None:
        running = data.draw(st.sampled_from(self.answered))
        answer, running.answer = running.answer, None
        assert answer is not None
        assert answer.outcome is not None
        if how == "dropped":
            running.call.attempt.end()
            return
        flow = deliver(running.call, answer.outcome)
        payment = self.payments[answer.outcome.hold.nonce or ""]
        ask = next(flow, None)
        while ask is not None:
            failing = how != "read" and isinstance(ask, asks.Close)
            if not failing:
                self.ground.answer(ask)
                payment.delivered = True
            try:
                ask = flow.throw(LedgerUnavailable("disk")) if failing else flow.send(None)
            except StopIteration:
                ask = None
        if how != "read":
            running.call.attempt.end()  # the process ends before it is written

    @rule(which=_WHICH)
    def give_up(self, which: int) -> None:
        open_ones = {hold.nonce: hold for hold in self.ground.ledger.holds() if hold.nonce}
        nonce = _pick([nonce for nonce in self.payments if nonce in open_ones], which)
        if nonce is None:
            return
        hold = open_ones[nonce]
        try:
            self.ground.ledger.write_off(hold)
        except X402Error:
            return
        assert not self.lives(self.payments[hold.nonce])
        self.payments[hold.nonce].written_off = True

    # --- what the world does

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["well"] * 8 + ["badly", "lost", "killed"]))
    def step(self, data: st.DataObject, how: str) -> None:
        running = data.draw(st.sampled_from(self.running))
        ask = running.ask
        if how == "killed":
            failure = data.draw(st.sampled_from(KILLED))()
            self.go_on(running, lambda: running.flow.throw(failure))
            return
        if how == "badly" and not isinstance(ask, (asks.Tell, asks.LeftAlone, asks.Settlement, asks.Pause)):
            ledger = isinstance(ask, LEDGER)
            failure = LedgerUnavailable("disk") if ledger else data.draw(st.sampled_from(FAILED))()
            self.go_on(running, lambda: running.flow.throw(failure))
            return
        try:
            answer = self.done(running, ask, data)
        except Exception as refused:
            problem = refused
            self.go_on(running, lambda: running.flow.throw(problem))
            return
        if how == "lost" and isinstance(ask, LEDGER):
            self.go_on(running, lambda: running.flow.throw(LedgerUnavailable("the line broke")))
            return
        self.go_on(running, lambda: running.flow.send(answer))

    @rule(which=_WHICH)
    def settle_late(self, which: int) -> None:
        """Settle what the seller was handed, after any answer, as long as the chain takes it."""
        payment = _pick([one for one in self.payments.values() if one.handed_over and self.valid(one)], which)
        if payment is not None:
            payment.settled = True

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 3_600.0]))
    def wait(self, seconds: float) -> None:
        self.offset += seconds

    # --- the answers

    def done(self, running: Running, ask: Any, data: st.DataObject) -> Any:
        if isinstance(ask, asks.Send):
            return self.sent(running, ask, data)
        if isinstance(ask, asks.SignTyped):
            running.signs += 1
            mine = [h for h in self.ground.ledger.holds() if h.state == "reserved"]
            assert mine, "a signature without a hold"
        if isinstance(ask, asks.Record):
            self.check_second(running, ask)
        if isinstance(ask, asks.Settlement):
            return self.fate(ask.hold.nonce, data)
        if isinstance(ask, asks.Expired):
            return self.fates(data)
        if isinstance(ask, asks.LookNow):
            payment = self.payments[ask.hold.nonce]
            return asks.Seen(payment.settled and data.draw(st.booleans()))
        answer = self.ground.answer(ask)
        if isinstance(ask, asks.Record):
            self.payments[ask.authorization.nonce] = Payment(ask.hold.purchase.id, ask.authorization.expires, running)
        if isinstance(ask, asks.WriteOff):
            running.written_off += 1
            self.payments[ask.hold.nonce].written_off = True
        return answer

    def sent(self, running: Running, ask: asks.Send, data: st.DataObject) -> Any:
        said = decoded(ask.header[1])["payload"]["authorization"]
        payment = self.payments[said["nonce"]]
        assert not payment.written_off, "a written off payment is presented"
        others = [
            one for one in self.calls if one is not running and one.call.attempt.alive and not one.over
            and isinstance(one.ask, asks.Send) and one.ask.header == ask.header
        ]  # fmt: skip
        assert not others, "two attempts present one hold"
        payment.handed_over, payment.call = True, running
        what = data.draw(st.sampled_from(["content", "content", "late", "402", "500", "404", "drop", "time-out"]))
        if what == "late" and self.valid(payment):
            payment.settled = True
            what = data.draw(st.sampled_from(["402", "500", "drop", "time-out"]))
        if what == "content":
            if not payment.settled and not self.valid(payment):
                return asking()
            payment.settled = True
            return paid(payer=said["from"])
        if what in ("drop", "time-out"):
            raise {"drop": OSError, "time-out": TimeoutError}[what]
        return asking() if what in ("402", "late") else reply(int(what), b"no")

    def fate(self, nonce: str, data: st.DataObject) -> str:
        payment = self.payments[nonce]
        silent = data.draw(st.booleans())
        if self.valid(payment):
            return data.draw(st.sampled_from(["open", "live"]))
        if silent:
            return "unknown"
        return "settled" if payment.settled else "not_settled"

    def fates(self, data: st.DataObject) -> list[Any]:
        open_ones = {hold.nonce: hold for hold in self.ground.ledger.holds() if hold.nonce}
        return [(open_ones[nonce], self.fate(nonce, data)) for nonce in self.payments if nonce in open_ones]

    # --- the books

    @property
    def running(self) -> list[Running]:
        return [one for one in self.calls if not one.over]

    @property
    def answered(self) -> list[Running]:
        return [one for one in self.calls if one.answer is not None]

    def valid(self, payment: Payment) -> bool:
        return time.time() + self.offset <= payment.expires

    def lives(self, payment: Payment) -> bool:
        """Whether the attempt that presents it is alive: running, or its answer not read yet."""
        return payment.call.call.attempt.alive

    def go_on(self, running: Running, step: Callable[[], Any]) -> None:
        try:
            running.ask = step()
            return
        except StopIteration as end:
            answer: asks.Reply | None = end.value
            running.over = True
            if answer is None:  # nothing was paid ahead; such a request goes the ordinary way
                assert not running.call.attempt.alive
                assert running.call.paid is None
                return
            delivers = answer.outcome is not None and 200 <= answer.status < 300
            assert running.call.attempt.alive is delivers
            running.answer = answer if delivers else None
        except (X402Error, OSError, KeyboardInterrupt, asyncio.CancelledError, SystemExit) as raised:
            running.over = True
            self.raised(running, raised)
        assert running.signs <= 1

    def raised(self, running: Running, failure: BaseException) -> None:
        assert not running.call.attempt.alive
        assert "eyJ" not in f"{failure!r} {failure}"
        if isinstance(failure, (PaymentRejected, PaymentOutcomeUnknown, PaidNotDelivered)):
            assert failure.hold is not None

    def check_second(self, running: Running, ask: asks.Record) -> None:
        """Before a purchase has a further signature, each earlier one is dead, paid for, given up, or in flight."""
        for payment in self.payments.values():
            if payment.purchase != ask.hold.purchase.id or payment.delivered or payment.written_off:
                continue
            dead = not payment.settled and not self.valid(payment)
            in_flight = self.lives(payment) and running.name[1] is None and payment.call is not running
            assert dead or in_flight, "a second live signature for one purchase"

    @invariant()
    def counts_at_least_what_was_spent(self) -> None:
        counted = self.ground.ledger.spent(Spending("", "total", "USD"))
        at_risk = [p for p in self.payments.values() if p.settled or (p.handed_over and self.valid(p))]
        assert counted >= PRICE * len(at_risk)
        assert counted <= PRICE * LIMIT

    @invariant()
    def a_key_is_paid_once(self) -> None:
        keyed = [p for p in self.payments.values() if p.settled and p.call.name[1] and not p.written_off]
        assert len(keyed) <= 1

    def teardown(self) -> None:
        """There is a way out of every state: the chain tells, or the user gives up; then the same request buys anew."""
        for running in self.calls:
            running.flow.close()
            running.call.attempt.end()
        self.offset += 1e6
        for hold in self._left():
            payment = self.payments[hold.nonce]
            self.ground.ledger.conclude(hold, payment.settled)
        for hold in self._left():
            assert hold.money == "spent"
            self.ground.ledger.write_off(hold)
        assert not list(self._left())

    def _left(self) -> Iterator[Any]:
        return (hold for hold in self.ground.ledger.holds() if hold.state == "signed")
