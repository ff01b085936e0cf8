"""The ledger in memory against a naive one: a list of payments with their times."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from x402_client.errors import OverLimit
from x402_client.model.budgets import WINDOWS, Cap
from x402_client.model.holds import Attempt, Authorization, Hold

from .test_memory import Clocked, order, purchase, spent

NAMES = st.sampled_from(["p", "q"])
HOSTS = st.sampled_from(["a.example", "b.example"])


@dataclass
class Payment:
    """What the naive ledger knows of one payment."""

    host: str
    units: int
    at: float
    name: str
    attempt: Attempt
    state: str = "reserved"


class LedgerMachine(RuleBasedStateMachine):
    """Reserve, sign, end, deliver, give back and wait in any order."""

    live = Bundle("live")

    @initialize(
        day=st.integers(5, 40), total=st.none() | st.integers(10, 60), count=st.none() | st.integers(1, 4),
        host=st.none() | st.integers(3, 20),
    )  # fmt: skip
    def start(self, day: int, total: int | None, count: int | None, host: int | None) -> None:
        self.ledger = Clocked()
        self.payments: dict[str, Payment] = {}
        self.caps = [Cap("", "day", "USD", day)]
        self.caps += [Cap("", "total", "USD", total)] if total else []
        self.caps += [Cap("", "minute", None, count)] if count else []
        self.caps += [Cap("a.example", "hour", "USD", host)] if host else []

    def of(self, cap: Cap, slack: float) -> int:
        """What a cap's window holds: at least, or with ``slack`` at most."""
        length = WINDOWS[cap.window]
        now = self.ledger.time
        counted = [
            1 if cap.currency is None else paid.units
            for paid in self.payments.values()
            if cap.account in ("", paid.host) and (length is None or paid.at + length * (1 + slack) > now)
        ]
        return sum(counted)

    def unresolved(self, name: str) -> list[str]:
        return [
            i for i, paid in self.payments.items()
            if paid.name == name and paid.state == "signed" and not paid.attempt.alive
        ]  # fmt: skip

    def reap(self, name: str | None = None) -> None:
        for i, paid in list(self.payments.items()):
            if paid.state == "reserved" and not paid.attempt.alive and name in (None, paid.name):
                del self.payments[i]

    @rule(target=live, name=NAMES, host=HOSTS, units=st.integers(1, 12))
    def reserve(self, name: str, host: str, units: int) -> Hold | None:
        attempt = Attempt()
        name = f"{host} {name}"
        caps = tuple(cap for cap in self.caps if cap.account in ("", host))
        waiting = self.unresolved(name)
        self.reap(name)
        try:
            hold = self.ledger.reserve(order(name, units, caps, host=host), attempt)
        except OverLimit:
            assert not waiting
            self.reap()
            assert any(self.of(cap, 1 / 60) + (1 if cap.currency is None else units) > cap.most for cap in caps)
            return None
        assert isinstance(hold, Hold)
        if waiting:
            assert hold.id in waiting
            self.payments[hold.id].attempt = attempt
            return hold
        known = {kept.id for kept in self.ledger.holds()}
        for i, paid in list(self.payments.items()):
            if paid.state == "reserved" and not paid.attempt.alive and i not in known:
                del self.payments[i]  # taken back to make room
        self.payments[hold.id] = Payment(host, units, self.ledger.time, name, attempt)
        for cap in caps:
            assert self.of(cap, 0) <= cap.most
        return hold

    @rule(hold=live)
    def sign(self, hold: Hold | None) -> None:
        paid = self.payments.get(hold.id) if hold else None
        if hold and paid and paid.state == "reserved":
            self.ledger.record(hold, Authorization("n", "p", 1, ("h", hold.id)))
            paid.state = "signed"

    @rule(hold=live)
    def release(self, hold: Hold | None) -> None:
        if hold:
            self.ledger.release(hold)
            if hold.id in self.payments and self.payments[hold.id].state == "reserved":
                del self.payments[hold.id]

    @rule(hold=live)
    def end(self, hold: Hold | None) -> None:
        if hold and hold.id in self.payments:
            self.payments[hold.id].attempt.end()

    @rule(hold=live)
    def deliver(self, hold: Hold | None) -> None:
        paid = self.payments.get(hold.id) if hold else None
        if hold and paid and paid.state == "signed":
            self.ledger.close(hold, "spent", None)
            paid.state = "delivered"

    @rule(hold=live, settled=st.booleans())
    def conclude(self, hold: Hold | None, settled: bool) -> None:
        paid = self.payments.get(hold.id) if hold else None
        if hold and paid and paid.state == "signed" and not paid.attempt.alive:
            self.ledger.conclude(hold, settled)
            if not settled:
                del self.payments[hold.id]

    @rule(name=NAMES, host=HOSTS)
    def claim(self, name: str, host: str) -> None:
        name = f"{host} {name}"
        waiting, attempt = self.unresolved(name), Attempt()
        self.reap(name)
        found = self.ledger.claim(purchase(name, host), attempt)
        assert (found is not None) is bool(waiting)
        if isinstance(found, Hold):
            assert found.authorization is not None
            assert found.authorization.header == ("h", found.id)
            self.payments[found.id].attempt = attempt

    @rule(seconds=st.sampled_from([0.5, 30, 61, 1800, 3700, 50_000, 90_000]))
    def wait(self, seconds: float) -> None:
        self.ledger.time += seconds

    @invariant()
    def the_sums_agree(self) -> None:
        """The ledger may still hold leases that the model gave back; those it takes back when they are in the way."""
        if not hasattr(self, "ledger"):
            return
        for account in ("", "a.example", "b.example"):
            for window in WINDOWS:
                counted = spent(self.ledger, account, window)
                cap = Cap(account, window, "USD", 0)
                assert self.of(cap, 0) <= counted <= self.of(cap, 1 / 60 + 1e-9)

    @invariant()
    def the_holds_agree(self) -> None:
        if hasattr(self, "ledger"):
            open_ones = {i for i, paid in self.payments.items() if paid.state != "delivered"}
            assert {hold.id for hold in self.ledger.holds()} == open_ones


LedgerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestLedger = LedgerMachine.TestCase
