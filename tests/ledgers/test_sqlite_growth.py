"""A file grows by what it promises to keep, and by no more; and a new account starts from what its hosts spent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from x402_client.errors import OverLimit
from x402_client.ledgers.conformance import cap, expect, order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger, sums
from x402_client.ledgers.sqlite import holds as sqlite_holds
from x402_client.ledgers.sqlite.clock import LedgerClock
from x402_client.ledgers.windows import BUCKETS
from x402_client.model.allowances import AllowanceTerms, allowance_account
from x402_client.model.budgets import WINDOWS, Cap, request_account
from x402_client.model.holds import Attempt, Order, Spending
from x402_client.model.offers import Receipt

START = 1_790_000_000.0
MONTH = 30 * 86_400


class Ledger:
    """A ledger whose time can be moved."""

    def __init__(self, path: Path) -> None:
        self.at, self.bought = START, 0
        self.ledger = SqliteLedger(path, clock=LedgerClock(lambda: self.at, lambda: self.at, lambda: "boot"))

    def buy(self, host: str, *caps: Cap, price: str = "0.01", path: tuple[str, ...] = ()) -> None:
        self.bought += 1
        attempt, bought = Attempt(), purchase(f"{self.bought}", host=host)
        asked = order(bought, *caps, price=price)._replace(path=path)
        self.ledger.close(self.ledger.record(self.ledger.reserve(asked, attempt), signed()), "spent", None)  # type: ignore[arg-type]
        attempt.end()

    def spent(self, account: str, window: str = "total", currency: str = "USD") -> int:
        return self.ledger.spent(Spending(account, window, currency))

    def rows(self, question: str) -> list[tuple[int, ...]]:
        return self.ledger._file.read(lambda db, meta: db.execute(question).fetchall(), 5.0)


@pytest.fixture
def used(path: Path) -> Iterator[Ledger]:
    found = Ledger(path)
    yield found
    found.ledger.close_ledger()


# A new account


_BUYS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 59.75, 1_440.0, 3_661.0, 86_400.0, 20 * 86_400.0]),
        st.sampled_from(["a.dev", "b.a.dev", "c.b.a.dev", "a.dev.example", "xa.dev"]),
        st.sampled_from(["0.01", "0.000003", "1 EUR"]),
    ),
    max_size=25,
)
_PATTERNS = st.sampled_from(["*.a.dev", "*.dev", "b.a.dev:443", "*.b.a.dev:443"])


@settings(max_examples=120, deadline=None)
@given(_BUYS, _PATTERNS, _BUYS)
def test_a_pattern_counts_as_if_it_had_been_there_from_the_start(
    tmp_path_factory: pytest.TempPathFactory, before: list[tuple[float, str, str]], pattern: str,
    after: list[tuple[float, str, str]],
) -> None:  # fmt: skip
    used = Ledger(tmp_path_factory.mktemp("x") / "ledger.db")
    counted: list[tuple[float, int, str]] = []
    ending = pattern.removesuffix(":443")

    def step(seconds: float, host: str, price: str, *caps: Cap) -> None:
        used.at += seconds
        used.buy(host, *caps, price=price)
        if host.endswith(ending[1:]) if ending.startswith("*") else host == ending:
            money = order(price=price).price
            counted.append((used.at, money.units, money.currency))

    for each in before:
        step(*each)
    wide = cap(10**15, account=pattern)
    for each in [(0.0, "c.b.a.dev" if ending[0] == "*" else "b.a.dev", "0.01"), *after]:
        matches = each[1].endswith(ending[1:]) if ending.startswith("*") else each[1] == ending
        step(*each, *([wide] if matches else []))
        for window, length in WINDOWS.items():
            first = int((used.at - length) // (length // BUCKETS)) if length else 0
            for currency in ("USD", "EUR"):
                due = sum(
                    units for at, units, of in counted
                    if of == currency and (length is None or at // (length // BUCKETS) >= first)
                )  # fmt: skip
                assert used.spent(pattern, window, currency) == due
    used.ledger.close_ledger()


def test_a_refusal_counts_what_the_hosts_of_a_new_pattern_spent(used: Ledger) -> None:
    for host in ("a.dev.example", "b.dev.example"):
        used.buy(host)
    narrow = cap(25_000, account="*.dev.example")
    for _ in range(2):
        refused = expect(OverLimit, lambda: used.buy("c.dev.example", narrow))
        assert str(refused.spent) == "0.02 USD"
        assert refused.resets_at is not None
    expect(OverLimit, lambda: used.buy("c.dev.example", cap(2, account="*.dev.example", currency=None)))
    assert used.spent("*.dev.example") == 20_000
    used.buy("c.dev.example", cap(30_000, account="*.dev.example"))
    assert used.spent("*.dev.example") == 30_000


def test_what_is_given_back_leaves_a_new_pattern(used: Ledger) -> None:
    used.buy("a.dev.example")
    attempt = Attempt()
    hold = used.ledger.reserve(order(purchase("x", host="b.dev.example"), cap(10**9, account="*.dev.example")), attempt)
    assert used.spent("*.dev.example") == 20_000
    used.ledger.release(hold)  # type: ignore[arg-type]
    assert {used.spent("*.dev.example", window) for window in WINDOWS} == {10_000}


def test_purses_do_not_start_from_each_others_sums(used: Ledger) -> None:
    used.buy("a.dev.example")
    asked = order(purchase("x", host="b.dev.example", purse="other"), cap(10_000, account="*.dev.example"))
    assert used.ledger.reserve(asked, Attempt())


def test_an_allowance_starts_at_zero_and_knows_what_is_above_it(used: Ledger) -> None:
    run, step = allowance_account("run"), allowance_account("*.dev.example")
    used.buy("a.dev.example")
    used.ledger.open_allowance(AllowanceTerms("default", run, ("1 USD",)))
    used.ledger.open_allowance(AllowanceTerms("default", step, ("1 USD",), parent=run))
    used.buy("a.dev.example", path=(run, step))
    assert [used.spent(name) for name in (run, step)] == [10_000] * 2
    found = used.rows("SELECT name, currency, parent, units FROM accounts WHERE kind = 'allowance' ORDER BY id")
    assert found == [(run, "", None, 0), (step, "", run, 0), (run, "USD", None, 10_000), (step, "USD", None, 10_000)]
    used.buy("b.dev.example", cap(10**9, account="*.example"))
    assert used.spent("*.example") == 30_000, "hosts are added up, and no accounts of another kind"


# Growth


def test_idle_hosts_keep_their_sums_alone(used: Ledger) -> None:
    for number in range(300):
        used.buy(f"{number}.idle.example")
    assert used.rows("SELECT count(*) FROM starts") > [(300 * 4,)]
    used.at += 2 * MONTH
    for _ in range(2 * sqlite_holds._HISTORY_STEP):
        used.buy("busy.example")
    assert used.rows("SELECT count(*) FROM starts") < [(20,)]
    assert used.spent("7.idle.example") == 10_000
    used.buy("new.idle.example", cap(10**9, account="*.idle.example"))
    assert (used.spent("*.idle.example"), used.spent("*.idle.example", "month")) == (3_010_000, 10_000)


def test_what_still_counts_is_not_pruned(used: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "PRUNED", 3)
    monkeypatch.setattr(sqlite_holds, "_HISTORY_STEP", 1)
    for day in range(40):
        used.buy(f"{day % 10}.example")
        used.at += 86_400
    for window, days in (("day", 1), ("month", 30)):
        counted = sum(used.spent(f"{number}.example", window) for number in range(10))
        assert counted == used.spent("", window) <= (days + 1) * 10_000
    # Ten hosts, each paid four times in forty days; only the last month has buckets of the month.
    assert used.rows("SELECT max(n) FROM (SELECT count(*) AS n FROM starts GROUP BY account, span)") <= [(33,)]


def test_accounts_that_none_asks_for_any_more_are_let_go_of(used: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_holds, "_HISTORY_STEP", 1)
    named, unnamed, timed = (allowance_account(name) for name in ("run", "~1", "~2"))
    for account, seconds in ((named, 60), (unnamed, None), (timed, 60)):
        used.ledger.open_allowance(AllowanceTerms("default", account, ("1 USD",), seconds))
        used.buy("a.example", cap(9, "day", request_account(account), None), path=(account,))
    assert used.ledger.mark_allowance("default", unnamed, "forgotten")
    kinds = "SELECT kind, count(*) FROM accounts WHERE kind NOT IN ('purse', 'host') GROUP BY kind ORDER BY kind"
    assert used.rows(kinds) == [("allowance", 4), ("request", 3)]
    used.at += 32 * 86_400
    used.buy("b.example")
    used.buy("c.example")
    assert used.rows(kinds) == [("allowance", 2)]
    assert [(record.terms.account, record.state) for record in used.ledger.allowances()] == [(named, "ended")]
    assert (used.spent(named), used.spent("", "total")) == (10_000, 50_000)
    assert used.rows("SELECT count(*) FROM starts WHERE account NOT IN (SELECT id FROM accounts)") == [(0,)]


def test_accounts_of_one_request_each_do_not_pile_up(used: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their numbers are never given again, so most numbers are those of accounts that are gone."""
    monkeypatch.setattr(sums, "PRUNED", 16)
    monkeypatch.setattr(sqlite_holds, "_HISTORY_STEP", 4)
    most = 0
    for number in range(1_500):
        used.buy("a.example", cap(9, "day", request_account(f"{number}"), None))
        used.at += 86_400
        if number >= 500:
            [(left,)] = used.rows("SELECT count(*) FROM accounts WHERE kind = 'request'")
            most = max(most, left)
    assert most < 32 + 3 * 16, "those of a month, and what waits for its turn"


def test_the_newest_account_stays_until_there_is_a_newer_one(used: Ledger) -> None:
    """Its number tells caches that an account was opened, and must not be given twice."""
    used.buy("a.example")
    for number in range(3):
        account = allowance_account(f"~{number}")
        used.ledger.open_allowance(AllowanceTerms("default", account, ("1 USD",)))
        before = used.rows("SELECT max(id) FROM accounts")
        used.ledger.mark_allowance("default", account, "forgotten")
        assert used.rows("SELECT max(id) FROM accounts") == before
        assert used.ledger.allowances() == ()


def test_what_a_seller_adds_is_kept_up_to_a_kilobyte(used: Ledger, path: Path) -> None:
    def row(extra: dict[str, str], raw: dict[str, str], url: str) -> int:
        attempt, asked = Attempt(), order(replace(purchase(f"{len(url)}", key=f"{len(url)}"), url=url))
        asked = Order(asked.purchase, replace(asked.offer, extra=extra), asked.price, ())
        hold = used.ledger.record(used.ledger.reserve(asked, attempt), signed())  # type: ignore[arg-type]
        used.ledger.close(hold, "spent", Receipt(True, "0xfeed", raw=raw))
        past = used.ledger.history(1)[0]
        kept.append((dict(past.offer.extra), past.receipt and dict(past.receipt.raw), past.url))
        parts = " + ".join(f"length({name})" for name in ("offer", "receipt", "url", "evidence"))
        ((size,),) = used.rows(f"SELECT max({parts}) FROM keyed")
        return size

    kept: list[tuple[object, ...]] = []
    url = "https://api.example.com/weather"
    row({"name": "USD Coin", "note": "x" * 900}, {"success": "y" * 900}, url)
    assert kept[0] == ({"name": "USD Coin", "note": "x" * 900}, {"success": "y" * 900}, url)
    assert row({"x": "é" * 5_000}, {"y": "z" * 9_000}, url + "/" + "w" * 9_000) < 4_000
    assert kept[1][:2] == ({}, {})
    assert len(str(kept[1][2])) == 1_024


# Transactions


def test_a_payment_under_a_tree_of_allowances_takes_the_transactions_of_one_without(used: Ledger) -> None:
    """The rule: "all limits of one purchase are taken in one atomic step"."""

    def writes(*caps: Cap, path: tuple[str, ...] = ()) -> int:
        said: list[str] = []
        used.buy("api.example.com", *caps, path=path)
        used.ledger._file.read(lambda db, meta: db.set_trace_callback(said.append), 5.0)
        used.buy("api.example.com", *caps, path=path)
        used.ledger._file.read(lambda db, meta: db.set_trace_callback(None), 5.0)
        return sum(statement.startswith("BEGIN IMMEDIATE") for statement in said)

    path: tuple[str, ...] = ()
    for name in ("run", "step", "call"):
        parent, account = path[-1] if path else None, allowance_account(name)
        used.ledger.open_allowance(AllowanceTerms("default", account, ("1.00 USD",), parent=parent))
        path = (*path, account)
    plain = writes()
    assert plain >= 3
    assert writes(*(cap(10**9, "total", account) for account in path), path=path) == plain
    assert {record.spent("USD") for record in used.ledger.allowances()} == {20_000}
