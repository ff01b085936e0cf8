"""Allowances: budgets within the budget. All of a tree is taken, refused and given back in one step."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from random import Random

from ...errors import AllowanceEnded, AlreadyPaid, Frozen, LedgerUnavailable, OverLimit, X402Error
from ...model.allowances import AllowanceRecord, AllowanceTerms, allowance_account
from ...model.budgets import Cap
from ...model.holds import Hold, Order
from ...model.money import Money
from .fixtures import LedgerTestCase, at_once, cap, expect, order, purchase, signed

RUN, STEP, OTHER = (allowance_account(name) for name in ("run-42", "step", "other"))
_PATH = (RUN, STEP)
#: Seeds of the drawn trees.
_DRAWS = 8


def terms(account: str = RUN, amount: str = "1 USD", **more: object) -> AllowanceTerms:
    """Return the terms of an allowance."""
    return AllowanceTerms(**{"purse": "default", "account": account, "amounts": (amount,), **more})  # type: ignore[arg-type]


def under(path: tuple[str, ...], name: str = "weather", *caps: Cap, price: str = "0.01") -> Order:
    """Return an order under allowances."""
    return order(purchase(name), *caps, price=price, path=path)


class AllowanceTestCase(LedgerTestCase):
    """Base of the tests: short methods for what is done to an allowance."""

    def opened(self, account: str = RUN, **more: object) -> AllowanceRecord:
        """Open an allowance, or find it."""
        record: AllowanceRecord = self.answer(self.ledger.open_allowance(terms(account, **more)))  # type: ignore[arg-type]
        return record

    def tree(self) -> None:
        """Open a parent and its child."""
        self.opened(RUN)
        self.opened(STEP, parent=RUN)

    def mark(self, account: str, mark: str, purse: str = "default") -> bool:
        """Set the state of an allowance."""
        known: bool = self.answer(self.ledger.mark_allowance(purse, account, mark))
        return known

    def listed(self, *accounts: str, purse: str = "default") -> tuple[AllowanceRecord, ...]:
        """Return the allowances of a purse."""
        found: tuple[AllowanceRecord, ...] = self.answer(self.ledger.allowances(purse, accounts))
        return found

    def both(self) -> list[int]:
        """Return what counts in the parent and in the child."""
        return [self.spent(account, "total") for account in _PATH]


class OpenedAllowances(AllowanceTestCase):
    """Tests of what a ledger keeps of an allowance."""

    def test_an_allowance_is_made_once_and_keeps_its_terms_and_its_end(self) -> None:
        first = self.opened(seconds=3_600, hosts=("*.example.com",), per_request=("0.1 USD",))
        assert (first.state, first.counted) == ("open", ())
        assert first.terms == terms(seconds=3_600, hosts=("*.example.com",), per_request=("0.1 USD",))
        assert first.until is not None
        assert first.until - first.opened == 3_600
        for other in ({"amount": "2 USD"}, {"seconds": 60}, {"parent": OTHER}, {}):
            found = self.opened(RUN, **other)
            assert (found.terms, found.until, found.opened) == (first.terms, first.until, first.opened)

    def test_one_without_an_end_has_none(self) -> None:
        record = self.opened()
        assert (record.until, record.terms.seconds, record.terms.hosts, record.terms.per_request) == (None,) * 3 + ((),)

    def test_threads_open_one(self) -> None:
        found = at_once(8, lambda number: self.opened(amount=f"{number + 1} USD"))
        assert len({(record.terms, record.opened) for record in found}) == 1

    def test_names_are_those_of_a_purse(self) -> None:
        self.opened(amount="1 USD")
        assert self.opened(amount="2 USD", purse="other").terms.amounts == ("2 USD",)
        self.mark(RUN, "closed", "other")
        assert [record.state for record in self.listed()] == ["open"]
        assert [record.state for record in self.listed(purse="other")] == ["closed"]
        assert isinstance(self.reserve(under((RUN,)), self.attempt()), Hold)

    def test_a_list_has_them_all_with_what_they_count(self) -> None:
        self.tree()
        self.opened(OTHER)
        self.reserve(under(_PATH), self.attempt())
        self.reserve(order(purchase("euros"), price="1 EUR", path=(RUN,)), self.attempt())
        found = {record.terms.account: record.counted for record in self.listed()}
        assert found == {RUN: (("EUR", 1_000_000), ("USD", 10_000)), STEP: (("USD", 10_000),), OTHER: ()}
        assert [record.terms.parent for record in self.listed(STEP, RUN)] == [None, RUN]
        assert self.listed(allowance_account("none")) == ()
        assert self.opened().spent("USD") == 10_000

    def test_one_that_was_named_is_kept_for_ever(self) -> None:
        self.opened()
        assert self.mark(RUN, "forgotten")
        assert [record.state for record in self.listed()] == ["closed"]
        assert self.opened(amount="2 USD").terms.amounts == ("1 USD",)

    def test_one_without_a_name_of_its_own_can_be_forgotten_with_all_that_it_counted(self) -> None:
        unnamed = allowance_account("~3f")
        self.opened(unnamed)
        unsigned, sent = self.attempt(), self.attempt()
        self.reserve(under((unnamed,), "unsigned"), unsigned)
        hold = self.presented(under((unnamed,), "sent"), sent)
        assert self.mark(unnamed, "forgotten")
        assert not self.mark(unnamed, "forgotten")
        assert (self.listed(), self.spent(unnamed, "total")) == ((), 0)
        expect(LedgerUnavailable, lambda: self.reserve(under((unnamed,), "new"), self.attempt()))
        self.opened(OTHER)
        self.reserve(under((OTHER,), "more"), self.attempt())
        unsigned.end()
        sent.end()
        self.reserve(order(purchase("unsigned")), self.attempt())
        self.answer(self.ledger.conclude(hold, False))
        assert (self.spent(), self.spent(OTHER, "total")) == (20_000, 10_000)

    def test_one_that_is_not_there_is_not_marked_and_pays_nothing(self) -> None:
        assert not self.mark(RUN, "closed")
        expect(LedgerUnavailable, lambda: self.reserve(under((RUN,)), self.attempt()))
        self.opened()
        expect(LedgerUnavailable, lambda: self.reserve(under(_PATH), self.attempt()))
        assert (self.spent(), self.holds()) == (0, ())


class SpentAllowances(AllowanceTestCase):
    """Tests of counting: at every ancestor or at none, and given back wherever it was taken."""

    def test_a_payment_counts_at_every_account_above_its_own(self) -> None:
        self.tree()
        hold = self.reserve(under(_PATH), self.attempt())
        assert (hold.path, hold.used, hold.allowance) == (_PATH, (10_000, 10_000), "step")
        assert self.reserve(under((RUN,), "b", price="0.02"), self.attempt()).used == (30_000,)
        assert self.both() == [30_000, 10_000]
        assert self.reserve(order(purchase("none")), self.attempt()).path == ()
        # A child's budget is full while its parent's is not, and the other way round: all are taken, or none.
        child = under(_PATH, "c", cap(10_000, "total", STEP), cap(10**9, "total", RUN))
        assert expect(OverLimit, lambda: self.reserve(child, self.attempt())).allowance == "step"
        parent = under(_PATH, "c", cap(10**9, "total", STEP), cap(30_000, "total", RUN))
        refused = expect(OverLimit, lambda: self.reserve(parent, self.attempt()))
        assert (refused.allowance, refused.limit, refused.spent) == ("run-42", Money("0.03"), Money("0.03"))
        assert (refused.resets_at, refused.host, refused.window) == (None, None, "total")
        assert self.both() == [30_000, 10_000]

    def test_what_was_not_sent_is_given_back_at_every_ancestor(self) -> None:
        self.tree()
        self.answer(self.ledger.release(self.reserve(under(_PATH), self.attempt())))
        assert self.both() == [0, 0]
        attempt = self.attempt()
        self.reserve(under(_PATH), attempt)
        attempt.end()
        full = (cap(10_000, "total", RUN), cap(10_000, "total", STEP))
        assert isinstance(self.reserve(under(_PATH, "b", *full), self.attempt()), Hold)
        assert self.both() == [10_000, 10_000]

    def test_what_the_chain_shows_unused_is_given_back_at_every_ancestor_also_when_they_are_closed(self) -> None:
        self.tree()
        hold = self.unresolved(under(_PATH))
        self.mark(RUN, "closed")
        self.answer(self.ledger.conclude(hold, False))
        assert self.both() == [0, 0]

    def test_what_was_delivered_or_given_up_stays_counted(self) -> None:
        self.tree()
        self.delivered(under(_PATH, "a"))
        self.answer(self.ledger.write_off(self.unresolved(under(_PATH, "b"))))
        assert self.both() == [20_000, 20_000]
        assert [past.path for past in self.history()] == [_PATH, _PATH]

    def test_an_unresolved_payment_is_presented_under_any_allowance_and_stays_counted_where_it_was(self) -> None:
        self.tree()
        self.opened(OTHER, seconds=0)
        first = self.unresolved(under(_PATH))
        self.mark(RUN, "closed")
        for path, caps in (((OTHER,), (cap(0, "total", OTHER),)), (_PATH, (cap(0),)), ((), ())):
            attempt = self.attempt()
            again = self.reserve(order(None, *caps, path=path), attempt)
            assert (again.id, again.path) == (first.id, _PATH)
            attempt.end()
        assert self.answer(self.ledger.claim(purchase(), self.attempt())).path == _PATH
        assert [hold.allowance for hold in self.holds()] == ["step"]
        assert (self.both(), self.spent(OTHER, "total"), self.spent()) == ([10_000, 10_000], 0, 10_000)

    def test_a_key_that_was_paid_tells_its_allowance(self) -> None:
        self.tree()
        bought = order(purchase(key="k"), path=_PATH)
        self.delivered(bought)
        paid = expect(AlreadyPaid, lambda: self.reserve(bought, self.attempt()))
        assert paid.hold is not None
        assert paid.hold.allowance == "step"

    def test_threads_spend_a_tree_exactly(self) -> None:
        self.tree()
        self.opened(OTHER, parent=RUN)
        attempts = [self.attempt() for _ in range(8)]
        limits = {STEP: cap(120_000, "total", STEP), OTHER: cap(150_000, "total", OTHER)}

        def buy(number: int) -> int:
            bought, leaf = 0, (STEP, OTHER)[number % 2]
            for turn in range(8):
                asked = under((RUN, leaf), f"{number} {turn}", limits[leaf], cap(230_000, "total", RUN))
                try:
                    self.reserve(asked, attempts[number])
                    bought += 1
                except OverLimit:
                    pass
            return bought

        assert sum(at_once(8, buy)) == 23
        assert self.spent(RUN, "total") == self.spent(STEP, "total") + self.spent(OTHER, "total") == 230_000
        assert self.spent(STEP, "total") <= 120_000
        assert self.spent(OTHER, "total") <= 150_000


class EndedAllowances(AllowanceTestCase):
    """Tests of allowances that are closed, frozen or over: nothing new is paid under them or inside them."""

    def test_a_closed_parent_closes_its_children(self) -> None:
        self.tree()
        kept = self.reserve(under(_PATH, "kept"), self.attempt())
        self.mark(RUN, "closed")
        for asked in (under(_PATH), under((RUN,))):
            over = expect(AllowanceEnded, partial(self.reserve, asked, self.attempt()))
            assert (over.allowance, over.resets_at) == ("run-42", None)
        expect(AllowanceEnded, lambda: self.answer(self.ledger.record(kept, signed())))
        self.answer(self.ledger.release(kept))
        assert (self.both(), self.holds()) == ([0, 0], ())
        assert isinstance(self.reserve(order(), self.attempt()), Hold)

    def test_a_closed_child_leaves_its_parent_open(self) -> None:
        self.tree()
        self.mark(STEP, "closed")
        expect(AllowanceEnded, lambda: self.reserve(under(_PATH), self.attempt()))
        assert isinstance(self.reserve(under((RUN,)), self.attempt()), Hold)

    def test_nothing_opens_what_was_closed(self) -> None:
        self.opened()
        self.mark(RUN, "frozen")
        for mark in ("closed", "open", "frozen", "open"):
            assert self.mark(RUN, mark)
        assert [record.state for record in self.listed()] == ["closed"]
        assert self.opened().state == "closed"
        expect(AllowanceEnded, lambda: self.reserve(under((RUN,)), self.attempt()))

    def test_a_frozen_parent_freezes_its_children_until_it_is_lifted(self) -> None:
        self.tree()
        kept = self.reserve(under(_PATH, "kept"), self.attempt())
        self.mark(RUN, "frozen")
        assert [record.state for record in self.listed()] == ["frozen", "open"]
        for refused in (
            expect(Frozen, lambda: self.reserve(under(_PATH), self.attempt())),
            expect(Frozen, lambda: self.answer(self.ledger.record(kept, signed()))),
        ):
            assert refused.allowance == "run-42"
        self.mark(RUN, "open")
        assert self.answer(self.ledger.record(kept, signed())).path == _PATH
        assert isinstance(self.reserve(under(_PATH), self.attempt()), Hold)

    def test_one_whose_time_is_over_pays_nothing_more(self) -> None:
        self.opened(RUN, seconds=0)
        self.opened(STEP, parent=RUN, seconds=3_600)
        assert [record.state for record in self.listed()] == ["ended", "open"]
        over = expect(AllowanceEnded, lambda: self.reserve(under(_PATH), self.attempt()))
        assert over.allowance == "run-42"
        self.mark(RUN, "frozen")
        assert [record.state for record in self.listed(RUN)] == ["ended"]
        self.mark(RUN, "closed")
        assert [record.state for record in self.listed(RUN)] == ["closed"]

    def test_what_left_is_delivered_though_its_allowance_is_closed(self) -> None:
        self.tree()
        hold = self.presented(under(_PATH), self.attempt())
        self.mark(STEP, "closed")
        self.answer(self.ledger.close(hold, "spent", None))
        assert [past.path for past in self.history()] == [_PATH]


@dataclass
class _Node:
    """An allowance of a drawn tree, as a plain model knows it."""

    path: tuple[str, ...]
    most: int
    state: str = "open"
    spent: int = 0


@dataclass
class _Model:
    """A plain model of a tree: sums that are looked at one by one."""

    nodes: dict[str, _Node] = field(default_factory=dict)

    def refuses(self, node: _Node, units: int) -> type[X402Error] | None:
        for account in node.path:
            if self.nodes[account].state != "open":
                return Frozen if self.nodes[account].state == "frozen" else AllowanceEnded
        above = [self.nodes[account] for account in node.path]
        return OverLimit if any(each.spent + units > each.most for each in above) else None

    def count(self, path: tuple[str, ...], units: int) -> None:
        for account in path:
            self.nodes[account].spent += units


class DrawnTrees(AllowanceTestCase):
    """Tests of drawn trees against a plain model."""

    def test_a_drawn_tree_spends_what_its_parts_allow_and_no_more(self) -> None:
        for seed in range(_DRAWS):
            drawn, model = Random(seed), _Model()  # noqa: S311 - a test that can be told again
            self._grow(drawn, model, seed)
            holds: list[Hold] = []
            for turn in range(drawn.randint(10, 25)):
                self._step(drawn, model, holds, f"{seed} {turn}")
                found = {record.terms.account: record for record in self.listed(*model.nodes)}
                assert {a: record.spent("USD") for a, record in found.items()} == {
                    account: node.spent for account, node in model.nodes.items()
                }, f"seed {seed}, turn {turn}"
                assert all(node.spent <= node.most for node in model.nodes.values())

    def _grow(self, drawn: Random, model: _Model, seed: int) -> None:
        for number in range(drawn.randint(2, 6)):
            above = drawn.choice([(), *(node.path for node in model.nodes.values())])
            account = allowance_account(f"{seed} {number}")
            model.nodes[account] = _Node((*above, account), drawn.randint(1, 9) * 10_000)
            self.opened(account, parent=above[-1] if above else None)

    def _step(self, drawn: Random, model: _Model, holds: list[Hold], name: str) -> None:
        node, kind = drawn.choice(list(model.nodes.values())), drawn.random()
        if kind < 0.6:
            self._buy(model, node, drawn.randint(1, 3), holds, name)
        elif kind < 0.8 and holds:
            hold = holds.pop(drawn.randrange(len(holds)))
            self.answer(self.ledger.release(hold))
            model.count(hold.path, -hold.price.units)
        elif node.state != "closed":
            node.state = drawn.choice(("open", "open", "frozen", "closed"))
            self.mark(node.path[-1], node.state)

    def _buy(self, model: _Model, node: _Node, cents: int, holds: list[Hold], name: str) -> None:
        caps = [cap(model.nodes[account].most, "total", account) for account in node.path]
        asked = under(node.path, name, *caps, price=f"0.0{cents}")
        refusal = model.refuses(node, cents * 10_000)
        if refusal is not None:
            assert type(expect(X402Error, lambda: self.reserve(asked, self.attempt()))) is refusal
            return
        hold = self.reserve(asked, self.attempt())
        model.count(node.path, hold.price.units)
        assert hold.used == tuple(model.nodes[account].spent for account in node.path)
        holds.append(hold)


class Allowances(OpenedAllowances, SpentAllowances, EndedAllowances, DrawnTrees):
    """Tests of allowances and of trees of them."""
