"""Checkpoints: a thread moves the write-ahead log into the file, so that payments need not wait for the disk.

A payment's write is safe before that; only the log would grow.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

#: Writes of this process between two moves.
_WRITES = 600
#: While one move runs others write on, so a few follow each other until nothing is left.
_ROUNDS = 4
#: Pages of log at which a writer checkpoints by itself: where writes never pause, no thread catches up with them.
LAST_RESORT = 4_000


class Checkpoints:
    """Checkpoints of one file. Each has its own connection, and begins under the file's lock: so no fork meets one."""

    __slots__ = ("_moving", "_path", "_since")

    def __init__(self, path: Path) -> None:
        self._path, self._since = path, 0
        self._moving = threading.Lock()

    def count_write(self, same: Callable[[], bool]) -> None:
        """Count a write; start a checkpoint if it is due. ``same`` tells if the file is still the one written to."""
        self._since += 1
        if self._since < _WRITES or not self._moving.acquire(blocking=False):
            return
        self._since = 0
        try:
            threading.Thread(target=self._move, args=(same,), name="x402-checkpoint", daemon=True).start()
        except RuntimeError:  # the interpreter ends
            self._moving.release()

    def wait(self, seconds: float) -> None:
        """Wait until no checkpoint runs."""
        if self._moving.acquire(timeout=seconds):
            self._moving.release()

    def _move(self, same: Callable[[], bool]) -> None:
        try:
            if same():
                with contextlib.suppress(sqlite3.Error):  # the next one does it, or the last resort
                    self._move_all()
        finally:
            self._moving.release()

    def _move_all(self) -> None:
        db = sqlite3.connect(f"{self._path.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)
        with contextlib.closing(db):
            for _ in range(_ROUNDS):
                _, written, moved = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if written == moved:
                    return
