"""A window counts a payment for its whole length, and at most one sixtieth longer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client.ledgers.windows import BUCKETS, Account, Window
from x402_client.model.budgets import WINDOWS

LENGTHS = [length for length in WINDOWS.values() if length is not None]
steps = st.lists(
    st.tuples(st.sampled_from(["add", "add", "give back"]), st.floats(0, 0.4), st.integers(1, 100)), max_size=40
)


@given(st.sampled_from(LENGTHS), st.floats(0, 2e9), steps)
def test_never_shorter_and_hardly_longer(length: int, start: float, steps: list[tuple[str, float, int]]) -> None:
    window, now = Window(length), start
    kept: list[tuple[float, int]] = []
    for what, fraction, units in steps:
        now += fraction * length
        if what == "add":
            window.add(units, now)
            kept.append((now, units))
        elif kept:
            at, given_back = kept.pop()
            window.add(-given_back, at)
        least = sum(u for at, u in kept if at + length > now)
        most = sum(u for at, u in kept if at + length + length / BUCKETS + 1e-3 > now)
        assert least <= window.roll(now) <= most
        assert len(window._buckets) <= BUCKETS + 2


@pytest.mark.parametrize("length", LENGTHS)
def test_the_last_moment(length: int) -> None:
    window, at = Window(length), 1_800_000_000.0
    window.add(5, at)
    assert window.roll(at + length - 0.001) == 5
    assert window.roll(at + length) == 5
    assert window.roll(at + length + length / BUCKETS) == 0


def test_one_that_never_rolls() -> None:
    window = Window(None)
    for i in range(1000):
        window.add(1, i * 1e7)
    assert window.roll(1e12) == 1000
    assert window.fits_at(1) is None
    assert len(window._buckets) == 1
    window.add(-1000, 0)
    assert window.total == 0


def test_a_window_nobody_asks_about_does_not_grow() -> None:
    window = Window(60)
    for second in range(10_000):
        window.add(1, float(second))
    assert len(window._buckets) <= BUCKETS + 2


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 50)), min_size=1, max_size=20), st.integers(1, 2000))
def test_when_it_fits_again(payments: list[tuple[int, int]], over: int) -> None:
    window, now = Window(3600), 0.0
    for wait, units in payments:
        now += wait
        window.add(units, now)
    total = window.roll(now)
    at = window.fits_at(over)
    if at is None:
        assert over > total
        return
    assert total - window.roll(at) >= over
    again = Window(3600)
    now = 0.0
    for wait, units in payments:
        now += wait
        again.add(units, now)
    assert total - again.roll(at - 0.001) < over


def test_what_rolled_away_is_not_given_back_twice() -> None:
    window = Window(60)
    window.add(5, 0)
    window.add(7, 100)
    window.add(-5, 0)
    assert window.roll(100) == 7
    empty = Window(60)
    empty.add(-5, 0)
    assert empty.total == 0


@given(
    st.sampled_from(list(WINDOWS)),
    st.floats(0, 2e9),
    st.lists(
        st.tuples(st.sampled_from(["add", "give back", "look"]), st.floats(0, 100), st.integers(1, 9)), max_size=40
    ),
)
def test_an_account_counts_as_its_windows_do(name: str, start: float, steps: list[tuple[str, float, int]]) -> None:
    account, window, now = Account(), Window(WINDOWS[name]), start
    kept: list[tuple[float, int]] = []
    for what, seconds, units in steps:
        now += seconds if seconds > 50 else seconds / 100  # within a second, or well beyond
        if what == "add":
            kept.append((now, units))
        elif what == "give back" and kept:
            now_then, units = kept.pop()
            account.add(-units, now_then)
            window.add(-units, now_then)
            continue
        else:
            units = 0
        if units:
            account.add(units, now)
            window.add(units, now)
        assert account.roll(name, now) == window.roll(now)
    settled = account.window(name)
    assert (settled.roll(now), settled.fits_at(1)) == (window.roll(now), window.fits_at(1))
