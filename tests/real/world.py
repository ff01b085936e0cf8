"""A world to pay in: a chain, a facilitator and sellers, each a process, started when first asked for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from .chain import CHAIN_ID, USDC, Chain
from .environments import environment
from .programs import Program

NETWORK = f"eip155:{CHAIN_ID}"
NETWORK_V1 = "base-sepolia"
USDC_TOKEN = {"address": USDC, "name": "USDC", "version": "2", "decimals": 6}
STRANGE_TOKEN = {
    "address": "0x5742A46e00000000000000000000000000000018",
    "name": "Strange Dollar",
    "version": "1",
    "decimals": 18,
}
SELLERS: dict[str, tuple[str, ...]] = {
    "fastapi-v2": ("v2", "seller_fastapi.py"),
    "flask-v2": ("v2", "seller_flask.py"),
    "fastapi-v1": ("v1", "seller_v1.py", "fastapi"),
    "flask-v1": ("v1", "seller_v1.py", "flask"),
}
PRICES = {"GET": 10_000, "POST": 20_000}


@dataclass(frozen=True)
class Seller:
    """GET /paid, POST /paid, GET /stream (256 KiB), GET /free; version 2 also GET /choice (three offers)."""

    name: str
    version: int
    base_url: str
    pay_to: str

    def price(self, method: str) -> int:
        """Of /paid, in the token's units; /stream costs what GET /paid costs."""
        return PRICES[method.upper()]

    def url(self, path: str) -> str:
        return self.base_url + path


class World:
    """Everything starts by itself when used; `start("flask-v2", ...)` starts several side by side."""

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self._lock = threading.RLock()
        self._programs: list[Program] = []
        self._sellers: dict[str, Seller] = {}

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def chain(self) -> Chain:
        with self._lock:
            return self._chain

    def seller(self, name: str) -> Seller:
        self.start(name)
        return self._sellers[name]

    def buyer(self, amount: int = 1_000_000, token: str = USDC) -> LocalAccount:
        """A new key that owns this much."""
        account: LocalAccount = Account.create()
        self.chain.mint(account.address, amount, token)
        return account

    def start(self, *names: str) -> None:
        with self._lock:
            missing = [name for name in names if name not in self._sellers]
            if not missing:
                return
            pythons = _environments({"v2", *(SELLERS[name][0] for name in missing)})
            started = {name: self._launch(pythons[SELLERS[name][0]], *SELLERS[name][1:]) for name in missing}
            with ThreadPoolExecutor(len(missing)) as pool:
                facilitator = self.facilitator_url
                sellers = pool.map(lambda name: _open(name, started[name], facilitator), missing)
                self._sellers.update({seller.name: seller for seller in sellers})

    @cached_property
    def facilitator_url(self) -> str:
        with self._lock:
            program = self._launch(environment("v2"), "facilitator.py")
            return program.order({"rpc": self._chain.url, "network": NETWORK, "network_v1": NETWORK_V1})

    @cached_property
    def _chain(self) -> Chain:
        program = self._launch(environment("v2"), "chain.py")
        url = program.order({"chain_id": CHAIN_ID, "tokens": [USDC_TOKEN, STRANGE_TOKEN]})
        return Chain(url, shared=self._shared)

    def close(self) -> None:
        with self._lock:
            if "_chain" in self.__dict__:
                self._chain.close()
            for program in self._programs:
                program.tell_to_stop()
            while self._programs:
                self._programs.pop().stop()

    def _launch(self, python: Path, *command: str) -> Program:
        program = Program(python, *command)
        self._programs.append(program)
        return program


def _open(name: str, program: Program, facilitator: str) -> Seller:
    pay_to = str(Account.create().address)
    orders: dict[str, Any] = {
        "facilitator": facilitator,
        "pay_to": pay_to,
        "network": NETWORK,
        "network_v1": NETWORK_V1,
        "strange_token": STRANGE_TOKEN,
    }
    version = 1 if SELLERS[name][0] == "v1" else 2
    return Seller(name, version, program.order(orders), pay_to)


def _environments(names: set[str]) -> dict[str, Path]:
    """The first time each takes a minute, so they are made side by side."""
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(environment, names), strict=True))
