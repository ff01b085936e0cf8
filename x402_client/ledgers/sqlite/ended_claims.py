"""Ends of this process's claims: a thread records those of attempts that ended, so that other processes see them."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
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
    while ends.get():
        found = ledger()
        if found is None:
            return
        with contextlib.suppress(X402Error):
            found._record_ended()
            if found._claims.left and not found._claims.some_live:
                found.close_ledger()
        del found


def close_unused(claims: Claims, file: LedgerFile, process: int) -> None:
    """Close what a ledger had that is in use no more. The garbage collector calls it, in any thread at any moment.

    That may be in a fork, in the thread that locked every file for it: such a file is closed already, and to wait for
    its lock would be for ever. A forked child closes nothing of its parent's: the claims are the parent's own.
    """
    if process == os.getpid():
        claims.close()
        file.close(patience=0)
