"""Writes down, on a thread of its own and at once, which attempts of this process ended: for other processes."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

from ...errors import X402Error


class Catching(Protocol):
    """A ledger that has a list of attempts that ended."""

    def _catch_up(self) -> None:
        """Write which attempts ended."""


def ends_writer(ledger: weakref.ref[Catching]) -> Callable[[SimpleQueue[bool]], None]:
    """Return a function that starts the thread. It gets an item for each attempt that ends."""

    def start(ends: SimpleQueue[bool]) -> None:
        # At the interpreter's end no thread starts; then the next use of the ledger writes it.
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=_write_ends, args=(ends, ledger), name="x402-ledger", daemon=True).start()

    return start


def _write_ends(ends: SimpleQueue[bool], ledger: weakref.ref[Catching]) -> None:
    while ends.get():
        found = ledger()
        if found is None:
            return
        with contextlib.suppress(X402Error):
            found._catch_up()
        del found
