"""Random trees of allowances against a plain model: nothing in a child exceeds or outlives what is above it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from x402_client.errors import AllowanceEnded, Frozen, LedgerUnavailable, OverLimit, X402Error
from x402_client.ledgers.conformance import cap, order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite.clock import LedgerClock
from x402_client.model.allowances import AllowanceTerms, allowance_account
from x402_client.model.holds import Attempt, Hold

from .test_memory import Clocked


@dataclass
class Node:
    """An allowance as the plain model knows it."""

    path: tuple[str, ...]
    most: int
    until: float | None
    state: str = "open"


@dataclass
class Payment:
    """A payment as the plain model knows it."""

    hold: Hold
    attempt: Attempt
    path: tuple[str, ...]
    units: int
    state: str = "reserved"
    counts: bool = True


@dataclass
class Model:
    """A plain model: lists that are added up anew at each question."""

    nodes: dict[str, Node] = field(default_factory=dict)
    payments: list[Payment] = field(default_factory=list)

    def spent(self, account: str) -> int:
        return sum(paid.units for paid in self.payments if paid.counts and account in paid.path)

    def state(self, account: str, now: float) -> str:
        node = self.nodes[account]
        over = node.until is not None and now >= node.until
        return "ended" if over and node.state != "closed" else node.state

    def refusal(self, path: tuple[str, ...], units: int, now: float) -> type[X402Error] | None:
        for account in path:
            state = self.state(account, now)
            if state != "open":
                return Frozen if state == "frozen" else AllowanceEnded
        full = any(self.spent(account) + units > self.nodes[account].most for account in path)
        return OverLimit if full else None


def outcome(question: Callable[[], Any]) -> Any:
    """Return an answer, or the error that was raised instead."""
    try:
        return question()
    except X402Error as failure:
        return failure


_SECONDS = st.sampled_from([None, None, 60, 3_600])


class TreeMachine(RuleBasedStateMachine):
    """Opens, spends, gives back, freezes, closes and waits, in any order."""

    paid = Bundle("paid")
    ledger: Any

    def open_ledger(self) -> Any:
        return Clocked()

    def now(self) -> float:
        return float(self.ledger.time)

    def pass_time(self, seconds: float) -> None:
        self.ledger.time += seconds

    @initialize(trees=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9), _SECONDS)))
    def grow(self, trees: list[tuple[int, int, int | None]]) -> None:
        self.ledger, self.model, self.number = self.open_ledger(), Model(), 0
        for above, most, seconds in trees[:6] or [(0, 5, None)]:
            nodes = list(self.model.nodes.values())
            path = nodes[above % len(nodes)].path if nodes and above else ()
            account = allowance_account(f"{len(nodes)}")
            self.open_one(account, path, most * 10_000, seconds)

    def open_one(self, account: str, path: tuple[str, ...], most: int, seconds: int | None) -> None:
        parent = path[-1] if path else None
        terms = AllowanceTerms("default", account, (f"0.0{most // 10_000} USD",), seconds, parent=parent)
        record = self.ledger.open_allowance(terms)
        assert record.until == (None if seconds is None else self.now() + seconds)
        self.model.nodes[account] = Node((*path, account), most, record.until)

    def node(self, which: int) -> Node:
        nodes = list(self.model.nodes.values())
        return nodes[which % len(nodes)]

    @rule(target=paid, which=st.integers(0, 9), cents=st.integers(1, 3))
    def buy(self, which: int, cents: int) -> Any:
        node, attempt, units = self.node(which), Attempt(), cents * 10_000
        self.number += 1
        caps = [cap(self.model.nodes[account].most, "total", account) for account in node.path]
        asked = order(purchase(f"{self.number}"), *caps, price=f"0.0{cents}", path=node.path)
        self.reap()
        refusal = self.model.refusal(node.path, units, self.now())
        hold = outcome(lambda: self.ledger.reserve(asked, attempt))
        assert refusal is (None if isinstance(hold, Hold) else type(hold))
        if not isinstance(hold, Hold):
            return multiple()
        self.model.payments.append(Payment(hold, attempt, node.path, units))
        assert hold.used == tuple(map(self.model.spent, node.path))
        return self.model.payments[-1]

    def reap(self) -> None:
        """Give back in the model what the ledger gives back when it is in the way."""
        for paid in self.model.payments:
            if paid.state == "reserved" and not paid.attempt.alive:
                paid.counts, paid.state = False, "gone"
                self.ledger.release(paid.hold)

    @rule(paid=paid)
    def sign(self, paid: Payment) -> None:
        if paid.state != "reserved" or not paid.attempt.alive:
            return
        refusal = self.model.refusal(paid.path, 0, self.now())
        hold = outcome(lambda: self.ledger.record(paid.hold, signed(paid.hold.id)))
        assert refusal is (None if isinstance(hold, Hold) else type(hold))
        if isinstance(hold, Hold):
            paid.hold, paid.state = hold, "signed"

    @rule(paid=paid)
    def release(self, paid: Payment) -> None:
        self.ledger.release(paid.hold)
        if paid.state == "reserved":
            paid.counts, paid.state = False, "gone"

    @rule(paid=paid)
    def end(self, paid: Payment) -> None:
        paid.attempt.end()

    @rule(paid=paid, settled=st.booleans())
    def conclude(self, paid: Payment, settled: bool) -> None:
        if paid.state == "signed" and not paid.attempt.alive:
            assert self.ledger.conclude(paid.hold, settled)
            if not settled:
                paid.counts, paid.state = False, "gone"

    @rule(paid=paid, which=st.integers(0, 9))
    def present_under_another(self, paid: Payment, which: int) -> None:
        """An unresolved payment is taken over under any allowance, whatever its state, and stays where it was."""
        if paid.state != "signed" or paid.attempt.alive:
            return
        paid.attempt = Attempt()
        other = order(paid.hold.purchase, path=self.node(which).path)
        found = self.ledger.reserve(other, paid.attempt)
        assert (found.id, found.path) == (paid.hold.id, paid.path)

    @rule(paid=paid)
    def deliver(self, paid: Payment) -> None:
        if paid.state == "signed":
            self.ledger.close(paid.hold, "spent", None)
            paid.state = "delivered"

    @rule(which=st.integers(0, 9), mark=st.sampled_from(["open", "open", "frozen", "closed"]))
    def mark(self, which: int, mark: Any) -> None:
        node = self.node(which)
        assert self.ledger.mark_allowance("default", node.path[-1], mark)
        node.state = node.state if node.state == "closed" else mark

    @rule(seconds=st.sampled_from([0.5, 30, 61, 3_700, 90_000, 32 * 86_400]))
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(which=st.integers(0, 9), seconds=st.sampled_from([None, 60]))
    def open_again(self, which: int, seconds: int | None) -> None:
        """Nothing that is asked for later changes what there is."""
        account = self.node(which).path[-1]
        before = self.ledger.allowances("default", (account,))
        assert (self.ledger.open_allowance(AllowanceTerms("default", account, ("9 USD",), seconds)),) == before

    @rule(which=st.integers(0, 9))
    def forget(self, which: int) -> None:
        """A name stays taken."""
        node = self.node(which)
        if node.state == "closed":
            assert self.ledger.mark_allowance("default", node.path[-1], "forgotten")

    @invariant()
    def nothing_exceeds_what_is_above_it(self) -> None:
        if not hasattr(self, "ledger"):
            return
        now, found = self.now(), {record.terms.account: record for record in self.ledger.allowances()}
        assert list(found) == list(self.model.nodes)
        for account, node in self.model.nodes.items():
            assert found[account].state == self.model.state(account, now)
            assert found[account].until == node.until
            waiting = sum(
                paid.units for paid in self.model.payments
                if paid.state == "reserved" and not paid.attempt.alive and account in paid.path
            )  # fmt: skip
            assert self.model.spent(account) - waiting <= found[account].spent("USD") <= self.model.spent(account)
            assert found[account].spent("USD") <= node.most
            inside = [one for one in self.model.nodes.values() if account in one.path[:-1]]
            assert all(found[one.path[-1]].spent("USD") <= node.most for one in inside)

    @invariant()
    def none_is_missing(self) -> None:
        if hasattr(self, "ledger"):
            for path in (("allowance none",), (*self.node(0).path, "allowance none")):
                missing = order(purchase("missing"), path=path)
                found = outcome(partial(self.ledger.reserve, missing, Attempt()))
                assert isinstance(found, (LedgerUnavailable, AllowanceEnded, Frozen))


class InAFile(TreeMachine):
    """The same in a file, which is opened again now and then."""

    def open_ledger(self) -> Any:
        self.directory, self.at = Path(tempfile.mkdtemp()), 1_700_000_000.0
        self.clock = LedgerClock(lambda: self.at, lambda: self.at, lambda: "boot")
        return SqliteLedger(self.directory / "ledger.db", clock=self.clock)

    def now(self) -> float:
        return self.at

    def pass_time(self, seconds: float) -> None:
        self.at += seconds

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.ledger.close_ledger()
            shutil.rmtree(self.directory)


TestInMemory = TreeMachine.TestCase
TestInMemory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestInAFile = InAFile.TestCase
TestInAFile.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
