"""Awaits, from a thread, what an async ledger answers: on its own event loop while that runs."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..core.drive import is_coming
from ..model.holds import LedgerBusy
from .ledger_calls import await_ledger

if TYPE_CHECKING:
    import asyncio

#: Seconds between two looks at the loop that is waited for.
_LOOK = 0.2


def drop_awaitable(answer: object) -> bool:
    """Drop an answer that would have to be awaited. Return True if it was one."""
    if is_coming(answer):
        getattr(answer, "close", bool)()  # or Python warns of a coroutine that was never awaited
        return True
    return False


def await_in_thread(coming: Awaitable[Any], loop: asyncio.AbstractEventLoop | None) -> None:
    """Await an answer of an async ledger: on the loop where the delivery was, while that runs, or on one of our own."""
    import asyncio

    with suppress(RuntimeError):
        asyncio.get_running_loop()
        drop_awaitable(coming)
        raise LedgerBusy  # no waiting on a loop
    waiting = await_ledger(coming)
    try:
        if loop is not None and loop.is_running():
            _run_there(waiting, loop)
        else:
            asyncio.run(waiting)
    finally:
        waiting.close()
        drop_awaitable(coming)


def _run_there(waiting: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
    import asyncio

    future = asyncio.run_coroutine_threadsafe(waiting, loop)
    while True:
        try:
            future.result(_LOOK)
            return
        except TimeoutError:
            if not loop.is_running():
                future.cancel()
                raise
