"""Every moment of one paid request: before and after each ask of the flow is answered, and each piece of the body."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from x402_client.buyer import answers as _answers
from x402_client.core import asks

Act = Callable[[], Any]


class Points:
    """Counts moments, and acts at one of them, given by number or by name. An async act is awaited by async clients."""

    def __init__(self, at: int | str = 0, act: Act = bool) -> None:
        self._at, self._act = at, act
        self.waits = inspect.iscoroutinefunction(act)
        self.passed: list[str] = []
        #: Where it acted; empty: there was no such moment.
        self.reached = ""

    def __call__(self, name: str) -> Any:
        self.passed.append(name)
        if self.reached or self._at not in (len(self.passed), name):
            return None
        self.reached = name
        return self._act()

    def close(self) -> None:
        """Nothing happens any more: a connection outlives the block that watches it."""
        self._at = 0


@contextlib.contextmanager
def watched(points: Points, statements: bool = False) -> Iterator[Points]:
    """Calls in this block pass the points. Pauses are none, or a matrix of them would take minutes."""
    sync = {kind: _sync(kind, real, points) for kind, real in _answers._SYNC.items()}
    wide = {kind: _async(kind, real, points) for kind, real in _answers._ASYNC.items()}
    with (
        contextlib.closing(points),
        mock.patch.object(_answers, "_SYNC", sync),
        mock.patch.object(_answers, "_ASYNC", wide),
        _statements(points) if statements else contextlib.nullcontext(),
    ):
        yield points


def _sync(kind: type[Any], real: Callable[..., Any], points: Points) -> Callable[..., Any]:
    def answer(answers: Any, ask: Any) -> Any:
        points(f"before {_name(ask)}")
        given = None if kind is asks.Pause else real(answers, ask)
        points(f"after {_name(ask)}")
        return given

    return answer


def _async(kind: type[Any], real: Callable[..., Any], points: Points) -> Callable[..., Any]:
    async def answer(answers: Any, ask: Any) -> Any:
        await _awaited(points(f"before {_name(ask)}"))
        given = None if kind is asks.Pause else await _awaited(real(answers, ask))
        await _awaited(points(f"after {_name(ask)}"))
        return given

    at_the_end = _sync(kind, real, points)

    def answer_or_end(answers: Any, ask: Any) -> Any:
        if _name(ask) not in ("Close", "Tell Delivered"):
            return answer(answers, ask)
        # Nothing is awaited between the last byte and the caller, so an act that waits cannot happen there.
        return real(answers, ask) if points.waits else at_the_end(answers, ask)

    return answer_or_end


async def _awaited(given: Any) -> Any:
    return await given if inspect.isawaitable(given) else given


def _name(ask: Any) -> str:
    return f"Tell {type(ask.event).__name__}" if isinstance(ask, asks.Tell) else type(ask).__name__


@contextlib.contextmanager
def _statements(points: Points) -> Iterator[None]:
    """Each statement of the ledger's file is a moment too, but for those of its own thread."""

    class Watched(sqlite3.Connection):
        def execute(self, *arguments: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                points("before a statement")
            return super().execute(*arguments)

    with mock.patch.object(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Watched)):
        yield
