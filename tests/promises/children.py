"""Work in a process of its own, forked from a warm one: a hundred of them take seconds."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from x402_client.buyer import ends


def started(work: Callable[[], Any]) -> int:
    """A child that does this and ends; its number."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        ends._at_exit()  # as at the end of any program; this one goes without Python's own exit
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


class Worker:
    """A child that answers with what its work returns; the work may talk through the pipe meanwhile."""

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.pipe, theirs = multiprocessing.Pipe()

        def answered() -> None:
            self.pipe.close()
            answer = work(theirs)
            ends._at_exit()
            theirs.send(answer)

        self._child = started(answered)
        theirs.close()

    def answer(self) -> Any:
        """What it says next, or in the end."""
        assert self.pipe.poll(120), "a child says nothing"
        return self.pipe.recv()

    def end(self) -> None:
        """Wait until it is gone."""
        assert ended(self._child) == 0
