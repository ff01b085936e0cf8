"""A relay between a program and the server of its ledger. It loses what it is told to lose."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Literal

#: "answer": the server gets the step, and from then on nothing passes. "step": nothing passes, nor does the step.
#: "end": the server gets the step, every connection ends, and none can be made. "cut": that connection ends instead of
#: the answer, and another one can be made.
Loss = Literal["answer", "step", "end", "cut"]


class Relay:
    """One relay, on a port of its own. It stands before a server on this machine."""

    def __init__(self, server: int) -> None:
        self.server = server
        self._lock, self._turning = threading.Lock(), threading.Lock()
        self._open: set[socket.socket] = set()
        self._loses: tuple[bytes, Loss] | None = None
        self.silent = False
        #: Set once something was lost.
        self.lost = threading.Event()
        self.port = 0
        self.port = self._listen()

    def lose(self, op: str, what: Loss) -> None:
        """Lose the next step of this name."""
        self._loses = (op.encode(), what)

    def stop(self, of: socket.socket | None = None) -> None:
        """End every connection, and take no new one. With ``of``, unless it was mended since that one listened."""
        with self._turning:
            if of in (None, self._listener):
                self._stop()

    def mend(self) -> None:
        """Take connections again, and lose nothing."""
        with self._turning:
            self._stop()
            self._loses, self.silent = None, False
            self._listen()

    def _stop(self) -> None:
        close(self._listener)  # this wakes who waits for a connection, and would have the port until then
        self._thread.join()
        self._listener.close()
        with self._lock:
            for end in self._open:
                close(end)

    def seen(self, said: bytes) -> Loss | None:
        """Return what is lost with these bytes on their way to the server."""
        with self._lock:
            if self._loses is None or self._loses[0] not in said:
                return None
            (_, what), self._loses = self._loses, None
            self.silent = what in ("answer", "step")
        self.lost.set()
        return what

    def _listen(self) -> int:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line = _Line(self, self._listener.accept()[0])
                with self._lock:
                    self._open.update((line.near, line.far))


class _Line:
    """One connection through the relay."""

    def __init__(self, relay: Relay, near: socket.socket) -> None:
        self.relay, self.near = relay, near
        self.far = socket.create_connection(("127.0.0.1", relay.server))
        self.loss: Loss | None = None
        self.listener = relay._listener
        for run in (self._there, self._back):
            threading.Thread(target=run, daemon=True).start()

    def _there(self) -> None:
        with contextlib.suppress(OSError):
            while said := self.near.recv(65_536):
                passes = not self.relay.silent
                self.loss = self.relay.seen(said) or self.loss
                if passes and self.loss != "step":
                    self.far.sendall(said)
        self._end()

    def _back(self) -> None:
        with contextlib.suppress(OSError):
            while said := self.far.recv(65_536):
                if self.loss in ("cut", "end"):
                    if self.loss == "end":
                        self.relay.stop(self.listener)
                    break
                if not self.relay.silent:
                    self.near.sendall(said)
        self._end()

    def _end(self) -> None:
        close(self.near)
        close(self.far)


def close(end: socket.socket) -> None:
    """End a connection, also under those who wait for it."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
