"""One run: ships out, weather, the drought after it, and what is found on the beach."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.real.solana import SOLANA_NETWORK
from tests.real.world import NETWORK
from tests.soak.benchmarks.official_python import official_python
from x402_client import Buyer, errors

from . import ours
from .disk import Disk
from .draws import Fleet
from .evidence import ChainBook, Evidence, Settled, ledgers_word, witnessed
from .journal import read
from .services import Services, launch

#: In the end the chain's clock, and the buyers', are set forward by these seconds, beyond all that was signed.
LEAP = 9_000.0
#: So wrong may the clocks of a fleet be.
_JUMPS = (0.0, 0.0, 90.0, -90.0, 7_200.0, -7_200.0, 3_600.0)
_PATIENCE = 60.0
#: When steady processes are looked at, as parts of the time.
_LOOKS = (0.3, 0.45, 0.6, 0.75, 0.95)
Tell = Callable[[str], None]


@dataclass
class Ship:
    """One process of a fleet, through all its lives."""

    fleet: Fleet
    number: int
    directory: Path
    process: subprocess.Popen[bytes] | None = None
    life: int = 0

    @property
    def journal(self) -> Path:
        return self.directory / f"{self.fleet.name}-{self.number}.jsonl"

    def start(self, setting: dict[str, Any]) -> None:
        self.life += 1
        path = self.directory / f"{self.fleet.name}-{self.number}-{self.life}.json"
        path.write_text(json.dumps(setting | {"life": self.life}), "utf-8")
        python = {"python": official_python()} if self.fleet.client == "official" else {}
        with path.with_suffix(".words").open("wb") as words:
            self.process = launch("buying", self.fleet.client, str(path), stdout=words, stderr=words, **python)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def over(self, seconds: float) -> bool:
        """Whether it came to its end by itself."""
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(max(0.1, seconds)) == 0
        self.kill()
        return False

    @property
    def words(self) -> str:
        return (self.directory / f"{self.fleet.name}-{self.number}-{self.life}.words").read_text(errors="replace")


@dataclass
class Report:
    """What a run leaves behind."""

    seed: str
    seconds: float
    evidence: list[Evidence]
    events: Counter[str]
    faults: dict[str, Counter[str]]
    left_out: dict[str, str]
    #: Processes that did not end by themselves, with their last words.
    wrecks: list[str] = field(default_factory=list)


class Run:
    """``with Run(...) as run: report = run()``."""

    def __init__(self, seed: str, seconds: float, fleets: list[Fleet], doors: tuple[str, ...], tell: Tell) -> None:
        self.seed, self.seconds, self.tell_about = seed, seconds, tell
        self.directory = Path(tempfile.mkdtemp(prefix="weather-"))
        self.left_out: dict[str, str] = {}
        self.disk = Disk(self.directory / "disk")
        self.fleets = [fleet for fleet in fleets if self._possible(fleet)]
        self.services = Services(self.directory, seed, doors, self.fleets)
        self.events = Counter[str]()
        self._source = random.Random(f"{seed}:events")
        self.ships = [
            Ship(fleet, number, self.directory) for fleet in self.fleets for number in range(len(fleet.crews))
        ]
        self.own: dict[str, dict[str, Any]] = {}
        self.payers: dict[str, str] = {}
        self._buyers: dict[str, Buyer] = {}
        self.samples: dict[str, list[tuple[int, int]]] = {fleet.name: [] for fleet in self.fleets}
        #: When a fleet's ledger was emptied, and what had been in it.
        self.emptied: dict[str, tuple[float, dict[str, str]]] = {}
        self.leapt_at = 0.0
        self.wrecks: list[str] = []

    def _possible(self, fleet: Fleet) -> bool:
        reason = self.disk.mount() if fleet.ledger == "disk" else ""
        reason = reason or ("redis-server is not installed" if _no_redis(fleet) else "")
        if reason:
            self.left_out[fleet.name] = reason
        return not reason

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        for ship in self.ships:
            if ship.process is not None and ship.process.poll() is None:
                ship.kill()
        for buyer in self._buyers.values():
            buyer.close()
        self.services.stop()
        self.disk.unmount()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __call__(self) -> Report:
        self.tell_about("starting sellers, facilitators and chains")
        self.services.start()
        self.book = ChainBook(self.services.world, "svm" in self.services.upstream)
        for fleet in self.fleets:
            self._outfit(fleet)
        self.started = time.time()
        self.calm_at = self.started + self.seconds - max(25.0, min(90.0, 0.2 * self.seconds))
        self.services.tell(weather=True, phase="weather", dark=self._dark())
        for ship in self.ships:
            ship.start(self._setting(ship))
        self._weather()
        self._drought()
        return self._report()

    # --- buyers

    def _outfit(self, fleet: Fleet) -> None:
        key, self.payers[fleet.name] = self.services.wallet(fleet)
        network, chain = (SOLANA_NETWORK, "svm") if fleet.family == "solana" else (NETWORK, "evm")
        places = {"sqlite": self.directory / f"{fleet.name}.db", "disk": self.disk.path / "ledger.db"}
        redis = self.services.redis.get(fleet.name)
        self.own[fleet.name] = {
            "key": key,
            "family": fleet.family,
            "ledger": redis.url if redis else str(places.get(fleet.ledger, "")),
            "listed": list(self.services.urls.values()),
            "rpc": {network: f"{self.services.back}/rpc/{fleet.name}/{chain}"},
            "per_minute": fleet.per_minute,
            "total": fleet.total,
            "host_minute": fleet.host_minute,
        }

    def _setting(self, ship: Ship, at_last: float = 0.0) -> dict[str, Any]:
        fleet, start = ship.fleet, self.started
        span = self.calm_at - start
        steady = ship.number == fleet.steady and not at_last
        return {
            "seed": self.seed,
            "fleet": fleet.name,
            "process": ship.number,
            "lanes": fleet.crews[ship.number],
            "doors": {door: self.services.urls[door] for door in self.services.doors_of(fleet)},
            "journal": str(ship.journal),
            "until": at_last or self.calm_at,
            "looks": [start + part * span for part in _LOOKS] if steady and span > 60 else [],
            "at_last": bool(at_last),
            "shifts": [(0.0, LEAP)] if at_last else self._shifts(fleet, ship.number),
            "own": self.own[fleet.name],
        }

    def _shifts(self, fleet: Fleet, number: int) -> list[tuple[float, float]]:
        if "clock jumps" not in fleet.fates:
            return []
        source = random.Random(f"{self.seed}:clock:{number}")
        every = max(5.0, (self.calm_at - self.started) / 20)
        return [(self.started + turn * every, source.choice(_JUMPS)) for turn in range(20)]

    def _dark(self) -> list[str]:
        return [fleet.name for fleet in self.fleets if "no chain" in fleet.fates]

    # --- weather

    def _weather(self) -> None:
        acts = self._acts()
        pace = max(2.5, min(5.0, (self.calm_at - self.started) / 30))
        following = time.time() + pace
        emptying = self.started + 0.6 * (self.calm_at - self.started)
        while (now := time.time()) < self.calm_at:
            if now >= emptying:
                emptying = float("inf")
                self._empty()
            if now >= following and now < self.calm_at - 8:
                following = now + pace
                name = self._source.choices(list(acts), [weight for _, weight in acts.values()])[0]
                acts[name][0]()
                self.events[name] += 1
            self._sample()
            self._progress("weather")
            time.sleep(0.5)

    def _acts(self) -> dict[str, tuple[Callable[[], None], int]]:
        acts: dict[str, tuple[Callable[[], None], int]] = {
            "buyers killed": (self._kill_one, 60),
            "sellers restarted": (lambda: self._restart(*self.services.doors), 10),
            "facilitators restarted": (
                lambda: self._restart(*set(self.services.by_name) - set(self.services.doors)),
                6,
            ),
            "gateway restarted": (self.services.restart_gate, 8),
        }
        if any("redis dies" in fleet.fates for fleet in self.fleets):
            acts["Redis killed and restarted"] = (self._kill_redis, 12)
        if any("fills" in fleet.fates for fleet in self.fleets):
            acts["disk full"] = (self._fill, 8)
        return acts

    def _kill_one(self) -> None:
        mortal = [ship for ship in self.ships if ship.number != ship.fleet.steady and "killed" in ship.fleet.fates]
        if mortal:
            ship = self._source.choice(mortal)
            ship.kill()
            ship.start(self._setting(ship))

    def _restart(self, *names: str) -> None:
        self.services.by_name[self._source.choice(sorted(names))].restart()

    def _kill_redis(self) -> None:
        fleet = next(fleet for fleet in self.fleets if "redis dies" in fleet.fates)
        redis = self.services.redis[fleet.name]
        redis.kill()
        time.sleep(self._source.choice((0.2, 1.0, 2.0)))
        redis.start()

    def _fill(self) -> None:
        with self.disk.filled():
            time.sleep(3.0)

    def _empty(self) -> None:
        """Its buyers stand still meanwhile, so that what is read is the last that was in it."""
        for fleet in self.fleets:
            if "emptied" in fleet.fates:
                buyers = [ship.process for ship in self.ships if ship.fleet == fleet and ship.process is not None]
                for process in buyers:
                    process.send_signal(signal.SIGSTOP)
                self.emptied[fleet.name] = time.time(), ledgers_word(self.buyer(fleet))
                self.services.redis[fleet.name].kill()
                self.services.redis[fleet.name].start()
                for process in buyers:
                    process.send_signal(signal.SIGCONT)
                self.events["Redis restarted empty"] += 1

    # --- drought

    def _drought(self) -> None:
        """End the weather, and go to a time at which nothing that was signed is valid."""
        for ship in self.ships:
            self._end(ship, self.calm_at + _PATIENCE - time.time())
        self.services.tell(weather=False, phase="drought")
        self.leapt_at = time.time()
        self.services.world.chain.advance(LEAP)
        if "svm" in self.services.upstream:
            self.services.world.solana.jump(400)
        until = time.time() + max(45.0, self.started + self.seconds - time.time())
        last = [ship for ship in self.ships if ship.fleet.name not in self.emptied]
        for ship in last:
            ship.start(self._setting(ship, at_last=until))
        while time.time() < until and any(ship.process and ship.process.poll() is None for ship in last):
            self._progress("drought")
            time.sleep(0.5)
        for ship in last:
            self._end(ship, _PATIENCE)

    def _end(self, ship: Ship, seconds: float) -> None:
        if not ship.over(seconds):
            self.wrecks.append(f"{ship.fleet.name} {ship.number}: {ship.words[-2_000:]}")

    # --- looking on

    def _sample(self) -> None:
        """First the chain, then the ledger: what settles meanwhile was counted before it left."""
        settled = self.book.read()
        for fleet in self.fleets:
            if fleet.client == "ours" and fleet.name not in self.emptied:
                spent = sum(one.amount for one in settled if one.payer == self.payers[fleet.name])
                with contextlib.suppress(errors.LedgerUnavailable):
                    self.samples[fleet.name].append((spent, ours.total(self.buyer(fleet))))

    def buyer(self, fleet: Fleet) -> Buyer:
        """Only to read the ledger with."""
        if fleet.name not in self._buyers:
            own = self.own[fleet.name]
            self._buyers[fleet.name] = ours.buyer(own, ours.ledger(own["ledger"]))
        return self._buyers[fleet.name]

    def _progress(self, phase: str) -> None:
        past = time.time() - self.started
        killed = self.events["buyers killed"]
        self.tell_about(
            f"{phase} {past:4.0f}/{self.seconds:.0f} s, {len(self.book.read())} payments settled, {killed} kills, "
            f"{sum(self.events.values()) - killed} other strokes"
        )

    def _report(self) -> Report:
        settled = self.book.read()
        seen, lines = witnessed(self.services.witness)
        evidence = [self._evidence(fleet, settled, seen, lines) for fleet in self.fleets]
        faults = {name: Counter(_faults(lines[name])) for name in lines}
        return Report(self.seed, self.seconds, evidence, self.events, faults, self.left_out, self.wrecks)

    def _evidence(self, fleet: Fleet, settled: list[Settled], seen: Any, lines: Any) -> Evidence:
        payer, name = self.payers[fleet.name], fleet.name
        emptied_at, ledger = self.emptied.get(name, (None, None))
        if fleet.client == "ours" and ledger is None:
            ledger = ledgers_word(self.buyer(fleet))
            spent = sum(one.amount for one in settled if one.payer == payer)
            self.samples[name].append((spent, ours.total(self.buyer(fleet))))
        return Evidence(
            fleet=fleet,
            payer=payer,
            settled=[one for one in settled if one.payer == payer],
            seen=seen[name],
            wire=lines[name],
            journals=[list(read(ship.journal)) for ship in self.ships if ship.fleet == fleet],
            samples=self.samples[name],
            ledger=ledger,
            leapt_at=self.leapt_at,
            leap=LEAP,
            emptied_at=emptied_at,
        )


def _faults(lines: list[dict[str, Any]]) -> Iterator[str]:
    return (line["fault"] for line in lines if line.get("fault", "passes") != "passes")


def _no_redis(fleet: Fleet) -> bool:
    return fleet.ledger == "redis" and shutil.which("redis-server") is None
