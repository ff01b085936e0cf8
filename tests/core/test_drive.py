"""The two drivers step a flow alike: answers in, failures thrown back, and the flow closed in the end."""

from __future__ import annotations

import asyncio
import signal
import types
from collections.abc import Generator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from x402_client.core.asks import Digest, Pause
from x402_client.core.drive import Flow, arun, run


def told(log: list[str], catch: type[BaseException] = OSError) -> Flow[str]:
    """Asks twice, says what it saw, and notes that it was closed."""
    try:
        try:
            given = (yield from Digest()).decode()
        except catch as failure:
            given = f"caught {type(failure).__name__}"
        log.append(given)
        yield from Pause(0)
        return given
    finally:
        log.append("closed")


async def through_anyio(flow: Flow[str], answer: Any) -> str:
    async def awaited(ask: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return answer(ask)

    return await arun(flow, awaited)


def driven(how: str, flow: Flow[str], answer: Any) -> str:
    if how == "run":
        return run(flow, answer)
    if how == "at hand":
        return anyio.run(arun, flow, answer)
    return anyio.run(through_anyio, flow, answer, backend=how)


HOW = pytest.mark.parametrize("how", ["run", "at hand", "asyncio", "trio"])


@HOW
def test_answers_go_in_and_the_result_comes_out(how: str) -> None:
    log: list[str] = []
    assert driven(how, told(log), lambda ask: b"seen" if isinstance(ask, Digest) else None) == "seen"
    assert log == ["seen", "closed"]


@HOW
@pytest.mark.parametrize("failure", [OSError, TimeoutError])
def test_a_failure_is_the_flows_to_judge(how: str, failure: type[Exception]) -> None:
    log: list[str] = []

    def answer(ask: Any) -> None:
        if isinstance(ask, Digest):
            raise failure

    assert driven(how, told(log), answer) == f"caught {failure.__name__}"
    assert log == [f"caught {failure.__name__}", "closed"]


@HOW
def test_an_interrupt_is_the_flows_to_judge_as_well(how: str) -> None:
    log: list[str] = []

    def answer(ask: Any) -> None:
        if isinstance(ask, Digest):
            raise SystemExit

    assert driven(how, told(log, SystemExit), answer) == "caught SystemExit"


@HOW
@pytest.mark.parametrize("failure", [ValueError, SystemExit])
def test_what_the_flow_does_not_judge_comes_out(how: str, failure: type[BaseException]) -> None:
    log: list[str] = []

    def answer(ask: Any) -> None:
        raise failure("why")

    with pytest.raises(failure, match="why"):
        driven(how, told(log), answer)
    assert log == ["closed"]


def test_an_answer_that_stops_iterating_does_not_end_the_flow() -> None:
    log: list[str] = []

    def answer(ask: Any) -> None:
        raise StopIteration("a trap")

    with pytest.raises(RuntimeError):
        run(told(log), answer)
    assert log == ["closed"]


def test_a_flow_without_questions() -> None:
    def silent() -> Flow[int]:
        return 7
        yield

    assert run(silent(), lambda ask: None) == 7
    assert asyncio.run(arun(silent(), lambda ask: asyncio.sleep(0))) == 7


def test_cancellation_is_thrown_into_the_flow() -> None:
    log: list[str] = []

    async def main() -> None:
        task = asyncio.create_task(arun(told(log, asyncio.CancelledError), lambda ask: asyncio.sleep(99)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert log == ["caught CancelledError", "closed"]


def test_coroutines_of_every_kind_are_awaited() -> None:
    @types.coroutine
    def old() -> Generator[Any, Any, bytes]:
        yield from asyncio.sleep(0).__await__()
        return b"seen"

    assert anyio.run(arun, told([]), lambda ask: old() if isinstance(ask, Digest) else None) == "seen"


def counting(log: list[str]) -> Flow[None]:
    """Asks three times, and notes what it was told."""
    try:
        for _ in range(3):
            try:
                log.append((yield from Digest()).decode())
            except OSError:
                log.append("failed")
    finally:
        log.append("closed")


class Ended:
    """A flow whose close is interrupted."""

    def __init__(self) -> None:
        self.closed = 0

    def __next__(self) -> Any:
        raise StopIteration("the answer")

    def close(self) -> None:
        self.closed += 1
        raise KeyboardInterrupt


@pytest.mark.parametrize("drive", [run, lambda flow, answer: anyio.run(arun, flow, answer)])
def test_what_a_flow_gave_is_not_lost_in_an_interrupted_close(drive: Any) -> None:
    flow = Ended()
    assert drive(flow, lambda ask: None) == "the answer"
    assert flow.closed == 0


class Deadline(Exception):
    """What a job queue raises when a task takes too long."""


@pytest.fixture
def handler() -> Iterator[None]:
    def too_late(*_: object) -> None:
        raise Deadline

    before = signal.signal(signal.SIGALRM, too_late)
    yield
    signal.signal(signal.SIGALRM, before)


@HOW
@pytest.mark.usefixtures("handler")
def test_what_a_signal_handler_raised_is_no_failure_for_the_flow_to_judge(how: str) -> None:
    log: list[str] = []
    with pytest.raises(Deadline):
        driven(how, told(log, Exception), lambda ask: signal.raise_signal(signal.SIGALRM))
    assert log == ["closed"]
