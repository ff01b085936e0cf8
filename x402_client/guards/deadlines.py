"""Deadlines for blocking reads: when the time is up, the socket under the read is shut down.

A server that sends a byte now and then outlasts the time-out of every single read. Between the pieces that an HTTP
library hands out, the clock can be looked at. Inside of one piece (the head of a chunk, a frame), only losing the
connection ends the read. One thread watches all deadlines of a process, and only while there are any.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from .threads import is_ending, start

#: Seconds that the thread waits for the next deadline before it ends.
_LINGER = 5.0


class Deadline:
    """A deadline for a read: ``with Deadline(seconds, cut) as deadline``.

    When the time is up, ``cut`` is called on another thread to take the connection away. If ``passed`` is True, what
    the read then raises or returns means nothing.
    """

    __slots__ = ("_cut", "_was_cut", "at")

    def __init__(self, seconds: float, cut: Callable[[], object]) -> None:
        self.at: float = time.monotonic() + seconds
        self._cut, self._was_cut = cut, False

    @property
    def passed(self) -> bool:
        """Return True if the time is up."""
        return self._was_cut or time.monotonic() > self.at

    def cut(self) -> None:
        """End the read by taking its connection away."""
        self._was_cut = True
        with contextlib.suppress(Exception):  # the watch goes on for the others, even if this connection is broken
            self._cut()

    def __enter__(self) -> Self:
        _watch.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        _watch.remove(self)


class _Watch:
    """All deadlines of this process, and the thread that watches them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._pending: set[Deadline] = set()
        #: The time of the thread's next look. None if there is no thread.
        self._looks: float | None = None

    def add(self, deadline: Deadline) -> None:
        if is_ending():  # nothing watches any more, and the thread that did may have left with the lock
            return
        with self._lock:
            self._pending.add(deadline)
            if self._looks is None:
                # If no thread can be started, the clock is still looked at between the pieces of a body.
                with contextlib.suppress(RuntimeError):
                    start(threading.Thread(target=self._run, name="x402-deadlines", daemon=True))
                    self._looks = deadline.at
            elif deadline.at < self._looks:
                self._changed.notify()

    def remove(self, deadline: Deadline) -> None:
        if is_ending():
            return
        with self._lock:
            self._pending.discard(deadline)

    def _run(self) -> None:
        with self._changed:
            idle_until = time.monotonic() + _LINGER
            while self._pending or time.monotonic() < idle_until:
                now = time.monotonic()
                for late in [deadline for deadline in self._pending if deadline.at <= now]:
                    self._pending.discard(late)
                    late.cut()
                if self._pending:
                    idle_until = now + _LINGER
                self._looks = min((deadline.at for deadline in self._pending), default=idle_until)
                self._changed.wait(max(0.0, self._looks - now))
            self._looks = None


_watch = _Watch()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watch.__init__)  # type: ignore[misc]  # the thread stayed with the parent


class Cut:
    """The connection under a read of httpx. Called, it shuts the connection, or the one that is made a moment later."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._called = False

    def begin(self) -> None:
        """Begin another read on the connection that is open."""
        self._called = False

    def note(self, event: str, info: dict[str, Any]) -> None:
        """Note the connection: httpx calls its extension "trace" so."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._stream = info["return_value"]
            if self._called:
                self()

    def close(self) -> None:
        """Close the connection for good."""
        if self._stream is not None:
            self._stream.close()

    def __call__(self) -> None:
        self._called = True
        if self._stream is not None:
            shut(self._stream.get_extra_info("socket"))


def shut(sock: Any) -> None:
    """End all reading from a socket that another thread may be blocked in.

    The method of an SSLSocket is not used: it would also take the TLS state away from under that thread.
    """
    plain = getattr(sock, "socket", sock)  # urllib3's TLS inside of TLS keeps the socket here
    if isinstance(plain, socket.socket):
        socket.socket.shutdown(plain, socket.SHUT_RDWR)
