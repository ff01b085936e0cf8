"""Calls a ledger. Any failure becomes LedgerUnavailable; for async callers, calls that may block run in a thread."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from ..core.drive import is_coming
from ..core.ports import Ledger
from ..errors import ConfigurationError, LedgerUnavailable, X402Error
from ..guards.handlers import raise_callers_stop
from ..guards.tracebacks import forget_frames
from ..ledgers.extras import for_async_callers
from ..model.holds import LedgerBusy

T = TypeVar("T")
Question = Callable[..., Any]


def call_ledger(ledger: Ledger, question: Question, *arguments: Any) -> Any:
    """Call ``question(ledger, *arguments)`` for a sync caller, and return its answer."""
    answer = guarded(question, ledger, *arguments)
    if is_coming(answer):
        getattr(answer, "close", bool)()  # or Python warns of a coroutine that was never awaited
        raise ConfigurationError("This buyer's ledger is async; use an async client, or the async twin of the method.")
    return answer


async def acall_ledger(ledger: Ledger, question: Question, *arguments: Any) -> Any:
    """Async twin of ``call_ledger``."""
    answer = start_ledger_call(ledger, question, *arguments)
    return await answer if is_coming(answer) else answer


def start_ledger_call(ledger: Ledger, question: Question, *arguments: Any) -> Any:
    """Return the answer, or an awaitable of it.

    If another writer holds the ledger's file, the call waits in a thread.
    """
    try:
        answer = guarded(question, for_async_callers(ledger), *arguments)
    except LedgerBusy:
        return _in_thread(partial(guarded, question, ledger, *arguments))
    return await_ledger(answer) if is_coming(answer) else answer


async def _in_thread(question: Callable[[], Any]) -> Any:
    import anyio.to_thread

    answer = await anyio.to_thread.run_sync(question, abandon_on_cancel=True)
    return await await_ledger(answer) if is_coming(answer) else answer


def guarded(question: Question, *arguments: Any) -> Any:
    """Call the ledger. A ledger that we did not write may fail in any way: each becomes LedgerUnavailable."""
    try:
        return question(*arguments)
    except LedgerBusy:
        raise
    except Exception as failure:
        raise_callers_stop(failure)
        raise _failed(failure)  # noqa: B904 - it says itself what caused it


async def await_ledger(answer: Awaitable[T]) -> T:
    """Await a ledger's answer. Any failure becomes LedgerUnavailable."""
    try:
        return await answer
    except Exception as failure:
        raise_callers_stop(failure)
        raise _failed(failure)  # noqa: B904 - it says itself what caused it


def _failed(failure: Exception) -> X402Error:
    """Return the error for a failed ledger, without frames.

    A store's client has what it was writing in its variables, and that may be a payment.
    """
    forget_frames(failure)
    if isinstance(failure, X402Error):
        return failure
    said = LedgerUnavailable(f"The ledger failed with {type(failure).__name__}: {failure}. Nothing is paid without it.")
    said.__cause__ = failure
    return said
