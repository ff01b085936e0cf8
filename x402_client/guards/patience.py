"""Patience for a seller in an event loop: only time in which the loop had nothing else to do counts.

A loop with ten thousand tasks comes back to each of them after seconds. What a seller sent long ago waits there to be
read, and by the clock on the wall the seller would be late. Strategy: while anything is awaited here, a timer ticks. A
tick that comes late shows that the loop was busy, and the lateness does not count. The ticks are short in a busy loop
and long in an idle one.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

#: Seconds of the shortest and the longest tick.
_SHORTEST, _LONGEST = 0.001, 0.1


class Patience:
    """The seconds for which one answer may be waited for.

    Args:
        seconds: How many there are.
    """

    __slots__ = ("left",)

    def __init__(self, seconds: float) -> None:
        #: The seconds that are left.
        self.left: float = seconds

    @property
    def over(self) -> bool:
        """Return True if no time is left."""
        return self.left <= 0

    @contextmanager
    def waiting(self, cancel: Callable[[], object] | None = None) -> Iterator[None]:
        """Count the time in which something is awaited.

        Args:
            cancel: Called when no time is left. It has to end what is awaited. None: something else ends that before.
        """
        clock = _clock_here()
        started = clock.begin()
        alarm = None if cancel is None else clock.set_alarm(self.left, cancel)
        try:
            yield
        finally:
            if alarm is not None:
                alarm.cancel = None
            self.left -= clock.end() - started


class _Alarm:
    """A function to call when a clock shows a time, unless it was taken away before."""

    __slots__ = ("at", "cancel")

    def __init__(self, at: float, cancel: Callable[[], object]) -> None:
        self.at = at
        self.cancel: Callable[[], object] | None = cancel

    def __lt__(self, other: _Alarm) -> bool:
        return self.at < other.at


class _Clock:
    """The clock of one event loop. It stands still while the loop is busy."""

    def __init__(self, call_later: Callable[[float, Callable[[], object]], object]) -> None:
        self._call_later = call_later
        self._shown = 0.0
        #: When the last tick came, and the seconds until the next.
        self._ticked, self._step = time.monotonic(), _SHORTEST
        self._alarms: list[_Alarm] = []
        self._waiting, self._runs = 0, False

    def begin(self) -> float:
        """Let the clock run for one more who waits. Return what it shows."""
        self._waiting += 1
        if not self._runs:
            self._runs, self._ticked, self._step = True, time.monotonic(), _SHORTEST
            self._call_later(self._step, self._tick)
        return self._now()

    def end(self) -> float:
        """Return what the clock shows to one who waits no more."""
        self._waiting -= 1
        return self._now()

    def set_alarm(self, seconds: float, cancel: Callable[[], object]) -> _Alarm:
        """Call ``cancel`` when the clock shows these seconds more."""
        alarm = _Alarm(self._now() + seconds, cancel)
        heapq.heappush(self._alarms, alarm)
        return alarm

    def _now(self) -> float:
        return self._shown + min(time.monotonic() - self._ticked, self._step)

    def _tick(self) -> None:
        now, before = time.monotonic(), self._shown
        late = now - self._ticked > 2 * self._step + _SHORTEST
        self._shown += min(now - self._ticked, self._step)
        self._ticked = now
        # One tick after its time: what came while the loop was busy is read first.
        while self._alarms and (self._alarms[0].cancel is None or self._alarms[0].at <= before):
            alarm = heapq.heappop(self._alarms)
            if alarm.cancel is not None:
                alarm.cancel()
        if not self._waiting:
            self._runs, self._alarms = False, []
            return
        self._step = _SHORTEST if late else min(2 * self._step, _LONGEST)
        if self._alarms:
            self._step = max(_SHORTEST, min(self._step, self._alarms[0].at - self._shown))
        self._call_later(self._step, self._tick)


_clocks: WeakKeyDictionary[Any, _Clock] = WeakKeyDictionary()


def _clock_here() -> _Clock:
    """Return the clock of the running loop."""
    try:
        from asyncio import get_running_loop

        loop: Any = get_running_loop()
    except RuntimeError:
        return _clock_of_trio()
    found = _clocks.get(loop)
    if found is None:
        found = _clocks[loop] = _Clock(_in_asyncio(loop))
    return found


def _in_asyncio(loop: Any) -> Callable[[float, Callable[[], object]], object]:
    from weakref import ref

    known = ref(loop)  # the clock would keep the loop alive, and the loop is the key of the clock

    def call_later(seconds: float, tick: Callable[[], object]) -> None:
        running = known()
        if running is not None:
            running.call_later(seconds, tick)

    return call_later


def _clock_of_trio() -> _Clock:
    import trio

    token = trio.lowlevel.current_trio_token()
    found = _clocks.get(token)
    if found is None:
        found = _clocks[token] = _Clock(_in_trio)
    return found


def _in_trio(seconds: float, tick: Callable[[], object]) -> None:
    import trio

    async def later() -> None:
        await trio.sleep(seconds)
        tick()

    trio.lowlevel.spawn_system_task(later)
