"""Work in a process of its own, forked from a warm one: a hundred of them take seconds."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from typing import Any


def started(work: Callable[[], Any]) -> int:
    """A child that does this and ends; its number."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def ended(child: int) -> int:
    """How it ended: 0, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def done(work: Callable[[], Any]) -> int:
    """One after the other."""
    return ended(started(work))


def die() -> None:
    """At once, as from a power switch: nothing is flushed, closed or said."""
    os.kill(os.getpid(), signal.SIGKILL)
