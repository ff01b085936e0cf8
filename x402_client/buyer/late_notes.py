"""Writes down a payment's last answer later, if the ledger has to be waited for: no caller waits for that."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from ..core.asks import Note
from ..core.drive import is_coming
from ..core.ports import Ledger
from ..ledgers.extras import at_once, note
from ..model.holds import LedgerBusy
from .awaiting import await_in_thread, drop_awaitable
from .ledger_calls import guarded

if TYPE_CHECKING:
    import asyncio

#: Notes that may wait. Beyond that, the oldest is forgotten: lists say less then, and nothing else depends on it.
_MOST = 100
#: Seconds that one writer waits for another.
_PATIENCE = 5.0


class LateNotes:
    """Last answers that wait for a thread to write them. Each is tried once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[tuple[Note, asyncio.AbstractEventLoop | None]] = deque(maxlen=_MOST)
        self._writing = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._waiting) or self._writing.locked()

    def take(self, said: Note) -> bool:
        """Write a note if the ledger takes it at once, else keep it for ``write``. Return True if it is written."""
        ledger = at_once(self._ledger)
        with suppress(LedgerBusy):
            if ledger is not None and not drop_awaitable(guarded(note, ledger, said.hold, said.last)):
                return True
        self._waiting.append((said, running_loop()))
        return False

    def write(self, seconds: float = _PATIENCE) -> None:
        """Try each note once, as patiently as the ledger is. No failure is told."""
        until = time.monotonic() + seconds
        if self._writing.acquire(timeout=seconds):  # what another thread writes is written when this returns
            try:
                while self._waiting and time.monotonic() < until:
                    self._write(*self._waiting.popleft())
            finally:
                self._writing.release()

    def _write(self, said: Note, loop: asyncio.AbstractEventLoop | None) -> None:
        with suppress(Exception):
            answer = guarded(note, self._ledger, said.hold, said.last)
            if is_coming(answer):
                await_in_thread(answer, loop)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of this thread, if there is one."""
    if "asyncio" not in sys.modules:  # no loop runs; the import would take a sixth as long as all of ours
        return None
    import asyncio

    with suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None
