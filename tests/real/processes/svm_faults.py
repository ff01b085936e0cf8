"""What can go wrong between a caller and a Solana node, on order of a test; and who asked what how often.

A node has doors: the path that a caller knocks at. Faults and counts belong to one door, so that a test can trouble
the buyer and leave the facilitator alone.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

ALL = "*"


@dataclass
class Door:
    calls: Counter[str] = field(default_factory=Counter)
    delays: dict[str, float] = field(default_factory=dict)  # seconds
    too_many: Counter[str] = field(default_factory=Counter)
    garbage: Counter[str] = field(default_factory=Counter)
    lag: int = 0  # slots behind


class Doors:
    """Used by every thread of the server."""

    def __init__(self) -> None:
        self._doors: dict[str, Door] = {}
        self._lock = threading.Lock()

    def at(self, path: str) -> Door:
        return self._doors.setdefault(path.strip("/"), Door())

    def knock(self, path: str, methods: list[str]) -> tuple[float, str]:
        """Counts the call: how long it waits, and "", "too many" or "garbage"."""
        with self._lock:
            door = self.at(path)
            door.calls.update(methods)
            delay = max([door.delays.get(ALL, 0.0), *(door.delays.get(name, 0.0) for name in methods)])
            if _spend(door.too_many, methods):
                return delay, "too many"
            return delay, "garbage" if _spend(door.garbage, methods) else ""

    # --- orders

    def counted(self, door: str = "") -> dict[str, int]:
        with self._lock:
            return dict(self.at(door).calls)

    def reset(self, door: str = "") -> None:
        """The counts only."""
        with self._lock:
            self.at(door).calls.clear()

    def delay(self, methods: list[str], milliseconds: float, door: str = "") -> None:
        with self._lock:
            self.at(door).delays |= dict.fromkeys(methods, milliseconds / 1000)

    def refuse(self, methods: list[str], calls: int, door: str = "") -> None:
        """Status 429, for each method's next calls."""
        with self._lock:
            _set(self.at(door).too_many, methods, calls)

    def spoil(self, methods: list[str], calls: int, door: str = "") -> None:
        """Status 200 and a page that is not JSON."""
        with self._lock:
            _set(self.at(door).garbage, methods, calls)

    def lag(self, slots: int, door: str = "") -> None:
        with self._lock:
            self.at(door).lag = slots

    def mend(self, door: str = "") -> None:
        """Ends every fault, and keeps the counts."""
        with self._lock:
            self._doors[door] = Door(calls=self.at(door).calls)

    def orders(self) -> dict[str, Any]:
        return {
            "test_calls": self.counted,
            "test_resetCalls": self.reset,
            "test_delay": self.delay,
            "test_refuse": self.refuse,
            "test_garbage": self.spoil,
            "test_lag": self.lag,
            "test_mend": self.mend,
        }


def _set(counter: Counter[str], methods: list[str], calls: int) -> None:
    for name in methods:  # not |=, which for counters keeps the larger
        counter[name] = calls


def _spend(left: Counter[str], methods: list[str]) -> bool:
    for name in [*methods, ALL]:
        if left[name] > 0:
            left[name] -= 1
            return True
    return False
