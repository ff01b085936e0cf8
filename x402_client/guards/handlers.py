"""Tells an exception that a signal handler raised from a failure of what it interrupted.

Job queues and deadlines stop a task like this: a handler of SIGALRM or SIGUSR1 raises an ``Exception`` in the middle of
what the main thread does. That is the caller's own stop, as Ctrl-C is, and no failure of a seller or a ledger.

Strategy: Python runs a handler as a frame on top of the interrupted one, so the exception's traceback has a frame of
the handler's code. Looked at where something failed, and nowhere else.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator
from functools import partial
from types import CodeType, TracebackType
from typing import Any, NoReturn

from .tracebacks import forget_frames

#: Steps from one exception to those that it wraps, and from a handler to what it calls, at most.
_MOST = 20


class Stopped(BaseException):
    """Carrier of a caller's own exception through a flow, which judges it as it judges Ctrl-C."""

    def __init__(self, stop: Exception) -> None:
        super().__init__()
        self._stop = stop

    def go_on(self) -> NoReturn:
        """Raise the caller's own exception, with the context that it came with."""
        context = self._stop.__context__
        try:
            raise self._stop
        finally:
            self._stop.__context__ = context


def as_stop(failure: BaseException) -> BaseException:
    """Return the carrier of the exception that a signal handler raised: this one, or one that it wraps.

    Return the failure itself if no handler raised it. Call it where ``failure`` is handled. Of the carried exception's
    frames only those of its handler stay: the interrupted ones may have a payment in their variables.
    """
    if not isinstance(failure, Exception) or threading.current_thread() is not threading.main_thread():
        return failure  # Python runs handlers in the main thread alone
    codes = _codes_of_handlers()
    for link in _wrapped(failure) if codes else ():
        trace = None if link is not failure and _is_handled_above(link) else _handler_in(link, codes)
        if trace is not None and isinstance(link, Exception):
            forget_frames(failure)
            return Stopped(link.with_traceback(trace))
    return failure


def raise_callers_stop(failure: BaseException) -> None:
    """Raise the exception of a signal handler, if this is one or wraps one. Call it where ``failure`` is handled."""
    stop = as_stop(failure)
    if isinstance(stop, Stopped):
        stop.go_on()


def _handler_in(failure: BaseException, codes: set[CodeType]) -> TracebackType | None:
    """Return the part of a traceback that begins with a handler."""
    trace = failure.__traceback__
    while trace is not None and trace.tb_frame.f_code not in codes:
        trace = trace.tb_next
    return trace


def _is_handled_above(failure: BaseException) -> bool:
    """Return True if a caller of this one is handling an exception: it came before, and stopped nothing here."""
    trace, frame = failure.__traceback__, sys._getframe()
    while trace is not None and frame is not None:
        if frame is trace.tb_frame:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _wrapped(failure: BaseException) -> Iterator[BaseException]:
    """Yield a failure and what it was raised from, or while it was handled; urllib3 and requests also pass it on."""
    seen: set[int] = set()
    waiting: deque[Any] = deque([failure])
    while waiting and len(seen) < _MOST:
        one = waiting.popleft()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args[:2])


def _codes_of_handlers() -> set[CodeType]:
    """Return the code of each Python function that is installed as the handler of a signal now."""
    found: set[CodeType] = set()
    for number in signal.valid_signals():
        try:
            handler = signal.getsignal(number)
        except (ValueError, OSError):  # one that the system keeps for itself
            continue
        if callable(handler) and handler is not signal.default_int_handler:
            found.update(_codes_of(handler))
    return found


def _codes_of(handler: Any) -> Iterator[CodeType]:
    """Yield the code of what a handler calls: of a function, a method, a partial, an object, and what these wrap."""
    seen: set[int] = set()
    waiting: deque[Any] = deque([handler])
    while waiting and len(seen) < _MOST:
        one = waiting.popleft()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        code = getattr(one, "__code__", None)
        if isinstance(code, CodeType):
            yield code
        elif isinstance(one, partial):
            waiting.append(one.func)
        elif not hasattr(one, "__func__"):
            waiting.append(type(one).__call__ if callable(one) else None)
        waiting += (getattr(one, "__func__", None), getattr(one, "__wrapped__", None))
