"""The ledger in memory: budgets, claims, keys, freezes, and what it lets out of its hands."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from x402_client import Money
from x402_client.errors import LedgerUnavailable, OverLimit
from x402_client.ledgers.memory import MemoryLedger
from x402_client.model.budgets import Cap
from x402_client.model.holds import Attempt, Authorization, Hold, Order, Purchase, Spending
from x402_client.model.hosts import Origin
from x402_client.model.offers import Offer

SECRET = "eyJzZWNyZXQiOiJoZWFkZXIifQ"
OFFER = Offer(1, 2, "exact", "eip155:8453", 1, "USDC", "0x")


class Clocked(MemoryLedger):
    """A ledger whose clock the test moves."""

    time = 1_800_000_000.0

    def _now(self) -> float:
        return self.time


def purchase(name: str = "p", host: str = "a.example", keyed: bool = False, request: str = "r") -> Purchase:
    return Purchase(name, request, keyed, "GET", f"https://{host}/x", Origin("https", host, 443))


def order(name: str = "p", units: int = 1, caps: tuple[Cap, ...] = (), currency: str = "USD", **more: Any) -> Order:
    return Order(purchase(name, **more), OFFER, Money.of_units(units, currency), caps)


def signed(ledger: MemoryLedger, wanted: Order, attempt: Attempt | None = None) -> Hold:
    """Reserved and recorded."""
    attempt = attempt or Attempt()
    hold = ledger.reserve(wanted, attempt)
    assert isinstance(hold, Hold)
    assert hold.state == "reserved"
    return ledger.record(hold, Authorization("0xn", "0xp", 99, ("PAYMENT", SECRET)))


def unresolved(ledger: MemoryLedger, wanted: Order) -> Hold:
    """Signed, and its attempt ended."""
    attempt = Attempt()
    hold = signed(ledger, wanted, attempt)
    attempt.end()
    return hold


def spent(ledger: MemoryLedger, account: str = "", window: str = "day", currency: str = "USD") -> int:
    return ledger.spent(Spending(account, window, currency))


DAY = Cap("", "day", "USD", 10)


def test_what_is_reserved_counts_everywhere_it_belongs() -> None:
    ledger = MemoryLedger()
    ledger.reserve(order(units=3, caps=(DAY, Cap("*.example", "hour", "USD", 9))), Attempt())
    for account in ("", "a.example", "*.example"):
        for window in ("minute", "hour", "day", "month", "total"):
            assert spent(ledger, account, window) == 3
    assert spent(ledger, "b.example") == spent(ledger, currency="EUR") == 0


@pytest.mark.parametrize(
    ("cap", "units", "fits"),
    [
        (Cap("", "day", "USD", 10), 4, 2),
        (Cap("", "total", "USD", 10), 10, 1),
        (Cap("", "minute", None, 3), 1, 3),
        (Cap("a.example", "hour", "USD", 10), 5, 2),
        (Cap("", "day", "USD", 0), 1, 0),
        (Cap("", "day", None, 0), 1, 0),
    ],
)
def test_as_much_fits_as_the_cap_says(cap: Cap, units: int, fits: int) -> None:
    ledger = MemoryLedger()
    live = [Attempt() for _ in range(fits + 1)]
    for i in range(fits):
        ledger.reserve(order(f"p{i}", units, (cap,)), live[i])
    with pytest.raises(OverLimit) as caught:
        ledger.reserve(order("more", units, (cap,)), live[-1])
    error = caught.value
    assert error.money == "untouched"
    assert (error.resets_at is None) is (cap.window == "total" or fits == 0)
    assert str(cap) in str(error)
    if cap.currency is None:
        assert (error.limit, error.asked, error.spent) == (cap.most, 1, fits)
    else:
        assert (error.limit, error.asked, error.spent) == tuple(map(Money.of_units, (cap.most, units, fits * units)))
    assert len(ledger.holds()) == fits


def test_all_budgets_or_none() -> None:
    ledger = MemoryLedger()
    with pytest.raises(OverLimit):
        ledger.reserve(order(units=5, caps=(DAY, Cap("a.example", "day", "USD", 4))), Attempt())
    assert spent(ledger) == spent(ledger, "a.example") == 0


def test_the_budget_that_blocks_for_longest_is_named() -> None:
    ledger = Clocked()
    live = Attempt()
    caps = (Cap("", "minute", "USD", 10), Cap("", "month", "USD", 10), Cap("", "day", None, 1))
    ledger.reserve(order(units=8, caps=caps), live)
    with pytest.raises(OverLimit, match=r"0\.00001 USD per month") as caught:
        ledger.reserve(order("q", units=8, caps=caps), Attempt())
    assert caught.value.resets_at is not None
    ledger.time = caught.value.resets_at.timestamp()
    ledger.reserve(order("q", units=8, caps=caps), live)
    with pytest.raises(OverLimit, match="Waiting will not help"):
        ledger.reserve(order("r", units=11, caps=caps), live)


def test_time_gives_budgets_back() -> None:
    ledger = Clocked()
    live = Attempt()
    ledger.reserve(order(units=10, caps=(DAY,)), live)
    ledger.time += 86_399
    with pytest.raises(OverLimit):
        ledger.reserve(order("q", caps=(DAY,)), live)
    ledger.time += 1_441
    ledger.reserve(order("q", caps=(DAY,)), live)
    assert (spent(ledger), spent(ledger, window="total")) == (1, 11)


def test_setting_the_clock_opens_no_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = MemoryLedger()
    live = Attempt()
    ledger.reserve(order(units=10, caps=(DAY,)), live)
    monkeypatch.setattr("time.time", lambda: 4e9)
    with pytest.raises(OverLimit):
        ledger.reserve(order("q", caps=(DAY,)), live)


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_a_budget_of_n_is_spent_n_times_whoever_asks() -> None:
    threads, rounds = 64, 15
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(rounds):
            ledger, start, live = MemoryLedger(), threading.Barrier(threads), Attempt()

            def buy(i: int, ledger: MemoryLedger, start: threading.Barrier, live: Attempt) -> bool:
                start.wait()
                try:
                    signed(ledger, order(f"p{i % 7}", 1, (DAY, Cap("", "minute", None, 50))), live)
                except OverLimit:
                    return False
                return True

            bought = list(pool.map(buy, range(threads), *([each] * threads for each in (ledger, start, live))))
            assert sum(bought) == 10
            assert spent(ledger) == 10
            assert len(ledger.holds()) == 10


@pytest.mark.usefixtures("restless")
def test_one_unresolved_payment_is_claimed_by_one_of_many() -> None:
    ledger, start = MemoryLedger(), threading.Barrier(16)
    unresolved(ledger, order())
    live = [Attempt() for _ in range(16)]

    def claim(i: int) -> Any:
        start.wait()
        return ledger.claim(purchase(), live[i])

    with ThreadPoolExecutor(16) as pool:
        found = [hold for hold in pool.map(claim, range(16)) if hold is not None]
    assert [hold.tries for hold in found] == [1]


# --- claims


def test_an_unresolved_payment_is_presented_again() -> None:
    ledger = MemoryLedger()
    first = unresolved(ledger, order(units=3))
    again = ledger.reserve(order(units=9), Attempt())
    assert isinstance(again, Hold)
    assert (again.id, again.tries, again.price.units, again.authorization) == (first.id, 1, 3, first.authorization)
    assert again.authorization is not None
    assert again.authorization.header == ("PAYMENT", SECRET)
    assert spent(ledger) == 3


def test_a_payment_in_flight_is_nobody_elses() -> None:
    ledger, live = MemoryLedger(), Attempt()
    signed(ledger, order(), live)
    assert ledger.claim(purchase(), Attempt()) is None
    second = ledger.reserve(order(), Attempt())
    assert isinstance(second, Hold)
    assert second.state == "reserved"
    assert live.alive


def test_an_attempt_that_was_forgotten_counts_as_ended() -> None:
    ledger = MemoryLedger()
    hold = signed(ledger, order())
    found = ledger.claim(purchase(), Attempt())
    assert isinstance(found, Hold)
    assert found.id == hold.id


def test_a_lease_that_was_left_behind_is_taken_back() -> None:
    ledger, dead = MemoryLedger(), Attempt()
    ledger.reserve(order(units=10, caps=(DAY,)), dead)
    dead.end()
    assert ledger.claim(purchase(), Attempt()) is None
    assert (ledger.holds(), spent(ledger)) == ((), 0)
    ledger.reserve(order("q", units=10, caps=(DAY,)), dead)
    ledger.reserve(order("r", units=10, caps=(DAY,)), Attempt())
    assert spent(ledger) == 10


def test_release_gives_back_what_was_not_signed() -> None:
    ledger, live = MemoryLedger(), Attempt()
    hold = ledger.reserve(order(units=3), live)
    assert isinstance(hold, Hold)
    ledger.release(hold)
    ledger.release(hold)
    assert (spent(ledger), spent(ledger, window="total"), ledger.holds()) == (0, 0, ())
    kept = signed(ledger, order(units=3), live)
    ledger.release(kept)
    assert spent(ledger) == 3


def test_a_hold_that_is_gone_is_not_recorded() -> None:
    ledger, live = MemoryLedger(), Attempt()
    hold = ledger.reserve(order(), live)
    assert isinstance(hold, Hold)
    ledger.release(hold)
    authorization = Authorization("n", "p", 1, ("a", "b"))
    with pytest.raises(LedgerUnavailable, match="Nothing was sent"):
        ledger.record(hold, authorization)
    recorded = signed(ledger, order(), live)
    with pytest.raises(LedgerUnavailable):
        ledger.record(recorded, authorization)
