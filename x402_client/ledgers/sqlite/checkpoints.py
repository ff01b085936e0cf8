"""Moving what was written ahead into the file itself, on a thread: it takes a disk's time, and a payment seldom has to.

What a payment wrote is safe before that; only the log that it stands in would grow.
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
#: Pages of log at which whoever writes moves what is left: where writes never pause, no thread catches up with them.
LAST_RESORT = 4_000


class Checkpoints:
    """One file's. A move has a connection of its own, and begins only under the file's lock: so no fork meets one."""

    __slots__ = ("_moving", "_path", "_since")

    def __init__(self, path: Path) -> None:
        self._path, self._since = path, 0
        self._moving = threading.Lock()

    def wrote(self, same: Callable[[], bool]) -> None:
        """Something was written; ``same`` tells whether the file is still the one that it was written to."""
        self._since += 1
        if self._since < _WRITES or not self._moving.acquire(blocking=False):
            return
        self._since = 0
        try:
            threading.Thread(target=self._move, args=(same,), name="x402-checkpoint", daemon=True).start()
        except RuntimeError:  # the interpreter ends
            self._moving.release()

    def wait(self, seconds: float) -> None:
        """Until no move runs."""
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
