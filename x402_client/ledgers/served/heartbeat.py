"""Heartbeat: one thread per ledger, while it has claims. It renews their lease and sends the claims that ended."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from queue import Empty

from ...errors import X402Error
from ...guards.threads import is_ending, start
from .claims import Claims

#: Seconds between two looks at attempts that do not call back when they end.
_LOOK = 0.02
#: Seconds without claims after which the thread ends. The next claim starts another.
_LINGER = 2.0
#: Seconds between two beats of a program that has no claims but remembers unresolved holds. Less than ``trust.GRACE``,
#: in which programs write such holds back after a loss was accepted.
_REMEMBER = 2.0
#: Seconds before the server is asked again after it failed.
_REST = 1.0


class LeaseThread:
    """Thread that renews the lease of one ``Claims``.

    ``beat`` sends what is due for one purse. The reference is weak, so that the thread does not keep the ledger alive.
    """

    __slots__ = ("__weakref__", "_beat", "_claims", "_every", "_lock", "_rests", "_stopped", "_thread")

    def __init__(self, claims: Claims, every: float, beat: weakref.WeakMethod[Callable[[str], None]]) -> None:
        self._claims, self._every, self._beat = claims, every, beat
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        #: True once the ledger was closed, until the next claim.
        self._rests = False

    def start(self) -> None:
        """Start the thread, if it does not run. Called at every claim. Raises RuntimeError if none can be started."""
        self._rests = False
        self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                thread = threading.Thread(target=self._run, args=(self._stopped,), name="x402 ledger", daemon=True)
                start(thread)
                self._thread = thread
        if self._claims.has_unwatched:
            self._claims.ends.put(True)

    def rest(self) -> None:
        """Stop the thread, and wait until it has ended. Where attempts go on, another one runs until these end."""
        with self._lock:
            self._stopped.set()
            thread = self._thread
        self._claims.ends.put(True)
        if thread is not None and thread is not threading.current_thread() and not is_ending():
            thread.join()
        with self._lock:
            if self._thread is thread:
                self._thread, self._stopped, self._rests = None, threading.Event(), True
        if self._claims.some_live:
            self._start()

    def _run(self, stopped: threading.Event) -> None:
        beaten: dict[str, float] = {}
        idle = time.monotonic()
        while not stopped.is_set():
            ends = self._rests and not self._claims.some_live
            purses, remembered = self._claims.purses, self._claims.purses_remembered
            now = time.monotonic()
            idle = now if purses or remembered else idle
            if not (purses or remembered) and self._may_end(now - idle):
                return
            due = [purse for purse in purses if beaten.get(purse, 0.0) + self._every <= now]
            due += [purse for purse in remembered - purses if beaten.get(purse, 0.0) + _REMEMBER <= now]
            due += [purse for purse in self._claims.purses_to_write(purses) if purse not in due]
            if not self._beat_all(due, beaten, stopped):
                return
            if ends and self._may_rest():
                return
            self._wait()

    def _beat_all(self, purses: list[str], beaten: dict[str, float], stopped: threading.Event) -> bool:
        """Call ``beat`` for each purse. Return False if the ledger is gone: it is referenced only here."""
        beat = self._beat()
        if beat is None:
            return False
        for purse in purses:
            beaten[purse] = time.monotonic()
            try:
                beat(purse)
            except X402Error:
                stopped.wait(_REST)
        return True

    def _may_end(self, idle: float) -> bool:
        with self._lock:
            if idle < _LINGER or self._claims.purses or self._claims.purses_remembered:
                return False
            self._thread = None
            return True

    def _may_rest(self) -> bool:
        with self._lock:
            if not self._rests:  # there was a claim meanwhile
                return False
            self._thread = None
            return True

    def _wait(self) -> None:
        try:
            self._claims.ends.get(timeout=_LOOK if self._claims.has_unwatched else self._every)
            while True:
                self._claims.ends.get_nowait()
        except Empty:
            return
