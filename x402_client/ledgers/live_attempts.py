"""The attempts that hold claims in one process, and those of them that ended. No step goes through all of them.

Strategy: an attempt ends in one of three ways. It calls back, at its end or in the garbage collector. Or its event
loop was closed, which calls nothing; so attempts are grouped by their loops, and each loop is asked once. Or it is of a
class that cannot call back, and is asked each time.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from ..model.holds import Attempt

K = TypeVar("K", int, str)
_Stranded = Callable[[], bool]


class Entry(Generic[K]):
    """One claim: a reference to its attempt, and the question that tells if its loop was closed."""

    __slots__ = ("attempt", "stranded")

    def __init__(self, attempt: weakref.ref[Attempt], stranded: _Stranded | None) -> None:
        self.attempt: weakref.ref[Attempt] = attempt
        self.stranded: _Stranded | None = stranded

    @property
    def lives(self) -> bool:
        """Return True while the attempt lives. One that was garbage-collected does not."""
        attempt = self.attempt()
        return attempt is not None and attempt.alive


class LiveAttempts(Generic[K]):
    """Attempts by the hold that each presents. Safe between threads; an attempt may end at any time.

    Args:
        wake: Called when an attempt ends. It must neither block nor fail.
    """

    __slots__ = ("_entries", "_lock", "_over", "_polled", "_said", "_stranded", "_wake")

    def __init__(self, wake: Callable[[], object] = bool) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._entries: dict[K, Entry[K]] = {}
        #: Holds whose attempts called back and were not looked at yet.
        self._said: SimpleQueue[K] = SimpleQueue()
        #: Holds whose attempts were over at the last look, and are not forgotten.
        self._over: set[K] = set()
        #: Holds of each event loop, by the question that tells if it was closed.
        self._stranded: dict[_Stranded, set[K]] = {}
        #: Holds whose attempts do not call back.
        self._polled: set[K] = set()

    def take(self, key: K, attempt: Attempt) -> None:
        """Record that an attempt presents a hold from now on."""
        ended, stranded = self._listener(key), getattr(attempt, "is_stranded", None)
        watch: Callable[[Callable[[], object]], object] | None = getattr(attempt, "watch", None)
        with self._lock:
            self._forget(key)
            self._entries[key] = Entry(weakref.ref(attempt, ended), stranded)
            if stranded is not None:
                self._stranded.setdefault(stranded, set()).add(key)
            if watch is None:
                self._polled.add(key)
        if watch is not None:
            watch(ended)
            if not attempt.alive:
                ended()

    def drop(self, key: K) -> None:
        """Forget the attempt that presents a hold."""
        with self._lock:
            self._forget(key)

    def drop_all(self, known: Mapping[K, Entry[K]]) -> None:
        """Forget what ``ended`` returned, unless another attempt presents the hold by now."""
        with self._lock:
            for key, entry in known.items():
                if self._entries.get(key) is entry:
                    self._forget(key)

    def lives(self, key: K) -> bool:
        """Return True while the attempt that presents a hold lives."""
        entry = self._entries.get(key)
        return entry is not None and entry.lives

    @property
    def some_live(self) -> bool:
        """Return True while an attempt lives."""
        return any(entry.lives for entry in self._entries.copy().values())

    @property
    def has_polled(self) -> bool:
        """Return True if some attempt does not call back and has to be asked."""
        return bool(self._polled)

    @property
    def some_ended(self) -> bool:
        """Return True if ``ended`` may find something."""
        if self._over or not self._said.empty():
            return True
        if self._polled and any(not self.lives(key) for key in self._polled.copy()):
            return True
        # Hot path: a loop, because a generator takes longer. A copy is made in one go, while the garbage collector may
        # run in the middle of ``tuple(...)`` and end attempts.
        for gone in self._stranded.copy():  # noqa: SIM110
            if gone():
                return True
        return False

    def ended(self) -> dict[K, Entry[K]]:
        """Return the holds whose attempts are over, until they are dropped."""
        with self._lock:
            with contextlib.suppress(Empty):
                while True:
                    self._over.add(self._said.get_nowait())
            for gone in [gone for gone in self._stranded if gone()]:
                self._over |= self._stranded[gone]
            candidates = self._over | self._polled
            found = {key: entry for key in candidates if (entry := self._entries.get(key)) and not entry.lives}
            self._over = set(found)
            return found

    def _forget(self, key: K) -> None:
        self._over.discard(key)
        self._polled.discard(key)
        entry = self._entries.pop(key, None)
        if entry is not None and entry.stranded is not None:
            loop = self._stranded.get(entry.stranded, set())
            loop.discard(key)
            if not loop:
                self._stranded.pop(entry.stranded, None)

    def _listener(self, key: K) -> Callable[..., None]:
        entries, said, wake = self._entries, self._said, self._wake

        def ended(_: object = None) -> None:
            # Runs where an attempt ends, in a cancellation or in the garbage collector: no lock, no I/O.
            if key in entries:
                said.put(key)
                wake()

        return ended
