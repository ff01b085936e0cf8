"""A process of buyers: ``python -m tests.soak.weather.buying ours|official SETTING``. It may be killed any moment."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .draws import Order
from .journal import real_time
from .program import Crew, Setting, adrive, drive, looked_at

_PATIENCE = 30.0


def main() -> None:
    side, path = sys.argv[1:]
    found = json.loads(Path(path).read_text("utf-8"))
    frozen: dict[str, Any] = {name: _frozen(value) for name, value in found.items()}
    setting = Setting(**frozen)
    shift(setting.shifts)
    module = importlib.import_module(f"tests.soak.weather.{side}")  # not before the clock is set
    Boat(Crew(setting), module.Clients(setting)).sail()


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def shift(shifts: Sequence[tuple[float, float]]) -> None:
    """Set the clock of this process wrong: from each moment on, by these seconds."""
    if not shifts:
        return

    def shifted() -> float:
        now = real_time()
        return now + max(((at, by) for at, by in shifts if at <= now), default=(0.0, 0.0))[1]

    time.time = shifted


class Boat:
    """One process: lanes in tasks on one loop, and lanes in threads."""

    def __init__(self, crew: Crew, clients: Any) -> None:
        self.crew, self.clients, self.setting = crew, clients, crew.setting
        self._loop: asyncio.AbstractEventLoop | None = None

    def sail(self) -> None:
        crew = self.crew
        self.clients.open(crew)
        mine: list[list[Order]] = [[] for _ in self.setting.lanes]
        for wanted in self.clients.unfinished(crew):
            mine[int(wanted.id.rsplit("-", 2)[1]) % len(mine)].append(wanted)
        running = [threading.Thread(target=self._tasks, args=(mine,), name="tasks")]
        for lane, shell in enumerate(self.setting.lanes):
            if not shell.endswith(" async"):
                running.append(threading.Thread(target=self._thread, args=(lane, shell, mine[lane])))
        for thread in running:
            thread.start()
        for look in self.setting.looks:
            self._look(look)
        for thread in running:
            thread.join()
        if self.setting.at_last:
            crew.journal.write(reconciled=self.clients.reconciled())
        self.clients.close()
        crew.journal.write(look="closed", **looked_at())

    def _thread(self, lane: int, shell: str, unfinished: list[Order]) -> None:
        drive(self.crew.steps(lane, unfinished), lambda wanted: self.clients.ask(shell, wanted))

    def _tasks(self, mine: list[list[Order]]) -> None:
        asyncio.run(self._afloat(mine))

    async def _afloat(self, mine: list[list[Order]]) -> None:
        self._loop = asyncio.get_running_loop()

        async def lane(number: int, shell: str) -> None:
            await adrive(self.crew.steps(number, mine[number]), lambda wanted: self.clients.aask(shell, wanted))

        named = [(number, shell) for number, shell in enumerate(self.setting.lanes) if shell.endswith(" async")]
        await asyncio.gather(*(lane(number, shell) for number, shell in named))
        await self.clients.aclose(last=True)

    def _look(self, at: float) -> None:
        """All lanes rest, all clients are closed, and what is open then stands in the journal."""
        time.sleep(max(0.0, at - real_time()))
        still = self.crew.rest(_PATIENCE)
        loop = self._loop
        if still and loop is not None and loop.is_running():
            asyncio.run_coroutine_threadsafe(self.clients.aclose(), loop).result(_PATIENCE)
            self.clients.close_sync()
            time.sleep(0.5)
            tasks = len(asyncio.all_tasks(loop))
            self.crew.journal.write(look="open", **looked_at(tasks))
        self.crew.go_on()


if __name__ == "__main__":
    main()
