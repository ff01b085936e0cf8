"""Looks at a chain: shared, few at a time, and off the list on every path."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest

from tests.guards.striking import Striking, raising
from x402_client.buyer import settlement_reader
from x402_client.buyer.looks import MOST, Look, Looks, ended
from x402_client.buyer.settlement_reader import Reader
from x402_client.chains.rpc import Endpoints
from x402_client.chains.settlement import ChainReader
from x402_client.model.holds import Hold

from .test_settlement_reader import expired

BACKENDS = ["asyncio", "trio"]
LONG = 60.0


class Gate:
    """A sync reader that answers once it is let."""

    def __init__(self) -> None:
        self.go_on, self.begun = threading.Event(), threading.Semaphore(0)
        self.asked: list[str] = []

    def read(self, hold: Hold) -> Any:
        self.asked.append(hold.id)
        self.begun.release()
        self.go_on.wait()
        return "settled"


class AsyncGate:
    """The same for async callers."""

    def __init__(self) -> None:
        self.go_on = anyio.Event()
        self.asked: list[str] = []

    async def read(self, hold: Hold) -> Any:
        self.asked.append(hold.id)
        await self.go_on.wait()
        return "settled"


@pytest.fixture
def gate() -> Iterator[Gate]:
    one = Gate()
    yield one
    one.go_on.set()


@pytest.mark.parametrize("backend", BACKENDS)
def test_cancelled_while_an_async_reader_is_asked_the_next_one_asks(backend: str) -> None:
    async def main() -> None:
        gate = AsyncGate()
        reader, hold = Reader(gate), expired()
        for _ in range(3):
            with anyio.move_on_after(0.02):
                await reader.afate(hold)
        assert gate.asked == [hold.id] * 3
        gate.go_on.set()
        assert await reader.afate(hold) == "settled"

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_cancelled_while_a_sync_reader_is_asked_the_same_look_goes_on(backend: str, gate: Gate) -> None:
    async def main() -> None:
        reader, hold = Reader(gate), expired()
        for _ in range(3):
            with anyio.move_on_after(0.02):
                await reader.afate(hold)
        gate.go_on.set()
        assert await reader.afate(hold) == "settled"

    anyio.run(main, backend=backend)
    assert set(gate.asked) == {"a"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_tasks_that_ask_the_same_share_one_answer(backend: str) -> None:
    async def main() -> None:
        gate, found = AsyncGate(), []
        reader, hold = Reader(gate), expired()

        async def ask() -> None:
            found.append(await reader.afate(hold))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
            await anyio.sleep(0.02)
            gate.go_on.set()
        assert found == ["settled"] * 20
        assert gate.asked == [hold.id]

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_the_task_that_asks_is_cancelled_another_one_asks_in_its_place(backend: str) -> None:
    async def main() -> None:
        gate, found = AsyncGate(), []
        reader, hold = Reader(gate), expired()

        async def ask() -> None:
            found.append(await reader.afate(hold))

        async with anyio.create_task_group() as others:
            async with anyio.create_task_group() as first:
                first.start_soon(ask)
                await anyio.sleep(0.01)
                others.start_soon(ask)
                await anyio.sleep(0.01)
                first.cancel_scope.cancel()
            await anyio.sleep(0.1)
            gate.go_on.set()
        assert found == ["settled"]
        assert gate.asked == [hold.id] * 2

    anyio.run(main, backend=backend)


def test_threads_that_ask_the_same_share_one_answer(gate: Gate) -> None:
    reader, hold, found = Reader(gate), expired(), []
    threads = [threading.Thread(target=lambda: found.append(reader.fate(hold))) for _ in range(20)]
    for thread in threads:
        thread.start()
    gate.begun.acquire()
    gate.go_on.set()
    for thread in threads:
        thread.join()
    assert found == ["settled"] * 20
    assert len(gate.asked) < 20


def test_beyond_four_looks_at_a_network_there_is_no_answer_at_once(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement_reader, "PATIENCE", LONG)
    monkeypatch.setattr(settlement_reader, "AT_ONCE", LONG)
    reader, before = Reader(gate), threading.active_count()
    asking = [threading.Thread(target=reader.fate, args=[expired(f"silent {n}")]) for n in range(MOST)]
    for thread in asking:
        thread.start()
    for _ in asking:
        gate.begun.acquire()
    for number in range(50):
        hold = expired(f"further {number}")
        assert reader.fate(hold) == "unknown"
        assert not reader.see(hold, funds=False).settled
        assert anyio.run(reader.afate, hold) == "unknown"
    assert len(gate.asked) == MOST
    assert threading.active_count() <= before + 2 * MOST
    elsewhere = expired("elsewhere")
    gate.go_on.set()
    for thread in asking:
        thread.join()
    assert reader.fate(elsewhere) == "settled"


def test_another_networks_looks_are_counted_apart(gate: Gate) -> None:
    looks = Looks()
    for number in range(MOST):
        assert looks.in_thread(number, "eip155:1", gate.go_on.wait, LONG) is not None
    assert looks.in_thread("one more", "eip155:1", gate.go_on.wait, LONG) is None
    other = looks.in_thread("other", "eip155:2", lambda: "settled", LONG)
    assert other is not None
    assert other.over.wait(LONG)
    assert other.answer == "settled"


@pytest.mark.parametrize("failure", [ValueError, SystemExit])
def test_a_look_that_fails_is_off_the_list(failure: type[BaseException]) -> None:
    def fails() -> None:
        raise failure

    looks = Looks()
    for _ in range(2 * MOST):
        look = looks.in_thread("a", "eip155:1", fails, LONG)
        assert look is not None
        assert look.over.wait(LONG)
        assert look.answer is None


def test_where_no_thread_can_be_started_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks()

    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        for _ in range(2 * MOST):
            assert looks.in_thread("a", "eip155:1", lambda: "settled", LONG) is None
    look = looks.in_thread("a", "eip155:1", lambda: "settled", LONG)
    assert look is not None
    assert look.over.wait(LONG)


def test_one_that_has_lasted_too_long_is_not_waited_for(gate: Gate) -> None:
    looks = Looks()
    assert looks.in_thread("a", "eip155:1", gate.go_on.wait, LONG) is not None
    assert looks.in_thread("a", "eip155:1", gate.go_on.wait, 0.0) is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_does_not_wait_for_its_parents_looks(gate: Gate) -> None:
    reader = Reader(gate)
    thread = threading.Thread(target=reader.fate, args=[expired()])
    thread.start()
    gate.begun.acquire()
    child = os.fork()
    if child == 0:
        gate.go_on = threading.Event()
        gate.go_on.set()
        os._exit(0 if reader.fate(expired()) == "settled" else 1)
    assert os.waitpid(child, 0)[1] == 0
    gate.go_on.set()
    thread.join()


def see(reader: Reader, hold: Hold) -> Any:
    return reader.see(hold, funds=True)


def asee(reader: Reader, hold: Hold) -> Any:
    return anyio.run(reader.asee, hold, True)


SEE: list[Callable[[Reader, Hold], Any]] = [see, asee]


class Says:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def read(self, hold: Hold) -> Any:
        return self.answer


@pytest.mark.parametrize("ask", SEE)
@pytest.mark.parametrize("answer", ["settled", "not_settled", "live", "unknown", "nonsense"])
@pytest.mark.parametrize("seconds", [-300, 1_000])
def test_settled_is_believed_whenever_it_is_seen(ask: Any, answer: str, seconds: float) -> None:
    found = ask(Reader(Says(answer), lambda hold: 7), expired(seconds=seconds))
    assert (found.settled, found.balance) == (answer == "settled", 7)


@pytest.mark.parametrize("ask", SEE)
def test_looking_at_once_is_bounded(ask: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement_reader, "AT_ONCE", 0.05)
    found = ask(Reader(gate, lambda hold: gate.go_on.wait()), expired())
    assert (found.settled, found.balance) == (False, None)


@pytest.mark.parametrize("ask", SEE)
def test_without_an_endpoint_nothing_is_asked_and_nobody_waits(ask: Any) -> None:
    class Chain(ChainReader):
        def read(self, hold: Hold) -> Any:
            raise AssertionError

    found = ask(Reader(Chain(Endpoints({}))), expired())
    assert (found.settled, found.balance) == (False, None)


def test_waiting_for_a_look_ends_with_it() -> None:
    async def main() -> None:
        look = Look("eip155:1")
        threading.Timer(0.05, look.over.set).start()
        started = time.monotonic()
        await ended(look)
        assert look.over.is_set()
        assert time.monotonic() > started

    anyio.run(main)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, TimeoutError, RuntimeError])
def test_a_signal_amid_the_begin_of_a_look_leaves_no_place_taken(stop: type[BaseException]) -> None:
    looks = Looks()
    number, reached = 0, True
    with raising(stop):
        while reached:
            striking = Striking(number, "x402_client/")
            with suppress(stop), striking:
                looks.in_thread("a", "eip155:1", lambda: "settled", LONG)
            reached = striking.reached
            look = looks.in_thread("a", "eip155:1", lambda: "settled", LONG)
            assert look is not None
            assert look.over.wait(2), number
            number += 1
    assert number > 10
