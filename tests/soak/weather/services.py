"""What the weather passes over: chains, facilitators, sellers and the gateway, and what may be restarted of it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from eth_account import Account
from solders.keypair import Keypair

from tests.ledgers.redis.server import Server as Redis
from tests.real.chain import USDC
from tests.real.environments import clean_environ, environment
from tests.real.programs import Program
from tests.real.solana import PYUSD_DEVNET, SOLANA_NETWORK, SOLANA_NETWORK_V1, TOKEN_PROGRAMS, USDC_DEVNET
from tests.real.world import ALL_SELLERS, NETWORK, NETWORK_V1, PATIENCE_SECONDS, STRANGE_TOKEN, World

from .draws import Fleet

ROOT = Path(__file__).parents[3]
#: Below those that systems hand out by themselves: a port that is free for a moment has to stay ours.
_PORTS = range(15_000, 30_000)
MONEY = 10**12


class Service:
    """One program of the world, under orders that it gets again when it is restarted."""

    def __init__(
        self, services: Services, door: str, kit: str, command: tuple[str, ...], orders: dict[str, Any]
    ) -> None:
        self._services, self._door = services, door
        self._make = lambda: Program(environment(kit), *command)
        self._orders = orders
        self._program = self._make()

    def open(self) -> None:
        self._services.upstream[self._door] = self._program.order(self._orders)
        self._services.tell()

    def restart(self) -> None:
        """Gone at once, and back after a while."""
        self._program.stop()
        self._program = self._make()
        self.open()

    def stop(self) -> None:
        self._program.stop()


class Services:
    """``doors`` are those of sellers; the others come by themselves."""

    def __init__(self, directory: Path, seed: str, doors: tuple[str, ...], fleets: Iterable[Fleet]) -> None:
        self.directory, self.seed, self.doors = directory, seed, doors
        self.fleets = list(fleets)
        self.world = World()
        self.upstream: dict[str, str] = {}
        self.sky: dict[str, Any] = {"weather": False, "phase": "before", "dark": []}
        ports = _free(len(doors) + 1)
        self.back = f"http://127.0.0.1:{ports[0]}"
        self.fronts = dict(zip(doors, ports[1:], strict=True))
        self.urls = {door: f"http://127.0.0.1:{port}" for door, port in self.fronts.items()}
        self.by_name: dict[str, Service] = {}
        self.redis: dict[str, Redis] = {}
        self._gate: subprocess.Popen[bytes] | None = None

    def doors_of(self, fleet: Fleet) -> tuple[str, ...]:
        return tuple(door for door in self.doors if door.startswith("svm") == (fleet.family == "solana"))

    # --- from start to end

    def start(self) -> None:
        pythons = {"v2", *(ALL_SELLERS[door][0] for door in self.doors)}
        with ThreadPoolExecutor(len(pythons)) as pool:
            list(pool.map(environment, pythons))
        self._grounds()
        self.tell()
        self._start_gate()
        sellers = {door: Service(self, door, *_command(door), self._seller(door)) for door in self.doors}
        self.by_name |= sellers
        for facilitator in ("facilitator-evm", "facilitator-svm"):
            if facilitator in self.by_name:
                self.by_name[facilitator].open()
        with ThreadPoolExecutor(len(sellers)) as pool:
            list(pool.map(Service.open, sellers.values()))
        for fleet in self.fleets:
            if fleet.ledger == "redis":
                self._start_redis(fleet)

    def _grounds(self) -> None:
        """The seller on Solana has an offer on the EVM chain too."""
        self.upstream["evm"] = self.world.chain.url
        orders: dict[str, Any] = {"rpc": self.world.chain.url, "network": NETWORK, "network_v1": NETWORK_V1}
        self.by_name["facilitator-evm"] = Service(self, "facilitator-evm", "v2", ("facilitator.py",), orders)
        if any(door.startswith("svm") for door in self.doors):
            self.upstream["svm"] = self.world.solana.url
            orders = {"rpc": self.world.solana.url, "patience": PATIENCE_SECONDS, "key": str(Keypair())}
            orders |= {"network": SOLANA_NETWORK, "networks_v1": [SOLANA_NETWORK_V1, SOLANA_NETWORK]}
            self.by_name["facilitator-svm"] = Service(self, "facilitator-svm", "v2", ("facilitator_svm.py",), orders)

    def _seller(self, door: str) -> dict[str, Any]:
        evm = str(Account.create().address)
        orders: dict[str, Any] = {"facilitator": f"{self.back}/facilitator-evm", "pay_to": evm}
        orders |= {"network": NETWORK, "network_v1": NETWORK_V1, "strange_token": STRANGE_TOKEN}
        if door.startswith("svm"):
            pay_to = str(Keypair().pubkey())
            for mint in TOKEN_PROGRAMS:  # a seller without an account cannot be paid
                self.world.solana.mint_to(pay_to, 0, mint)
            orders |= {"facilitator": f"{self.back}/facilitator-svm", "pay_to": pay_to, "network": SOLANA_NETWORK}
            orders |= {"usdc": USDC_DEVNET, "token2022": PYUSD_DEVNET, "rpc": self.world.solana.url, "memo": "order"}
            orders |= {"evm_facilitator": f"{self.back}/facilitator-evm", "evm_network": NETWORK, "evm_pay_to": evm}
        return orders

    def stop(self) -> None:
        if self._gate is not None:
            self._gate.kill()
            self._gate.wait()
        for service in self.by_name.values():
            service.stop()
        for redis in self.redis.values():
            redis.kill()
        self.world.close()

    # --- the gateway

    def _start_gate(self) -> None:
        setting = self.directory / "gate.json"
        said = {"seed": self.seed, "doors": self.urls, "fronts": self.fronts, "back": int(self.back.rpartition(":")[2])}
        said |= {"sky": str(self.directory / "sky.json"), "journal": str(self.witness)}
        said |= {"fleets": {fleet.name: self.doors_of(fleet) for fleet in self.fleets}}
        setting.write_text(json.dumps(said), "utf-8")
        words = self.directory / "gate.words"
        with words.open("ab") as said_there:
            self._gate = launch("gate", str(setting), stdout=subprocess.PIPE, stderr=said_there)
        assert self._gate.stdout is not None
        with self._gate.stdout as said_here:
            if said_here.readline() != b"open\n":
                raise RuntimeError(f"the gateway did not start: {words.read_text()[-2_000:]}")

    @property
    def witness(self) -> Path:
        return self.directory / "witness.jsonl"

    def restart_gate(self) -> None:
        assert self._gate is not None
        self._gate.kill()
        self._gate.wait()
        time.sleep(0.5)
        self._start_gate()

    def tell(self, **changes: Any) -> None:
        """The gateway looks at this file before anything else."""
        self.sky |= changes
        path = self.directory / "sky.json"
        fresh = path.with_suffix(f".{random.random()}")
        fresh.write_text(json.dumps(self.sky | {"upstream": self.upstream}), "utf-8")
        fresh.replace(path)

    # --- Redis

    def _start_redis(self, fleet: Fleet) -> None:
        place = self.directory / f"redis-{fleet.name}"
        place.mkdir()
        kept = () if "emptied" in fleet.fates else ("--appendonly", "yes", "--appendfsync", "always")
        self.redis[fleet.name] = Redis(place, *kept)

    # --- money

    def wallet(self, fleet: Fleet) -> tuple[str, str]:
        """A key with more than enough on it, and its address."""
        if fleet.family == "solana":
            keypair = self.world.solana_buyer(MONEY)
            return str(keypair), str(keypair.pubkey())
        account = self.world.buyer(MONEY, USDC)
        return str(account.key.to_0x_hex()), account.address.lower()


def _command(door: str) -> tuple[str, tuple[str, ...]]:
    kit, *command = ALL_SELLERS[door]
    return kit, tuple(command)


def launch(module: str, *words: str, python: str | os.PathLike[str] = sys.executable, **more: Any) -> Any:
    """One of our processes; what it says goes to ours, or to a file."""
    command = [os.fspath(python), "-W", "ignore", "-m", f"tests.soak.weather.{module}", *words]
    return subprocess.Popen(command, cwd=ROOT, env=clean_environ(), **more)


def _free(count: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(_PORTS, 2_000):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError("no ports are free")
