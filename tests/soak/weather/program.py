"""An ordinary program: it has orders, asks for each until it ended, and keeps a journal. Whose client it uses is all
the same to it, so the official client's buyers run it too.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from .draws import Order, order
from .journal import Journal, read, real_time

#: What one try can come to. After these there is nothing more to ask.
OVER = ("content", "paid before", "not delivered")
#: Orders of one lane that wait for better weather; beyond that it makes no new ones.
_WAITING = 5
#: Seconds. What is told in the same words three times is not asked for again.
_PAUSES_AT_LAST = (0.2, 0.8, 1.5, 3.0, 5.0)
_ENOUGH = 3


@dataclass(frozen=True)
class Told:
    """What a try was told. ``kind`` is one of OVER, or "refused", "later", "open" or "failed"."""

    kind: str
    words: str = ""
    money: str = ""
    nonce: str = ""


Steps = Generator[Order | float, Told | None, None]


@dataclass(frozen=True)
class Setting:
    """What a process is told when it starts."""

    seed: str
    fleet: str
    process: int
    life: int
    lanes: tuple[str, ...]
    doors: dict[str, str]
    journal: str
    #: Real time at which it stops making orders, and those at which it rests to be looked at.
    until: float
    looks: tuple[float, ...]
    at_last: bool
    #: How the clock is wrong: (real time, seconds).
    shifts: tuple[tuple[float, float], ...]
    own: dict[str, Any]


class Crew:
    """The lanes of one process."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.journal = Journal(Path(setting.journal))
        self.resting = threading.Event()
        self._still: set[int] = set()
        self._life = random.Random(f"{setting.seed}:{setting.fleet}:{setting.process}:{setting.life}")
        self.past = list(read(Path(setting.journal)))
        self._made = _made(self.past)

    def order(self, name: str) -> Order:
        return order(self.setting.seed, name, tuple(self.setting.doors))

    def url(self, wanted: Order) -> str:
        return self.setting.doors[wanted.door] + wanted.path

    @property
    def stopping(self) -> bool:
        return real_time() >= self.setting.until

    def begun(self) -> dict[str, dict[str, Any]]:
        """The orders of earlier lives that did not end, with the last that is known of each."""
        return {name: last for name, last in last_words(self.past).items() if not last.get("over")}

    def steps(self, lane: int, unfinished: Iterable[Order]) -> Steps:
        """All that a lane does."""
        waiting = list(unfinished)
        yield from self._at_last(lane, waiting) if self.setting.at_last else self._weather(lane, waiting)
        self._still.add(lane)

    def _weather(self, lane: int, waiting: list[Order]) -> Steps:
        while not self.stopping:
            while self.resting.is_set() and not self.stopping:
                self._still.add(lane)
                yield 0.1
            self._still.discard(lane)
            if waiting and (len(waiting) > _WAITING or self._life.random() < 0.4):
                wanted = waiting.pop(0)
            else:
                wanted = self._new(lane)
            told = yield from self._tried(wanted, wanted.pauses)
            if told is None:
                waiting.append(wanted)

    def _at_last(self, lane: int, waiting: list[Order]) -> Steps:
        """The weather is over; each order is asked for until it ends, within bounds."""
        for wanted in waiting:
            if self.stopping:
                return
            yield from self._tried(wanted, _PAUSES_AT_LAST)

    def _tried(self, wanted: Order, pauses: tuple[float, ...]) -> Generator[Order | float, Told | None, Told | None]:
        """Retry on anything. None: it is worth another try later."""
        told: Told | None = None
        heard: list[Told] = []
        for pause in (0.0, *pauses):
            if self.stopping or (told and self.resting.is_set()):
                break
            if pause:
                yield pause
            self.journal.write(order=wanted.id, begins=True)
            told = yield wanted
            assert told is not None
            self.journal.write(order=wanted.id, over=told.kind in OVER, **asdict(told))
            heard.append(told)
            if told.kind in OVER or (self.setting.at_last and heard[-_ENOUGH:] == [told] * _ENOUGH):
                return told
        if told is not None and told.kind == "refused":
            self.journal.write(order=wanted.id, over=True, **asdict(told))
            return told
        return None

    def _new(self, lane: int) -> Order:
        self._made[lane] = number = self._made.get(lane, -1) + 1
        return self.order(f"{self.setting.fleet}-{self.setting.process}-{lane}-{number}")

    # --- looking at itself

    def rest(self, patience: float) -> bool:
        """Whether every lane came to a halt in time."""
        self.resting.set()
        until = time.monotonic() + patience
        while len(self._still) < len(self.setting.lanes) and time.monotonic() < until:
            time.sleep(0.05)
        return len(self._still) >= len(self.setting.lanes)

    def go_on(self) -> None:
        self._still.clear()
        self.resting.clear()


def _made(past: list[dict[str, Any]]) -> dict[int, int]:
    """The last order of each lane."""
    made: dict[int, int] = {}
    for name in {line["order"] for line in past if "order" in line}:
        lane, number = map(int, name.rsplit("-", 2)[1:])
        made[lane] = max(number, made.get(lane, -1))
    return made


def last_words(past: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {line["order"]: line for line in past if "order" in line}


def right(wanted: Order, status: int, body: bytes) -> bool:
    """Whether these are the goods."""
    if not 200 <= status < 300:
        return False
    if b"thanks" in body[:20]:  # where a seller led after it was paid
        return True
    if wanted.goods == "stream":
        return len(body) == 256 * 1024
    return (sha256(wanted.body).hexdigest().encode() if wanted.body else b"paid") in body


def looked_at(tasks: int = 0) -> dict[str, int]:
    """What this process has open. Threads that anyio keeps in reserve come and go by themselves."""
    gc.collect()
    names = [os.path.basename(entry) for entry in os.listdir("/proc/self/fd")]
    targets = []
    for name in names:
        with contextlib.suppress(OSError):
            targets.append(os.readlink(f"/proc/self/fd/{name}"))
    status = Path("/proc/self/status").read_text()
    return {
        "files": len(targets),
        "sockets": sum(one.startswith("socket:") for one in targets),
        "threads": sum("AnyIO" not in thread.name for thread in threading.enumerate()),
        "tasks": tasks,
        "memory": int(status.partition("VmRSS:")[2].split()[0]),
    }


Asks = Callable[[Order], Told]
AsksAsync = Callable[[Order], Coroutine[Any, Any, Told]]


def drive(steps: Steps, ask: Asks) -> None:
    """A lane in a thread."""
    answer: Told | None = None
    with contextlib.suppress(StopIteration):
        while True:
            wanted = steps.send(answer)
            answer = None
            if isinstance(wanted, Order):
                answer = ask(wanted)
            else:
                time.sleep(wanted)


async def adrive(steps: Steps, ask: AsksAsync) -> None:
    """A lane in a task."""
    answer: Told | None = None
    with contextlib.suppress(StopIteration):
        while True:
            wanted = steps.send(answer)
            answer = None
            if isinstance(wanted, Order):
                answer = await ask(wanted)
            else:
                await asyncio.sleep(wanted)
