"""A ledger's time follows the steady clock; setting the wall clock moves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client.errors import OverLimit
from x402_client.ledgers.conformance.ledger import cap, order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite import clock as clocks
from x402_client.ledgers.sqlite.clock import LedgerClock, Stamp
from x402_client.model.holds import Attempt


class Readings:
    """Clocks to be set."""

    def __init__(self, wall: float = 1_700_000_000.0, steady: float = 500.0, boot: str = "one") -> None:
        self.wall, self.steady, self.boot = wall, steady, boot

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    @property
    def clock(self) -> LedgerClock:
        return LedgerClock(lambda: self.wall, lambda: self.steady, lambda: self.boot)


def test_the_first_moment_is_the_wall_clocks() -> None:
    read = Readings()
    assert read.clock.now(None) == Stamp("one", 500.0, 1_700_000_000.0)


@pytest.mark.parametrize("boot", ["one", ""])
@pytest.mark.parametrize("jump", [-1e9, -3600.0, 0.0, 3600.0, 1e9])
def test_within_a_boot_only_the_steady_clock_counts(boot: str, jump: float) -> None:
    read = Readings(boot=boot)
    first = read.clock.now(None)
    read.pass_(10)
    read.wall += jump
    assert read.clock.now(first).at == first.at + 10


@pytest.mark.parametrize(("wall", "later"), [(86_400.0, 86_400.0), (-86_400.0, 0.0)])
def test_after_a_restart_the_wall_clock_is_believed_but_never_earlier(wall: float, later: float) -> None:
    read = Readings()
    first = read.clock.now(None)
    read.boot, read.steady, read.wall = "two", 3.0, read.wall + wall
    second = read.clock.now(first)
    assert second == Stamp("two", 3.0, first.at + later)
    read.pass_(5)
    assert read.clock.now(second).at == second.at + 5


def test_a_restart_shows_by_the_steady_clock_where_the_system_does_not_say() -> None:
    read = Readings(boot="")
    first = read.clock.now(None)
    read.steady, read.wall = 3.0, read.wall + 1_000
    assert read.clock.now(first).at == first.at + 1_000


def test_processors_that_disagree_a_little_do_not_turn_time_back() -> None:
    read = Readings()
    first = read.clock.now(None)
    read.steady -= 0.001
    assert read.clock.now(first) == first


_STEPS = st.tuples(st.floats(0, 1e6), st.floats(-1e9, 1e9), st.booleans())


@given(st.lists(_STEPS), st.sampled_from(["one", ""]))
def test_it_never_goes_back_and_within_a_boot_never_faster(steps: list[tuple[float, float, bool]], boot: str) -> None:
    read = Readings(boot=boot)
    stamp = read.clock.now(None)
    for number, (seconds, jump, restart) in enumerate(steps):
        read.pass_(seconds)
        read.wall += jump
        if restart:
            read.boot, read.steady = boot and str(number), seconds
        before, stamp = stamp, read.clock.now(stamp)
        assert stamp.at >= before.at
        assert restart or stamp.at <= before.at + seconds + 1e-3


def test_the_systems_own_clocks() -> None:
    clock = LedgerClock()
    first = clock.now(None)
    assert 0 <= clock.now(first).at - first.at < 1
    if Path("/proc/sys/kernel/random/boot_id").exists():
        assert len(clocks.boot()) == 36


@pytest.mark.parametrize("jump", [-1e8, 86_400.0, 1e8])
def test_setting_the_clock_opens_no_budget(tmp_path: Path, jump: float) -> None:
    read, attempt = Readings(), Attempt()
    ledger = SqliteLedger(tmp_path / "a.db", clock=read.clock)
    ledger.record(ledger.reserve(order(purchase("a"), cap(10_000, "minute")), attempt), signed())
    for again in range(3):
        read.pass_(15)
        read.wall += jump
        ledger.close_ledger() if again else None
        with pytest.raises(OverLimit):
            ledger.reserve(order(purchase("b"), cap(10_000, "minute")), Attempt())
    read.pass_(17)
    ledger.reserve(order(purchase("b"), cap(20_000, "hour"), cap(10_000, "minute")), attempt)
    ledger.close_ledger()
