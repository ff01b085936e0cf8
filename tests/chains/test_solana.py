"""Blockhashes kept warm: one fetch for many who ask, a renewal that no payment waits for, and none used too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.guards.striking import Striking, raising
from x402_client import errors
from x402_client.chains import rpc as rpc_module
from x402_client.chains import solana as module
from x402_client.chains.rpc import Rpc
from x402_client.chains.solana import SolanaChain
from x402_client.chains.solana_address import is_address, public_key
from x402_client.model.networks import SOLANA_DEVNET

from .scripted_rpc import Answer, Scripted, result, status


class Clock:
    """Steady time that tests move."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.perf_counter() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(module, "steady", moved)
    monkeypatch.setattr(rpc_module, "_PAUSES", (0.01,))
    return moved


def numbered() -> Answer:
    """Another blockhash for each call."""
    count = iter(range(1, 1_000))

    def answer(asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        number = next(count)
        return result({"value": {"blockhash": f"hash {number}", "lastValidBlockHeight": number}})(asked)

    return answer


HEIGHT = 1_000
LATEST = result({"context": {"slot": 1_200}, "value": {"blockhash": "hash", "lastValidBlockHeight": HEIGHT}})


@contextmanager
def chain(answer: Answer) -> Iterator[tuple[SolanaChain, Scripted]]:
    with Scripted(answer) as endpoint:
        made = SolanaChain(Rpc(SOLANA_DEVNET, [endpoint.url]))
        yield made, endpoint
        made.rpc.close()


def settle(endpoint: Scripted, calls: int) -> None:
    """Wait for a background renewal to arrive."""
    until = time.perf_counter() + 5
    while len(endpoint.asked) < calls and time.perf_counter() < until:
        time.sleep(0.005)
    time.sleep(0.05)


def test_cold_it_asks_and_warm_it_does_not(clock: Clock) -> None:
    with chain(numbered()) as (made, endpoint):
        assert made.blockhash() is None
        assert made.fetch_blockhash().value == "hash 1"
        clock.ahead = 11
        for _ in range(100):
            assert made.blockhash() is not None
        assert made.fetch_blockhash().value == "hash 1"
        assert len(endpoint.asked) == 1


def test_an_ageing_one_is_used_and_renewed_behind_the_payments_back(clock: Clock) -> None:
    with chain(numbered()) as (made, endpoint):
        made.fetch_blockhash()
        clock.ahead = 13
        used = made.blockhash()
        assert used is not None
        assert used.value == "hash 1"
        settle(endpoint, 2)
        renewed = made.blockhash()
        assert renewed is not None
        assert renewed.value == "hash 2"
        assert len(endpoint.asked) == 2


def test_an_old_one_is_not_used(clock: Clock) -> None:
    with chain(numbered()) as (made, _):
        made.fetch_blockhash()
        clock.ahead = 26
        assert made.blockhash() is None
        assert made.fetch_blockhash().value == "hash 2"


def test_a_renewal_that_fails_harms_nobody(clock: Clock) -> None:
    with chain(numbered()) as (made, endpoint):
        made.fetch_blockhash()
        endpoint._answers[:] = [status(503)]
        clock.ahead = 13
        assert made.blockhash() is not None
        settle(endpoint, 3)
        assert made.blockhash() is not None
        clock.ahead = 26
        with pytest.raises(errors.ChainUnavailable):
            made.fetch_blockhash()


def test_many_who_ask_at_once_share_one_fetch(clock: Clock) -> None:
    arrived = threading.Event()
    one = numbered()

    def slowly(asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        arrived.wait(5)
        return one(asked)

    found = []
    with chain(slowly) as (made, endpoint):
        threads = [threading.Thread(target=lambda: found.append(made.fetch_blockhash().value)) for _ in range(32)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        arrived.set()
        for thread in threads:
            thread.join()
        assert found == ["hash 1"] * 32
        assert len(endpoint.asked) == 1


def test_those_who_share_a_fetch_share_its_failure_and_the_next_asks_again(clock: Clock) -> None:
    with chain(status(404)) as (made, endpoint):
        for _ in range(2):
            with pytest.raises(errors.ChainUnavailable):
                made.fetch_blockhash()
        assert len(endpoint.asked) == 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, TimeoutError])
def test_an_interrupt_of_the_one_that_asks_is_not_raised_in_those_that_wait(
    stop: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, failures = SolanaChain(Rpc(SOLANA_DEVNET, ["http://127.0.0.1:9"])), list[BaseException]()
    waits = threading.Event()
    monkeypatch.setattr(module, "is_ending", lambda: bool(waits.set()))  # type: ignore[func-returns-value]

    def wait() -> None:
        try:
            made._shared("blockhash", lambda: "asked by itself")
        except BaseException as failure:
            failures.append(failure)

    waiting = threading.Thread(target=wait)

    def interrupted() -> str:
        waiting.start()
        assert waits.wait(5)
        with Striking(0):
            len("")
        return "never"

    with raising(stop), pytest.raises(stop):
        made._shared("blockhash", interrupted)
    waiting.join()
    assert [type(failure) for failure in failures] == [errors.ChainUnavailable]


HINT = "a hint"


def bound(made: SolanaChain) -> int | None:
    hint = made.fresh_hint(HINT)
    return None if hint is None else made.bounded(hint).height_bound


def test_a_hint_is_bounded_by_how_far_the_chain_can_be(clock: Clock) -> None:
    with chain(LATEST) as (made, endpoint):
        made.fetch_tip()
        now = bound(made)
        assert now is not None
        assert HEIGHT + module._BEHIND <= now <= HEIGHT + module._BEHIND + 1
        clock.ahead = 20
        assert (bound(made) or 0) - now == 20 * module._SLOTS_A_SECOND
        assert len(endpoint.asked) == 1


def test_what_bounds_hints_is_renewed_beside_the_payments(clock: Clock) -> None:
    with chain(LATEST) as (made, endpoint):
        assert made.needs_tip()
        made.fetch_tip()
        clock.ahead = 29
        assert not made.needs_tip()
        clock.ahead = 31
        assert not made.needs_tip()
        settle(endpoint, 2)
        clock.ahead = 31 + 50
        assert not made.needs_tip(), "it was renewed a minute ago"
        settle(endpoint, 3)
        clock.ahead = 31 + 50 + 61
        assert made.needs_tip(), "nobody paid for a minute"


@pytest.mark.parametrize("ahead", [0.0, 59.0])
def test_an_endpoint_that_is_down_is_waited_for_once_in_a_while(clock: Clock, ahead: float) -> None:
    with chain(status(503)) as (made, endpoint):
        made.fetch_tip()
        settle(endpoint, 3)
        asked = len(endpoint.asked)
        clock.ahead = ahead
        for _ in range(20):
            assert not made.needs_tip()
            made.fetch_tip()
            assert bound(made) is None or ahead > 30
        assert len(endpoint.asked) == asked
        clock.ahead = 121
        assert made.needs_tip()


def test_a_tip_from_before_an_outage_bounds_a_hint_still(clock: Clock) -> None:
    with chain(LATEST) as (made, endpoint):
        made.fetch_tip()
        endpoint._answers[:] = [status(503)]
        clock.ahead = 3_600
        made.fetch_tip()
        assert not made.needs_tip()
        assert (bound(made) or 0) >= HEIGHT + 3_600 * module._SLOTS_A_SECOND


def test_without_an_endpoint_no_hint_waits_and_none_is_bounded(clock: Clock) -> None:
    made = SolanaChain(Rpc(SOLANA_DEVNET, []))
    assert not made.needs_tip()
    made.fetch_tip()
    assert bound(made) is None


@pytest.mark.skipif(
    not hasattr(time, "CLOCK_BOOTTIME"), reason="Linux alone has this clock; elsewhere the monotonic one counts sleep"
)
def test_a_bound_counts_the_time_that_the_machine_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a machine sleeps, `time.monotonic` stands still on Linux, and the chain goes on."""
    real, slept = time.clock_gettime, [0.0]
    monkeypatch.setattr(time, "clock_gettime", lambda which: real(which) + slept[0] * (which == time.CLOCK_BOOTTIME))
    with chain(LATEST) as (made, _):
        made.fetch_tip()
        slept[0] = 600.0
        assert (bound(made) or 0) >= HEIGHT + 600 * module._SLOTS_A_SECOND


def test_a_hint_equal_to_ours_has_our_height(clock: Clock) -> None:
    with chain(numbered()) as (made, _):
        made.fetch_blockhash()
        hinted = made.fresh_hint("hash 1")
        assert hinted is not None
        assert hinted.last_valid_height == 1
        clock.ahead = 26
        assert made.fresh_hint("hash 1") is None


@pytest.mark.parametrize(
    ("text", "good"),
    [("1" * 32, True), ("So11111111111111111111111111111111111111112", True), ("1" * 31, False), ("1" * 44, False),
     ("1" * 45, False), ("So1" * 100_000, False), ("", False), ("0OIl" * 8, False), ("é" * 32, False)],
)  # fmt: skip
def test_addresses_are_told_and_no_other_text_is_kept(text: str, good: bool) -> None:
    before = public_key.cache_info().currsize
    assert is_address(text) is good
    assert is_address(text) is good
    assert public_key.cache_info().currsize <= before + good
