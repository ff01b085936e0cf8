"""Checkpoints: a thread moves the write-ahead log into the file, so that payments need not wait for the disk.

A payment's write is safe before that; only the log would grow.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable

from ...errors import LedgerUnavailable
from ...guards.threads import start

#: Writes of this process between two checkpoints.
_WRITES = 600
#: Seconds that each step of a checkpoint waits for other writers.
_PATIENCE = 5.0


class Checkpoints:
    """Checkpoints of one file. Each starts under the file's lock, so a fork that has the lock can wait for the last."""

    __slots__ = ("_move_log", "_moving", "_since")

    def __init__(self, move_log: Callable[[float], object]) -> None:
        self._move_log, self._since = move_log, 0
        self._moving = threading.Lock()

    def count_write(self, same: Callable[[], bool]) -> None:
        """Count a write. Start a checkpoint if one is due. ``same`` returns True if the file was not replaced."""
        self._since += 1
        if self._since < _WRITES or not self._moving.acquire(blocking=False):
            return
        self._since = 0
        try:
            start(threading.Thread(target=self._move, args=(same,), name="x402-checkpoint", daemon=True))
        except RuntimeError:  # the interpreter is shutting down
            self._moving.release()

    def wait(self, seconds: float) -> None:
        """Wait until no checkpoint runs."""
        if self._moving.acquire(timeout=seconds):
            self._moving.release()

    def _move(self, same: Callable[[], bool]) -> None:
        try:
            if same():
                with contextlib.suppress(sqlite3.Error, OSError, LedgerUnavailable):  # the next one does it
                    self._move_log(_PATIENCE)
        finally:
            self._moving.release()
