"""Writes down that purchases were delivered. No caller waits: a thread writes what the ledger cannot take at once.

The rule: "An end is written at once, before the hand-over, where nothing has to be waited for. Only what would wait is
written after, by a writer that no cancellation and no ending loop reaches. Until it is written the hold is in flight
for others and resolved for its own process."
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from ..core.asks import Close, Note
from ..core.drive import is_coming
from ..core.ports import Ledger
from ..errors import LedgerUnavailable, X402Error
from ..events import Event, Warned
from ..guards.threads import is_ending, start
from ..ledgers.extras import at_once, name_of, send_close
from ..model.holds import Hold, LedgerBusy
from .awaiting import await_in_thread, drop_awaitable
from .late_notes import LateNotes, running_loop
from .ledger_calls import guarded
from .pending_ends import Key, key_of, pending

if TYPE_CHECKING:
    import asyncio

log: logging.Logger = logging.getLogger("x402_client")
#: Seconds between two tries of a ledger that cannot take an end: the first time, and at most.
_FIRST_REST, _LONGEST_REST = 0.05, 5.0
#: Seconds that the thread waits for more before it stops.
_LINGER = 2.0
#: Tries and seconds between them for an end that no attempt keeps in flight. In an event loop, they hold that up.
_LOOSE_TRIES, _LOOSE_PAUSE = 10, 0.0005
#: Ends that may wait before each new payment has to write one first: else a busy ledger would fall behind for ever.
_MOST = 100
#: Seconds in which all is written when a buyer is closed or the process ends, and when it forks. A try may last longer.
_AT_CLOSE, _AT_FORK = 5.0, 2.0


@dataclass(slots=True, eq=False, repr=False)
class _End:
    """Delivery of one purchase. Its attempt lives until it is written, so that no other call takes the hold over."""

    said: Close
    #: The event loop of the delivery: a ledger that is async alone may belong to it.
    loop: asyncio.AbstractEventLoop | None
    #: Told once if it cannot be written. None: that was told.
    tell: Callable[[Event], object] | None
    #: Waits for the ledger's answer, if the ledger was sent the end already. It is called once.
    wait: Callable[[], None] | None = None

    @property
    def key(self) -> Key:
        return key_of(self.said.hold)

    @property
    def hold(self) -> Hold:
        """Return the hold as the ledger will have it."""
        return self.said.hold.shown_as(state="delivered", money=self.said.money, receipt=self.said.receipt)


class EndsWriter:
    """Writer of the ends of one ledger object, for all buyers that share it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._reset()

    def _reset(self) -> None:
        # A lock of its own: an interrupt in the middle of a condition's ``__enter__`` would leave it taken for ever.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        #: The ends that are not written, oldest first, and the keys of those that some thread is writing.
        self._waiting: dict[Key, _End] = {}
        self._writing: set[Key] = set()
        #: Those of them that no attempt keeps in flight: their answers were rejected or left before they were accepted.
        self._loose: set[Key] = set()
        self._notes = LateNotes(self._ledger)
        self._thread: threading.Thread | None = None

    def close(self, said: Close, tell: Callable[[Event], object]) -> None:
        """Write an end now if the ledger takes it at once, else have it written. Raises what a failing ledger raises.

        This waits for nothing, and may be called from any thread, with or without an event loop. ``tell`` is told, from
        another thread, if it could not be written.
        """
        if is_ending():
            self._close_at_the_end(said)
            return
        ledger = at_once(self._ledger)
        try:
            if ledger is None:
                # "a server is sent the command and its answer is not awaited"
                self._later(said, tell, guarded(_send, self._ledger, said))
                return
            if drop_awaitable(guarded(_close_soon, ledger, said)):
                raise LedgerBusy
        except LedgerBusy:
            self._later(said, tell)
        except X402Error:
            self._later(said, None)
            raise
        except BaseException:  # an interrupt: the caller stops before it has the answer
            said.attempt.end()
            raise
        else:
            said.attempt.end()

    def _close_at_the_end(self, said: Close) -> None:
        """Write an end while the interpreter ends: once and in this thread, as no other one runs any more.

        Raise LedgerUnavailable if it cannot be written. Then the payment stays unresolved.
        """
        try:
            if drop_awaitable(guarded(_close, self._ledger, said)):
                raise LedgerBusy
        except LedgerBusy:
            raise LedgerUnavailable(
                "The program is ending and waits for no ledger. Its next start presents this payment again."
            ) from None
        finally:
            said.attempt.end()

    def note(self, said: Note) -> None:
        """Keep the last answer to a payment, now if the ledger takes it at once. Waits for nothing."""
        if not self._notes.take(said):
            with self._lock:
                self._changed.notify_all()
            self._start()

    def waiting(self, purse: str) -> list[Hold]:
        """Return the delivered purchases of a purse that are not written yet, newest first."""
        with self._lock:
            found = [end.hold for end in self._waiting.values() if end.said.hold.purchase.purse == purse]
        return sorted(found, key=lambda hold: hold.created, reverse=True)

    def flush(self, seconds: float = _AT_CLOSE, again: bool = True) -> bool:
        """Write all that waits, in this thread. Return False if that was not possible in time.

        Without ``again`` it is over as soon as the ledger fails to take one, as patiently as the ledger is.
        """
        until = time.monotonic() + seconds
        self._notes.write(seconds)
        while self._waiting:
            end = self._take()
            written = end is not None and self._write(end)
            if not written and ((end is not None and not again) or not self._wait(_FIRST_REST, until)):
                return False
        return True

    async def aflush(self) -> None:
        """Async twin of ``flush``. It goes on in a thread if it is cancelled."""
        if self._waiting or self._notes:
            import anyio.to_thread

            await anyio.to_thread.run_sync(self.flush, abandon_on_cancel=True)

    def make_room(self) -> None:
        """Write loose ends, and one end for each new payment while too many wait."""
        self.write_loose()
        if len(self._waiting) > _MOST and (end := self._take()) is not None:
            self._write(end)

    async def amake_room(self) -> None:
        """Async twin of ``make_room``. It goes on in a thread if it is cancelled."""
        if self.is_crowded:
            import anyio.to_thread

            await anyio.to_thread.run_sync(self.make_room, abandon_on_cancel=True)

    @property
    def has_loose(self) -> bool:
        """Return True if an end waits whose payment another call would present."""
        return bool(self._loose)

    def write_loose(self) -> None:
        """Write such ends before a purchase is looked for in the ledger: this process has them resolved already."""
        if self._loose:
            self.flush(again=False)

    async def awrite_loose(self) -> None:
        """Async twin of ``write_loose``. It goes on in a thread if it is cancelled."""
        if self._loose:
            import anyio.to_thread

            await anyio.to_thread.run_sync(self.write_loose, abandon_on_cancel=True)

    @property
    def is_crowded(self) -> bool:
        """Return True if more ends wait than may, or a loose one."""
        return len(self._waiting) > _MOST or self.has_loose

    def _later(
        self, said: Close, tell: Callable[[Event], object] | None, wait: Callable[[], None] | None = None
    ) -> None:
        end = _End(said, running_loop(), tell, wait)
        is_loose = not said.attempt.alive
        said.attempt.is_stranded = None  # it is over when this is written, also after its loop was closed
        with self._lock:
            self._waiting[end.key], pending[end.key] = end, end.hold
            if is_loose:
                self._loose.add(end.key)
            self._changed.notify_all()
        self._start()

    def _start(self) -> None:
        _register_flush(type(self._ledger))
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="x402-ends", daemon=True)
            try:
                start(self._thread)
                return
            except RuntimeError:  # this machine has none to spare, or the interpreter is ending
                self._thread = None
        if not is_ending():
            self.flush()

    def _run(self) -> None:
        rest = _FIRST_REST
        while self._has_work():
            self._notes.write()
            end = self._take()
            if end is None or self._write(end):
                rest = _FIRST_REST
            else:
                self._wait(rest)
                rest = min(2 * rest, _LONGEST_REST)

    def _has_work(self) -> bool:
        """Wait for something to write. Return False if the thread is to stop, as nothing came for a while."""
        with self._lock:
            while not (self._notes or self._waiting.keys() - self._writing):
                if not self._changed.wait(_LINGER) and not (self._notes or self._waiting.keys() - self._writing):
                    self._thread = None
                    return False
            return True

    def _take(self) -> _End | None:
        """Return the oldest end that no thread is writing."""
        with self._lock:
            for key, end in self._waiting.items():
                if key not in self._writing:
                    self._writing.add(key)
                    return end
        return None

    def _write(self, end: _End) -> bool:
        """Write one end, as patiently as the ledger is. Return False if it could not be written."""
        try:
            answer = guarded(_finish, self._ledger, end)
            if is_coming(answer):
                await_in_thread(answer, end.loop)
        except Exception as failure:
            self._put_back(end, failure)
            return False
        except BaseException as failure:
            self._put_back(end, failure)
            raise
        self._written(end)
        return True

    def _written(self, end: _End) -> None:
        with self._lock:
            self._waiting.pop(end.key, None)
            self._writing.discard(end.key)
            self._loose.discard(end.key)
            pending.pop(end.key, None)
            self._changed.notify_all()
        end.said.attempt.end()

    def _put_back(self, end: _End, failure: BaseException) -> None:
        """Keep what could not be written. It goes to the end of the line, in case it is alone in its trouble."""
        tell = end.tell
        if isinstance(failure, X402Error) and tell is not None:
            end.tell, hold = None, end.said.hold
            tell(Warned(hold.purchase.method, hold.url, f"A delivery is not in the ledger yet: {failure}"))
        with self._lock:
            self._writing.discard(end.key)
            if end.key in self._waiting:
                self._waiting[end.key] = self._waiting.pop(end.key)

    def _wait(self, seconds: float, until: float | None = None) -> bool:
        """Wait until something changes, at most these seconds. Return False if it is later than ``until``."""
        if until is not None and time.monotonic() >= until:
            return False
        with self._lock:
            self._changed.wait(seconds)
        return True


def ends_writer(ledger: Ledger) -> EndsWriter:
    """Return the writer for a ledger object: one for all buyers that share it."""
    with _registry_lock:
        found = _writers.get(id(ledger))
        if found is None:
            found = _writers[id(ledger)] = EndsWriter(ledger)
        return found


#: By the id of the ledger, which its writer keeps alive.
_writers: WeakValueDictionary[int, EndsWriter] = WeakValueDictionary()
_registry_lock = threading.Lock()


def _close(ledger: Any, said: Close) -> Any:
    return ledger.close(said.hold, said.money, said.receipt)


def _close_soon(ledger: Any, said: Close) -> Any:
    """Write an end at once. One that no attempt keeps in flight has a few tries: a thread frees the claim just now."""
    for _ in range(_LOOSE_TRIES if not said.attempt.alive else 0):
        try:
            return _close(ledger, said)
        except LedgerBusy:
            time.sleep(_LOOSE_PAUSE)
    return _close(ledger, said)


def _send(ledger: Ledger, said: Close) -> Callable[[], None] | None:
    return send_close(ledger, said.hold, said.money, said.receipt)


def _finish(ledger: Ledger, end: _End) -> Any:
    """Wait for the answer to what was sent, or send it and wait."""
    wait, end.wait = end.wait, None
    return wait() if wait is not None else _close(ledger, end.said)


_flushed_kinds: set[type[Any]] = set()
#: The process in which the flush was registered with multiprocessing.
_registered_in: list[int] = []


def _register_flush(kind: type[Any]) -> None:
    """Flush before a fork and at the exit.

    It is registered when a ledger of this kind first needs it. The ledger's own module was imported earlier and holds
    its file during a fork. Hooks run in the opposite order, so this one runs before that.
    """
    _register_with_multiprocessing()
    with _registry_lock:
        if kind in _flushed_kinds:
            return
        if not _flushed_kinds:
            atexit.register(_at_exit)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_forget_parent)
        _flushed_kinds.add(kind)
    if hasattr(os, "register_at_fork"):
        # A ledger that fails now may fail for as long as the program runs, and each fork of it would wait.
        os.register_at_fork(before=lambda: _flush(kind, _AT_FORK, again=False))


def _register_with_multiprocessing() -> None:
    """Flush at the end of a child of multiprocessing, too: it ends without what is registered with atexit."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _registered_in != [os.getpid()]:
        _registered_in[:] = [os.getpid()]
        util.Finalize(None, _at_exit, exitpriority=0)


def _flush(kind: type[Any], seconds: float, again: bool = True) -> bool:
    until = time.monotonic() + seconds
    found = [writer for writer in list(_writers.values()) if isinstance(writer._ledger, kind)]
    left = [writer for writer in found if not writer.flush(max(0.0, until - time.monotonic()), again)]
    return not left


def _at_exit() -> None:
    if not _flush(object, _AT_CLOSE):
        names = sorted({name_of(writer._ledger) for writer in _writers.values() if writer._waiting})
        log.warning(
            "Deliveries could not be written to %s before the end. The next start presents these payments again.",
            ", ".join(names),
        )


def _forget_parent() -> None:
    """Drop in a forked child what is its parent's to write."""
    global _registry_lock
    _registry_lock = threading.Lock()
    pending.clear()
    for writer in list(_writers.values()):
        writer._reset()
