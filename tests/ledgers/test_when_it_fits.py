"""A refusal over a limit names the moment at which the same payment fits, and that is true."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from x402_client.errors import OverLimit
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.refusals import duration
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite.clock import LedgerClock
from x402_client.model.budgets import WINDOWS
from x402_client.model.holds import Attempt

from .test_memory import Cap, order

ROLLING = [name for name, seconds in WINDOWS.items() if seconds is not None]
#: One payment costs ``UNITS``; two of them fit, in money as in number.
UNITS, FIT = 10, 2


class Clock:
    """The time of both ledgers."""

    now = 1_800_000_000.0


@pytest.fixture(params=["memory", "file"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Clock], Any]:
    made: list[Any] = []

    def memory(clock: Clock) -> Any:
        ledger = MemoryLedger()
        ledger._now = lambda: clock.now  # type: ignore[method-assign]
        return ledger

    def file(clock: Clock) -> Any:
        steady = LedgerClock(lambda: clock.now, lambda: clock.now, lambda: "one")
        made.append(SqliteLedger(tmp_path / f"{len(made)}.db", clock=steady))
        return made[-1]

    return memory if request.param == "memory" else file


@pytest.mark.parametrize("window", ROLLING)
@pytest.mark.parametrize("kind", ["money", "payments"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(waits=st.lists(st.floats(0, 0.7), min_size=2, max_size=6), start=st.floats(0, 86_400))
def test_the_same_payment_fits_at_the_moment_that_is_named_and_not_before(
    opened: Callable[[Clock], Any], window: str, kind: str, waits: list[float], start: float
) -> None:
    clock, length = Clock(), WINDOWS[window] or 0
    clock.now += start
    ledger, live = opened(clock), Attempt()
    cap = Cap("", window, "USD", UNITS * FIT) if kind == "money" else Cap("", window, None, FIT)
    refused = None
    for number, wait in enumerate(waits):
        clock.now += wait * length
        try:
            ledger.reserve(order(f"p{number}", UNITS, (cap,)), live)
        except OverLimit as error:
            refused = error
            break
    if refused is None:
        return
    assert refused.resets_at is not None
    assert refused.window == window
    at = refused.resets_at.timestamp()
    assert clock.now < at <= clock.now + length * 61 / 60 + 1
    said = re.search(r"It fits again at (\S+ \S+) UTC, in ([a-z0-9 ]+);", str(refused))
    assert said is not None
    assert datetime.strptime(said[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) == refused.resets_at
    assert said[2] == duration(at - clock.now)
    clock.now = at - 0.01
    with pytest.raises(OverLimit):
        ledger.reserve(order("again", UNITS, (cap,)), live)
    clock.now = at
    ledger.reserve(order("again", UNITS, (cap,)), live)


@pytest.mark.parametrize("currency", ["USD", None])
def test_what_never_rolls_over_names_no_moment(opened: Callable[[Clock], Any], currency: str | None) -> None:
    ledger, live = opened(Clock()), Attempt()
    cap = Cap("", "total", currency, UNITS if currency else 1)
    ledger.reserve(order("p", UNITS, (cap,)), live)
    with pytest.raises(OverLimit, match="Waiting will not help") as caught:
        ledger.reserve(order("q", UNITS, (cap,)), live)
    assert caught.value.resets_at is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 second"), (1, "1 second"), (59.1, "1 minute"), (60, "1 minute"), (61, "1 minute 1 second"),
        (3_599.5, "1 hour"), (3_660, "1 hour 1 minute"), (3_601, "1 hour 1 minute"), (86_399, "1 day"),
        (86_400 * 2 + 3_601, "2 days 1 hour"), (87_840, "1 day"), (88_201, "1 day 1 hour"), (-3, "1 second"),
    ],
)  # fmt: skip
def test_a_time_to_wait_is_rounded(seconds: float, words: str) -> None:
    assert duration(seconds) == words
