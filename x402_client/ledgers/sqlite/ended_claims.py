"""Ends of this process's claims: a thread records those of attempts that ended, so that other processes see them.

The file may be busy, full or away at that moment. So each end is shown beside it first, in the process's own lock file.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

from ...errors import X402Error
from ...guards.threads import start as start_thread
from .file import LedgerFile
from .process_locks import Claims


class Recording(Protocol):
    """Ledger that can record its ended attempts."""

    _claims: Claims

    def _record_ended(self) -> None:
        """Record which attempts ended."""

    def close_ledger(self) -> None:
        """Close the ledger."""


def ends_writer(ledger: weakref.ref[Recording]) -> Callable[[SimpleQueue[bool]], None]:
    """Return a function that starts the thread. It gets an item for each attempt that ends."""

    def start(ends: SimpleQueue[bool]) -> None:
        # No thread starts while the interpreter shuts down. Then the next use of the ledger records them.
        with contextlib.suppress(RuntimeError):
            start_thread(threading.Thread(target=_write_ends, args=(ends, ledger), name="x402-ledger", daemon=True))

    return start


def _write_ends(ends: SimpleQueue[bool], ledger: weakref.ref[Recording]) -> None:
    """Record each end. An end that the file does not take is marked beside it, and tried again until it does."""
    pause: float | None = None
    while _goes_on(ends, pause):
        found = ledger()
        if found is None:
            return
        found._claims.mark_ended()
        try:
            found._record_ended()
            pause = None
            if found._claims.left and not found._claims.some_live:
                found.close_ledger()
        except X402Error:
            pause = min(2 * pause, _LONGEST) if pause else _SOON
        del found


#: Seconds before an end is tried again that the file did not take.
_SOON, _LONGEST = 0.05, 10.0


def _goes_on(ends: SimpleQueue[bool], pause: float | None) -> bool:
    """Wait for the next end, or for a pause. Return False once the claims were given up."""
    try:
        return ends.get(timeout=pause)
    except Empty:
        return True


def close_unused(claims: Claims, file: LedgerFile, process: int) -> None:
    """Close what a ledger had that is in use no more. The garbage collector calls it, in any thread at any moment.

    That may be in a fork, in the thread that locked every file for it: such a file is closed already, and to wait for
    its lock would be for ever. A forked child closes nothing of its parent's: the claims are the parent's own.
    """
    if process == os.getpid():
        claims.close()
        file.close(patience=0)
