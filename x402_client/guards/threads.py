"""Starts threads, but none while the interpreter ends."""

from __future__ import annotations

import sys
import threading


def is_ending() -> bool:
    """Return True while the interpreter ends. Other threads are gone then, and their locks may stay taken."""
    return sys.is_finalizing()


def start(thread: threading.Thread) -> None:
    """Start a thread. Raise RuntimeError if none can be started, also while the interpreter ends.

    Python 3.12 raises that itself. In 3.11 the thread would never run, and its ``start`` would wait for ever.
    """
    if is_ending():
        raise RuntimeError("can't start a new thread while the interpreter ends")
    thread.start()
