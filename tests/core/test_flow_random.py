"""The promises hold, with any answer, failure or cancellation at any ask. Ledger, key and scheme are real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.terms import challenge, decoded, entry
from x402_client import Policy, errors
from x402_client.core import asks
from x402_client.core.call import Call
from x402_client.core.delivery import deliver
from x402_client.core.flow import pay
from x402_client.core.ledger_reads import Freezes
from x402_client.model.holds import Hold

from .scripted_flow import Ground, asking, called, paid, reply, signature

KILLED: list[Callable[[], BaseException]] = [KeyboardInterrupt, asyncio.CancelledError, SystemExit]
LEDGER_TROUBLE: list[Callable[[], BaseException]] = [
    lambda: errors.LedgerUnavailable("disk"),
    lambda: errors.Frozen("stop"),
    OSError,
    RuntimeError,
]
TROUBLE: dict[type[Any], list[Callable[[], BaseException]]] = {
    asks.Peek: [OSError, lambda: errors.MalformedQuote("cut")],
    asks.Digest: [OSError, lambda: errors.BodyNotReplayable("gone")],
    asks.Reserve: [*LEDGER_TROUBLE, lambda: errors.OverLimit("full"), lambda: errors.AlreadyPaid("before")],
    asks.Join: [],
    asks.Claim: LEDGER_TROUBLE,
    asks.Record: LEDGER_TROUBLE,
    asks.Release: LEDGER_TROUBLE,
    asks.Close: LEDGER_TROUBLE,
    asks.Conclude: LEDGER_TROUBLE,
    asks.WriteOff: [*LEDGER_TROUBLE, lambda: errors.PaymentRefused("claimed meanwhile")],
    asks.Note: LEDGER_TROUBLE,
    asks.Settlement: [],
    asks.Expired: LEDGER_TROUBLE,
    asks.Holds: LEDGER_TROUBLE,
    Freezes: LEDGER_TROUBLE,
    asks.LookNow: [OSError],
    asks.LeftAlone: [],
    asks.SignTyped: [
        OSError, StopIteration, lambda: errors.SigningError("no"), lambda: errors.Frozen("odd"),
        lambda: errors.ConfigurationError("async"),
    ],
    asks.SignText: [OSError, StopIteration, lambda: errors.SigningError("no")],
    asks.Bought: LEDGER_TROUBLE,
    asks.Approve: [OSError, lambda: errors.ApprovalDenied("no")],
    asks.LookAgain: [OSError, TimeoutError],
    asks.Send: [OSError, TimeoutError, lambda: errors.Frozen("odd"), lambda: errors.MalformedQuote("odd")],
    asks.Tell: [],
    asks.Pause: [],
    asks.Failed: [],
}  # fmt: skip
#: What may reach the application; anything else is a fault of the test or of the code.
APPLICATION = (
    errors.X402Error, OSError, RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError,
)  # fmt: skip
FIRST = [
    lambda: asking(),
    lambda: asking(),
    lambda: asking(),
    lambda: asking(entry(amount="20000")),
    lambda: asking(entry(amount="99000"), entry(scheme="barter", amount="1")),
    lambda: asking(entry(network="base")),
    lambda: reply(402, {"x402Version": 2, "accepts": []}),
    lambda: asking(extensions=challenge()),
    lambda: asking(extensions=challenge()),
    lambda: reply(402, {"x402Version": 2, "accepts": [], "extensions": challenge()}),
    lambda: reply(402, {"error": "quota"}),
]
ANSWERS: dict[type[Any], list[Callable[[Any], Any]]] = {
    asks.Send: [
        lambda ask: paid(200), lambda ask: paid(200), lambda ask: reply(200), lambda ask: reply(503),
        lambda ask: reply(302), lambda ask: asking(), lambda ask: reply(402), lambda ask: paid(402),
        lambda ask: reply(403), lambda ask: asking(extensions=challenge()),
    ],
    asks.LookAgain: [lambda ask: asking(), lambda ask: reply(200), lambda ask: asking(entry(amount="1"))],
    asks.Approve: [lambda ask: asks.Approved(True, 0.0), lambda ask: asks.Approved(True, 99.0),
                   lambda ask: asks.Approved(False, 0.0)],
    asks.SignTyped: [signature, signature, lambda ask: asks.SignatureGiven(b"\1" * 65)],
    asks.Settlement: [lambda ask, fate=fate: fate for fate in ("open", "open", "open", "live", "settled", "unknown")],
    asks.LookNow: [lambda ask: asks.Seen(False), lambda ask: asks.Seen(True)],
    asks.LeftAlone: [lambda ask: None, lambda ask: None, lambda ask: datetime(2030, 1, 1, tzinfo=UTC)],
}  # fmt: skip


class Run:
    """One call stepped by hand, with the promises checked at every step."""

    def __init__(self, ground: Ground, call: Call, first: asks.Reply, draw: Callable[..., Any], sent: set[Any]) -> None:
        self.ground, self.call, self.first, self.draw, self.sent = ground, call, first, draw, sent
        self.sends = self.signatures = self.sign_ins = 0
        actions = st.sampled_from(["fail", "late", "close"])
        self.planned = draw(st.dictionaries(st.sampled_from(list(TROUBLE)), actions, max_size=2))
        self.recorded = self.shown = False
        self.counted = self.solid
        #: The payments that were known as paid before this call. Nothing that it hears takes that back.
        self.paid = self.known_paid

    @property
    def rows(self) -> list[Any]:
        return list(self.ground.ledger._rows.values())

    @property
    def solid(self) -> int:
        """What counts, without the leases that the next reservation may take back."""
        leases = [row for row in self.rows if row.hold.state == "reserved" and not row.in_flight]
        return self.ground.spent - sum(row.hold.price.units for row in leases)

    @property
    def known_paid(self) -> set[str]:
        return {hold.id for hold in self.ground.ledger.holds() if hold.told.money == "spent"}

    def step(self, flow: Any) -> asks.Reply:
        ask = next(flow)
        try:
            while True:
                self.look_at(ask)
                action, failure = self.what_happens(ask)
                if action == "close":
                    flow.close()
                    raise GeneratorExit
                if action == "fail":
                    ask = flow.throw(failure)
                    continue
                answer, failure = self.done(ask)
                ask = flow.throw(failure) if failure or action == "late" else flow.send(answer)
        except StopIteration as end:
            answer: asks.Reply = end.value
            return answer
        finally:
            flow.close()

    def what_happens(self, ask: Any) -> tuple[str, BaseException | None]:
        kinds = [*TROUBLE[type(ask)], *KILLED]
        action = self.planned.get(type(ask), "answer")
        self.failure = self.draw(st.sampled_from(kinds))() if action in ("fail", "late") else None
        return action, self.failure

    def done(self, ask: Any) -> tuple[Any, BaseException | None]:
        """The answer; what really was done counts even if its answer is lost."""
        if isinstance(ask, asks.Bought):
            known = (*self.ground.ledger.holds(), *self.ground.ledger.history(9))
            return self.draw(st.sampled_from([None, *known])), self.failure
        if type(ask) in ANSWERS:
            answer = self.draw(st.sampled_from(ANSWERS[type(ask)]))(ask)
            self.shown |= isinstance(answer, asks.Seen) and answer.settled
            return answer, self.failure
        try:
            answer = self.ground.answer(ask)
        except errors.X402Error as refused:
            return None, refused
        in_one_step = isinstance(ask, asks.Reserve) and getattr(answer, "authorization", None) is not None
        self.recorded |= isinstance(ask, asks.Record) or in_one_step
        return answer, self.failure

    def look_at(self, ask: Any) -> None:
        mine = [row for row in self.rows if row.attempt() is self.call.attempt]
        if isinstance(ask, asks.SignTyped):
            self.signatures += 1
            before = [[], ["reserved"]] if self.ground.one_step else [["reserved"]]
            assert [row.hold.state for row in mine] in before
        if isinstance(ask, asks.Send) and ask.header[0] == "SIGN-IN-WITH-X":
            self.sign_ins += 1
            assert (mine, self.sends, self.sign_ins) == ([], 0, 1), "before all that has to do with money, and once"
        elif isinstance(ask, asks.Send):
            self.sends += 1
            assert [(row.hold.state, row.hold.authorization.header) for row in mine] == [("signed", ask.header)]
            self.sent.add(ask.header)
        presented = sum(int(decoded(value)["accepted"]["amount"]) for _, value in self.sent)
        assert self.ground.spent >= presented
        signed = [row.hold.purchase.id for row in self.rows if row.hold.state == "signed"]
        assert len(signed) == len(set(signed))
        assert self.sends <= 1

    def ended(self, answer: asks.Reply | None, failure: BaseException | None) -> None:
        outcome = None if answer is None else answer.outcome
        free = outcome is not None and outcome.money == "untouched"
        handed_over = answer is not None and outcome is not None and 200 <= answer.status < 300 and not free
        assert self.call.attempt.alive is handed_over
        assert not free or (self.sign_ins, self.sends, self.signatures) == (1, 0, 0)
        assert self.paid & {row.hold.id for row in self.rows} <= self.known_paid
        if outcome is not None and outcome.hold.id in self.paid:
            assert outcome.money == outcome.hold.money == "spent"
        if answer is self.first:
            assert self.signatures == 0 or (self.ground.one_step and not self.sends)
        if not self.recorded and not self.sends:
            assert self.solid == self.counted
        if isinstance(failure, Exception) and not {asks.Reserve, asks.Release, asks.Tell} & set(self.planned):
            assert "reserved" not in {row.hold.state for row in self.rows if row.attempt() is self.call.attempt}
        if isinstance(failure, errors.X402Error):
            assert failure.money != "untouched" or self.sends == 0
            after = ("spent",) if isinstance(failure, errors.PaidNotDelivered) else ("held", "unknown")
            known = failure.hold is not None and failure.hold.id in self.paid
            after = ("spent",) if known else (*after, "spent") if self.shown else after
            assert self.sends == 0 or failure.money in after
            assert failure.hold is None or isinstance(failure.hold, Hold)
            self.tells_the_same(failure)
            header = failure.hold and failure.hold.authorization and failure.hold.authorization.header
            assert header in (None, ("", ""))
        assert not any(value in f"{failure!r} {failure}" for _, value in self.sent)

    def tells_the_same(self, failure: errors.X402Error) -> None:
        """The error, its hold, and later the list of holds agree on the money."""
        if failure.hold is None or not self.sends:
            return
        assert failure.hold.money == failure.money
        listed = [hold.told.money for hold in self.ground.ledger.holds() if hold.id == failure.hold.id]
        assert asks.Note in self.planned or listed in ([], [failure.money])


@settings(max_examples=600)
@given(st.data())
def test_the_promises_hold(data: st.DataObject) -> None:
    draw = data.draw
    approving, one_step = draw(st.booleans()), draw(st.booleans())
    policy = Policy(per_request="0.05", per_day="0.06", approve_above="0.015" if approving else None)
    on_refusal, approve = draw(st.sampled_from(["raise", "return"])), (lambda a: True) if approving else None
    ground = Ground(policy, one_step=one_step, on_refusal=on_refusal, approve=approve)
    sent: set[Any] = set()
    for _ in range(draw(st.integers(1, 5))):
        call = called(
            draw(st.sampled_from(["GET /a", "GET /a", "GET /b"])), key=draw(st.sampled_from([None, None, "k"]))
        )
        first = draw(st.sampled_from(FIRST))()
        one = Run(ground, call, first, draw, sent)
        answer, failure = None, None
        try:
            answer = one.step(pay(call, first, ground.rules))
        except APPLICATION as raised:
            failure = raised
        one.ended(answer, failure)
        if answer is not None and answer.outcome is not None and call.attempt.alive:
            finish(ground, call, answer, draw)
        assert not call.attempt.alive
    assert ground.spent <= 60_000
    kept = [asdict(hold) for hold in (*ground.ledger.holds(), *ground.ledger.history(9))]
    assert "eyJ" not in repr((kept, ground.asked))


def finish(ground: Ground, call: Call, answer: asks.Reply, draw: Callable[..., Any]) -> None:
    """The caller reads the answer to its end, or drops it."""
    assert answer.outcome is not None
    if draw(st.booleans()):
        call.attempt.end()
        return
    before = ground.spent
    flow = deliver(call, answer.outcome)
    for ask in flow:
        ground.answer(ask)
    assert ground.spent == before
    assert answer.outcome.hold.id not in {hold.id for hold in ground.ledger.holds()}
