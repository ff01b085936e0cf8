"""Tests of the accounts of patterns: their first sums, and that every payment that they cover counts."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from ...errors import Frozen, OverLimit
from ...model.budgets import WINDOWS, Cap
from ...model.hosts import Origin, Pattern
from ...model.money import Money
from ..accounts import patterns_of
from .fixtures import LedgerTestCase, at_once, cap, expect, order, purchase

_PRICE = 10_000
_WIDE = "*.example.com"
#: Hosts and origins of the drawn payments, and the number of draws.
_HOSTS = ("example.com", "a.example.com", "b.a.example.com", "c.example.org", "127.0.0.1", "::1")
_ORIGINS = [Origin("https", host, port) for host in _HOSTS for port in (443, 8443)]
_DRAWS = 12


class Patterns(LedgerTestCase):
    """Tests of accounts of patterns. Two policies may share a purse, and one may lack an entry of the other."""

    def test_an_account_that_is_new_starts_from_the_sums_of_its_hosts(self) -> None:
        for host in ("a.example.com", "b.example.com", "a.example.org"):
            self.delivered(order(purchase(host=host)))
        wide, narrow = cap(30_000, account="*.example.com"), cap(10_000, account="a.example.com:443")
        asked = order(purchase("more", host="a.example.com"), wide)
        self.reserve(asked, self.attempt())
        assert {window: self.spent("*.example.com", window) for window in WINDOWS} == dict.fromkeys(WINDOWS, 30_000)
        refused = order(purchase("one too many", host="b.example.com"), wide)
        assert expect(OverLimit, lambda: self.reserve(refused, self.attempt())).spent == Money("0.03")
        refused = order(purchase("by its port", host="a.example.com"), narrow)
        assert expect(OverLimit, lambda: self.reserve(refused, self.attempt())).spent == Money("0.02")
        counted = order(purchase("counts", host="b.example.com"), cap(3, account="*.example.com", currency=None))
        expect(OverLimit, lambda: self.reserve(counted, self.attempt()))

    def test_what_an_account_would_start_from_is_shown_before_it_is_new(self) -> None:
        for host in ("a.example.com", "b.example.com", "a.example.org"):
            self.delivered(order(purchase(host=host)))
        for _ in range(2):
            assert {window: self.spent("*.example.com", window) for window in WINDOWS} == dict.fromkeys(WINDOWS, 20_000)
        assert self.spent("a.example.com:443") == 10_000
        assert (self.spent("*.example.net"), self.spent("example.com")) == (0, 0)
        self.delivered(order(purchase("more", host="b.example.com")))
        assert self.spent("*.example.com") == 30_000

    def test_a_server_without_a_host_is_counted_frozen_and_kept_by_its_name(self) -> None:
        tool = replace(purchase("a tool"), origin=Origin.of_server("reports"))
        self.delivered(order(tool, cap(10_000, account="mcp:reports")))
        assert [one.purchase.origin for one in self.history()] == [tool.origin]
        assert (self.spent("mcp:reports"), self.spent("mcp:other"), self.spent("")) == (10_000, 0, 10_000)
        again = replace(purchase("another"), origin=tool.origin)
        full = order(again, cap(10_000, account="mcp:reports"))
        assert expect(OverLimit, lambda: self.reserve(full, self.attempt())).spent == Money("0.01")
        self.answer(self.ledger.freeze("mcp:reports"))
        expect(Frozen, lambda: self.reserve(order(again), self.attempt()))
        other = replace(purchase("a third"), origin=Origin.of_server("other"))
        self.reserve(order(other), self.attempt())

    def test_a_pattern_counts_what_a_policy_without_it_pays(self) -> None:
        strict = (cap(4, account=_WIDE, currency=None), cap(40_000, account=_WIDE))
        self.delivered(order(purchase("first", host="a.example.com"), *strict))
        for number in range(3):
            self.delivered(order(purchase(f"other {number}", host="b.example.com")))
        full = order(purchase("last", host="a.example.com"), *strict)
        assert expect(OverLimit, lambda: self.reserve(full, self.attempt())).spent in (4, Money("0.04"))
        self.delivered(order(purchase("goes on", host="a.example.com")))
        assert {window: self.spent(_WIDE, window) for window in WINDOWS} == dict.fromkeys(WINDOWS, 50_000)

    def test_a_pattern_with_a_port_counts_that_port_from_its_first_payment_on(self) -> None:
        named = "a.example.com:8443"
        self.delivered(order(purchase("first", host="a.example.com", port=8443), cap(10**9, account=named)))
        for number, port in enumerate((8443, 443, 8443)):
            self.delivered(order(purchase(f"{number}", host="a.example.com", port=port)))
        assert (self.spent(named), self.spent("a.example.com")) == (30_000, 40_000)

    def test_a_pattern_counts_in_its_own_purse_only(self) -> None:
        self.delivered(order(purchase(purse="a"), cap(10**9, account=_WIDE)))
        for name in ("one", "two"):
            self.delivered(order(purchase(name, purse="b")))
        assert [self.spent(_WIDE, purse=purse) for purse in ("a", "b")] == [10_000, 20_000]

    def test_what_is_given_back_is_given_back_to_patterns_of_other_policies(self) -> None:
        self.delivered(order(None, cap(10**9, account=_WIDE)))
        self.answer(self.ledger.release(self.reserve(order(purchase("unsent")), self.attempt())))
        unused = self.unresolved(order(purchase("unused")))
        assert self.spent(_WIDE) == 20_000
        self.answer(self.ledger.conclude(unused, False))
        assert self.spent(_WIDE) == 10_000

    def test_a_look_at_a_pattern_opens_no_account(self) -> None:
        self.delivered(order())
        assert self.spent(_WIDE) == 10_000
        self.reserve(order(purchase("more"), cap(10**9, account=_WIDE)), self.attempt())
        assert self.spent(_WIDE) == 20_000

    def test_threads_of_two_policies_spend_the_budget_of_one_exactly(self) -> None:
        self.delivered(order(purchase("first"), cap(100_000, account=_WIDE)))
        attempts = [self.attempt() for _ in range(8)]

        def buy(number: int) -> int:
            bought = 0
            for turn in range(6):
                caps = (cap(100_000, account=_WIDE),) if number % 2 else ()
                try:
                    self.reserve(order(purchase(f"{number} {turn}"), *caps), attempts[number])
                    bought += 1
                except OverLimit:
                    pass
            return bought

        bought = at_once(8, buy)
        assert bought[::2] == [6] * 4
        assert self.spent(_WIDE) == (1 + sum(bought)) * _PRICE
        assert sum(bought[1::2]) <= 9

    def test_every_pattern_counts_what_it_covers_under_any_policy(self) -> None:
        """Draw policies and payments. Compare each account with the payments that it covers."""
        for seed in range(_DRAWS):
            drawn, purse = Random(seed), f"purse {seed}"  # noqa: S311 - a test that can be repeated
            known: dict[str, int] = {}
            paid: list[Origin] = []
            for number in range(drawn.randint(4, 12)):
                origin = drawn.choice(_ORIGINS)
                covering = patterns_of(origin.host, origin.port)
                named = drawn.sample(covering, min(len(covering), drawn.choice((0, 0, 1, 2))))
                caps = tuple(_cap(drawn, name) for name in named)
                bought = purchase(f"{seed} {number}", host=origin.host, port=origin.port, purse=purse)
                self.reserve(order(bought, *caps), self.attempt())
                for name in named:
                    known.setdefault(name, _before(name, paid))
                paid.append(origin)
                for name in known:
                    known[name] += Pattern.parse(name).matches(origin)
                found = {name: self.spent(name, purse=purse) // _PRICE for name in known}
                assert found == known, f"seed {seed}, after {[str(each) for each in paid]}"


def _cap(drawn: Random, name: str) -> Cap:
    return cap(10**9, drawn.choice(("day", "total")), name, drawn.choice(("USD", None)))


def _before(name: str, paid: list[Origin]) -> int:
    """Return the number of payments from which an account starts. Sums of hosts are kept without ports."""
    hosts = Pattern(Pattern.parse(name).host)
    return sum(hosts.matches(origin) for origin in paid)
