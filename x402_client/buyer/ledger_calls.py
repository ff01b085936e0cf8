"""Asking a ledger: whatever fails in one means the same, and an async caller is never made to wait on the loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from ..core.drive import is_coming
from ..errors import ConfigurationError, LedgerUnavailable, X402Error
from ..guards.tracebacks import forget_frames
from ..model.holds import LedgerBusy

T = TypeVar("T")
Question = Callable[..., Any]


def ask(ledger: Any, question: Question, *words: Any) -> Any:
    """For sync callers: ``question(ledger, *words)``."""
    answer = _guarded(question, ledger, *words)
    if is_coming(answer):
        getattr(answer, "close", bool)()  # or Python complains of a coroutine that was never awaited
        raise ConfigurationError("This buyer's ledger is async; use an async client, or the async twin of the method.")
    return answer


async def aask(ledger: Any, question: Question, *words: Any) -> Any:
    """For async callers."""
    answer = begin(ledger, question, *words)
    return await answer if is_coming(answer) else answer


def begin(ledger: Any, question: Question, *words: Any) -> Any:
    """The answer, or what has to be awaited for it. A file that somebody else is writing is waited for in a thread."""
    quick = getattr(ledger, "asynchronous", None) or getattr(ledger, "impatient", ledger)
    try:
        answer = _guarded(question, quick, *words)
    except LedgerBusy:
        return _in_thread(partial(_guarded, question, ledger, *words))
    return _guarded_await(answer) if is_coming(answer) else answer


async def _in_thread(question: Callable[[], Any]) -> Any:
    import anyio.to_thread

    answer = await anyio.to_thread.run_sync(question, abandon_on_cancel=True)
    return await _guarded_await(answer) if is_coming(answer) else answer


def _guarded(question: Question, *words: Any) -> Any:
    """A ledger of somebody else's may fail in any way; it all means the same."""
    try:
        return question(*words)
    except LedgerBusy:
        raise
    except Exception as failure:
        raise _failed(failure)  # noqa: B904 - it says itself what caused it


async def _guarded_await(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except Exception as failure:
        raise _failed(failure)  # noqa: B904 - it says itself what caused it


def _failed(failure: Exception) -> X402Error:
    """Without frames: a store's client has what it was writing in its variables, and that may be a payment."""
    forget_frames(failure)
    if isinstance(failure, X402Error):
        return failure
    said = LedgerUnavailable(f"The ledger failed with {type(failure).__name__}: {failure}. Nothing is paid without it.")
    said.__cause__ = failure
    return said
