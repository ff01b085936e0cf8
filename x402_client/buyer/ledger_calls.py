"""Calls of a ledger. Any failure becomes LedgerUnavailable; calls that may block an event loop run in a thread."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from ..core.drive import is_coming
from ..core.ports import Ledger
from ..errors import ConfigurationError, LedgerUnavailable, X402Error
from ..guards.tracebacks import forget_frames
from ..ledgers.extras import for_async_callers
from ..model.holds import LedgerBusy

T = TypeVar("T")
Question = Callable[..., Any]


def ask(ledger: Ledger, question: Question, *words: Any) -> Any:
    """Call ``question(ledger, *words)`` for a sync caller."""
    answer = _guarded(question, ledger, *words)
    if is_coming(answer):
        getattr(answer, "close", bool)()  # or Python complains of a coroutine that was never awaited
        raise ConfigurationError("This buyer's ledger is async; use an async client, or the async twin of the method.")
    return answer


async def aask(ledger: Ledger, question: Question, *words: Any) -> Any:
    """Call ``question(ledger, *words)`` for an async caller, and await the answer."""
    answer = begin(ledger, question, *words)
    return await answer if is_coming(answer) else answer


def begin(ledger: Ledger, question: Question, *words: Any) -> Any:
    """Return the answer, or an awaitable of it. The wait for a file that another program writes is made in a thread."""
    try:
        answer = _guarded(question, for_async_callers(ledger), *words)
    except LedgerBusy:
        return _in_thread(partial(_guarded, question, ledger, *words))
    return _guarded_await(answer) if is_coming(answer) else answer


async def _in_thread(question: Callable[[], Any]) -> Any:
    import anyio.to_thread

    answer = await anyio.to_thread.run_sync(question, abandon_on_cancel=True)
    return await _guarded_await(answer) if is_coming(answer) else answer


def _guarded(question: Question, *words: Any) -> Any:
    """Turn any failure into LedgerUnavailable: a stranger's ledger may fail in any way."""
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
    """Build LedgerUnavailable without frames: a store's client has what it was writing, a payment, in its variables."""
    forget_frames(failure)
    if isinstance(failure, X402Error):
        return failure
    said = LedgerUnavailable(f"The ledger failed with {type(failure).__name__}: {failure}. Nothing is paid without it.")
    said.__cause__ = failure
    return said
