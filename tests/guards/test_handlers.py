"""An exception that a signal handler raised is told from any other failure, in each kind of handler and wrapping."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from x402_client.guards.handlers import Stopped, as_stop


class Deadline(Exception):
    """A caller's own."""


def function(*_: Any) -> None:
    raise Deadline


def timing_out(*_: Any) -> None:
    raise TimeoutError("the caller's")


class Penalty:
    """Handlers of a class."""

    def method(self, *_: Any) -> None:
        raise Deadline

    def __call__(self, *_: Any) -> None:
        raise Deadline


class Heir(Penalty):
    """One that inherits its call."""


@functools.wraps(function)
def wrapper(*given: Any) -> None:
    function(*given)


HANDLERS: list[Callable[..., Any]] = [
    function, timing_out, Penalty().method, Penalty(), Heir(), functools.partial(function, 1), wrapper
]  # fmt: skip


def plain() -> None:
    signal.raise_signal(signal.SIGALRM)


def wrapped() -> None:
    try:
        plain()
    except Exception as failure:
        raise ConnectionError from failure


def in_context() -> None:
    try:
        plain()
    except Exception:
        raise ConnectionError  # noqa: B904 - as urllib3 does


def in_reason() -> None:
    try:
        plain()
    except Exception as failure:
        kept = failure
    raise ConnectionError(kept)


@pytest.fixture(params=HANDLERS, ids=lambda each: getattr(each, "__name__", type(each).__name__))
def handler(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    before = signal.signal(signal.SIGALRM, request.param)
    yield request.param
    signal.signal(signal.SIGALRM, before)


def judged(happens: Callable[[], object]) -> BaseException | None:
    """Return what a flow is given for the failure that this raises."""
    try:
        happens()
    except Exception as failure:
        return as_stop(failure)
    return None


@pytest.mark.parametrize("happens", [plain, wrapped, in_context, in_reason])
@pytest.mark.usefixtures("handler")
def test_it_comes_out_as_itself(happens: Callable[[], None]) -> None:
    stop = judged(happens)
    assert isinstance(stop, Stopped)
    with pytest.raises((Deadline, TimeoutError)):
        stop.go_on()


def failing() -> None:
    raise TimeoutError("the library's")


@pytest.mark.usefixtures("handler")
def test_another_failure_is_none() -> None:
    assert isinstance(judged(failing), TimeoutError)


@pytest.mark.usefixtures("handler")
def test_one_that_a_caller_handles_already_stops_nothing_here() -> None:
    def while_cleaning_up() -> BaseException | None:
        try:
            plain()
        except Exception:
            return judged(failing)
        return None

    assert "the library's" in str(while_cleaning_up())
