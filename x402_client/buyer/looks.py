"""Looks at chains that are under way: few at a time, and one answer for all who ask the same.

An endpoint may drip its answer for ever. The look runs in a thread that its callers leave behind, and takes one of few
places until it ends. Further questions are then left without an answer at once, and take no thread of their own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from contextvars import copy_context
from typing import Any

from ..guards.forks import in_each_child
from ..guards.handlers import raise_callers_stop
from ..guards.threads import start

log: logging.Logger = logging.getLogger("x402_client")
#: The rule: "four looks in flight per network, one answer for all who ask the same".
MOST = 4
#: A task looks this often whether another one's look has ended, in seconds, at first and at last.
_FIRST_PAUSE, _LAST_PAUSE = 0.002, 0.05


class Look:
    """One look that is under way. ``answer`` is None if it brought none."""

    __slots__ = ("answer", "began", "network", "over")

    def __init__(self, network: str) -> None:
        self.network: str = network
        self.began: float = time.monotonic()
        self.over: threading.Event = threading.Event()
        self.answer: Any = None


class Looks:
    """The looks of one buyer. Safe between threads and tasks; a forked child starts without those of its parent."""

    def __init__(self) -> None:
        in_each_child(self, Looks._start_anew)

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, Look] = {}

    def in_thread(self, name: Hashable, network: str, ask: Callable[[], Any], patience: float) -> Look | None:
        """Return the look of this name, begun now in a thread if none is under way. None: nothing can be learnt.

        That is so with too many in flight, and where the one under way has lasted longer than ``patience`` seconds.
        """
        mine = Look(network)
        try:
            look = self._join(name, mine, patience)
            if look is mine:
                context = copy_context()
                start(threading.Thread(target=lambda: context.run(self._run, name, mine, ask), daemon=True))
        except RuntimeError as failure:  # this machine has no thread to spare, or the program is ending
            self._end(name, mine)
            raise_callers_stop(failure)
            return None
        except BaseException:  # a signal handler raised, and it is not known if a thread runs that ends the look
            self._end(name, mine)
            raise
        return look

    async def in_task(self, name: Hashable, network: str, ask: Callable[[], Awaitable[Any]], patience: float) -> Any:
        """Await ``ask`` here, or the answer of the task that is asking the same. Cancelled, another one may ask.

        The caller bounds it in time.
        """
        while True:
            mine = Look(network)
            try:
                look = self._join(name, mine, patience)
                if look is None:
                    return None
                if look is mine:
                    mine.answer = await ask()
                    return mine.answer
            finally:
                self._end(name, mine)
            await ended(look)
            if look.answer is not None:
                return look.answer  # else the task that asked gave up

    def _join(self, name: Hashable, mine: Look, patience: float) -> Look | None:
        """Return the look that is under way, or ``mine``, which then is. None: there is no place, or it takes long."""
        with self._lock:
            look = self._running.get(name)
            if look is not None:
                return look if time.monotonic() - look.began < patience else None
            if Counter(one.network for one in self._running.values())[mine.network] >= MOST:
                return None
            self._running[name] = mine
            return mine

    def _run(self, name: Hashable, look: Look, ask: Callable[[], Any]) -> None:
        try:
            look.answer = ask()
        except BaseException as failure:  # the thread is ours, and ends here in any case
            log.warning("A look at %s failed", look.network, exc_info=failure)
        finally:
            self._end(name, look)

    def _end(self, name: Hashable, look: Look) -> None:
        """Take a look off the list, on every path. One that stayed there would be "could not tell" for ever."""
        with self._lock:
            if self._running.get(name) is look:
                del self._running[name]
        look.over.set()


async def ended(look: Look) -> None:
    """Wait until a look is over. It polls, so that no thread waits, and asyncio and trio do it alike."""
    import anyio

    pause = _FIRST_PAUSE
    while not look.over.is_set():
        await anyio.sleep(pause)
        pause = min(pause * 2, _LAST_PAUSE)
