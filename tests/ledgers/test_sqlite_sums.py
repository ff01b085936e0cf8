"""The sums of a ledger file, against a list of all that was counted and not given back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from x402_client.ledgers.conformance.ledger import order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite import holds as sqlite_holds
from x402_client.ledgers.sqlite.schema import SCHEMA
from x402_client.ledgers.sqlite.sums import Sums, give_back
from x402_client.ledgers.windows import BUCKETS
from x402_client.model.budgets import WINDOWS
from x402_client.model.holds import Attempt, Hold

_SECONDS = st.sampled_from([0.0, 0.25, 1.0, 59.75, 61.0, 1_440.0, 3_661.0, 86_400.0, 31 * 86_400.0])
#: Seconds that pass, and then how much is counted, or, if it is negative, which of the earlier ones is given back.
_STEPS = st.lists(st.tuples(_SECONDS, st.integers(-8, 3)), max_size=40)


def _counting(counted: list[tuple[float, int]], window: str, now: float) -> list[tuple[int, int]]:
    """Bucket and units of what counts, oldest first."""
    length = WINDOWS[window]
    if length is None:
        return [(0, units) for _, units in counted]
    width = length // BUCKETS
    found = [(int(at // width), units) for at, units in counted]
    return sorted(each for each in found if each[0] >= int((now - length) // width))


def _fits_at(counting: list[tuple[int, int]], window: str, over: int) -> float | None:
    length, sums = WINDOWS[window], 0
    for number, units in counting if length else ():
        sums += units
        if sums >= over:
            return float((number + 1) * (length // BUCKETS) + length)  # type: ignore[operator]
    return None


@settings(max_examples=150, deadline=None, derandomize=True)
@given(_STEPS)
def test_a_window_counts_what_the_list_says(steps: list[tuple[float, int]]) -> None:
    db, now = sqlite3.connect(":memory:", isolation_level=None), 1_700_000_000.0
    for statement in SCHEMA:
        db.execute(statement)
    counted: list[tuple[float, int]] = []
    for seconds, what in steps:
        now += seconds
        if what >= 0:
            numbers = Sums(db, "purse", ("", "host"), now).add("purse", ("", "host"), "USD", what)
            counted.append((now, what))
        elif counted:
            at, units = counted.pop(what % len(counted))
            give_back(db, numbers, units, at)
        sums = Sums(db, "purse", ("host",), now)
        for window in WINDOWS:
            counting = _counting(counted, window, now)
            assert sums.counted("host", "USD", window) == sum(units for _, units in counting)
            assert sums.counted("host", None, window) == len(counting)
            assert sums.fits_at("host", "USD", window, 2) == _fits_at(counting, window, 2)
    assert db.execute("SELECT max(n) FROM (SELECT count(*) n FROM starts GROUP BY account, span)").fetchone()[0] in (
        None,
        *range(BUCKETS + 3),
    )
    db.close()


def test_what_is_given_back_late_takes_nothing_from_younger_payments() -> None:
    db, now = sqlite3.connect(":memory:", isolation_level=None), 1_700_000_000.0
    for statement in SCHEMA:
        db.execute(statement)
    numbers = Sums(db, "purse", ("",), now).add("purse", ("",), "USD", 5)
    Sums(db, "purse", ("",), now + 90).add("purse", ("",), "USD", 3)
    give_back(db, numbers, 5, now)
    sums = Sums(db, "purse", ("",), now + 90)
    assert [sums.counted("", "USD", window) for window in ("minute", "hour", "total")] == [3, 3, 3]
    db.close()


def test_what_is_always_given_back_leaves_no_more_behind_than_what_is_spent() -> None:
    db, now = sqlite3.connect(":memory:", isolation_level=None), 1_700_000_000.0
    for statement in SCHEMA:
        db.execute(statement)
    for _ in range(300):
        give_back(db, Sums(db, "purse", ("",), now).add("purse", ("",), "USD", 5), 5, now)
        now += 61
    rows = db.execute("SELECT span, count(*) FROM starts GROUP BY span").fetchall()
    assert max(count for _, count in rows) <= BUCKETS + 2
    db.close()


def test_purchases_whose_holds_lie_together_are_not_mixed_up(tmp_path: Path) -> None:
    """The number of a hold begins with a few bits of its purchase: others have the same."""
    seen: dict[int, str] = {}
    for name in (f"{number}" for number in range(100_000)):
        bits = sqlite_holds._first(purchase(name).id)
        if bits in seen:
            break
        seen[bits] = name
    left, right = purchase(seen[bits]), purchase(name)
    assert left.id != right.id
    ledger, gone, here = SqliteLedger(tmp_path / "ledger.db"), Attempt(), Attempt()
    hold = ledger.record(ledger.reserve(order(left), gone), signed())  # type: ignore[arg-type]
    gone.end()
    assert ledger.claim(right, here) is None
    other = ledger.reserve(order(right), here)
    assert isinstance(other, Hold)
    assert other.state == "reserved"
    found = ledger.claim(left, here)
    assert isinstance(found, Hold)
    assert found.id == hold.id
    ledger.close_ledger()
