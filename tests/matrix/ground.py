"""What the sellers stand on: the chains and facilitators, each started when a seller first needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from eth_account import Account
from solders.keypair import Keypair

from tests.real.chain import USDC
from tests.real.environments import requirements_of
from tests.real.programs import Program
from tests.real.solana import SOLANA_NETWORK, SOLANA_NETWORK_V1, USDC_DEVNET
from tests.real.world import ALL_SELLERS, NETWORK, NETWORK_V1, Seller, World

from . import npm

EVM, SOLANA = "EVM", "Solana"
NETWORKS = {(EVM, 1): NETWORK_V1, (EVM, 2): NETWORK, (SOLANA, 1): SOLANA_NETWORK_V1, (SOLANA, 2): SOLANA_NETWORK}


@dataclass(frozen=True)
class Script:
    """A program of other people's making. `kit`: a set of npm packages, or "python" for a seller of tests.real."""

    kit: str
    file: str
    package: str
    detail: str = ""

    @property
    def title(self) -> str:
        version = _python_version(self) if self.kit == "python" else npm.version_of(self.kit, self.package)
        return f"`{self.package}` {version}{self.detail}"


PYTHON = Script("python", "fastapi-v2", "x402", " (Python)")  # the facilitator of tests.real


@dataclass(frozen=True)
class Row:
    """A seller on a chain, and what is expected of a purchase there."""

    seller: Script
    version: int
    chain: str
    facilitator: Script = PYTHON  # the seller again, where it settles by itself
    refused: str = ""  # part of the message, where the seller's fault is one that nobody should pay over
    remark: str = ""

    @property
    def network(self) -> str:
        return NETWORKS[self.chain, self.version]

    @property
    def name(self) -> str:
        return f"{self.seller.title}, version {self.version}, {self.chain}, with {self.facilitator.title}"


def _python_version(script: Script) -> str:
    requirements = requirements_of(ALL_SELLERS[script.file][0]).read_text("utf-8")
    [line] = [one for one in requirements.splitlines() if re.match(rf"{script.package}(\[.*\])?==", one)]
    return line.partition("==")[2]


class Ground:
    def __init__(self) -> None:
        self.world = World()
        self._facilitators: dict[tuple[Script, str], tuple[Program, str]] = {}

    def __enter__(self) -> Ground:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program, _ in self._facilitators.values():
            program.stop()
        self.world.close()

    def open(self, row: Row) -> Stand:
        if row.seller.kit == "python":
            return Stand(row, self.world.seller(row.seller.file))
        program = npm.launch(row.seller.kit, row.seller.file)
        try:
            pay_to = self._account(row.chain)
            url = program.order(self._orders(row) | {"pay_to": pay_to})
        except BaseException:
            program.stop()
            raise
        return Stand(row, Seller(row.seller.title, row.version, url, pay_to), program)

    def _account(self, chain: str) -> str:
        if chain == EVM:
            return str(Account.create().address)
        pay_to = str(Keypair().pubkey())
        self.world.solana.mint_to(pay_to, 0)  # nobody pays a seller who has no account yet
        return pay_to

    def _orders(self, row: Row) -> dict[str, Any]:
        facilitator = {} if row.facilitator == row.seller else {"facilitator": self._facilitator(row)}
        return facilitator | self._place(row) | {"version": row.version}

    def _facilitator(self, row: Row) -> str:
        if row.facilitator == PYTHON:
            return self.world.facilitator_url if row.chain == EVM else self.world.solana_facilitator_url
        key = (row.facilitator, row.network)
        if key not in self._facilitators:
            program = npm.launch(row.facilitator.kit, row.facilitator.file)
            self._facilitators[key] = program, program.order(self._place(row))
        return self._facilitators[key][1]

    def _place(self, row: Row) -> dict[str, str]:
        """`rpc` is for those who settle; `fund` takes the order for gas money."""
        where = {"chain": row.chain, "network": row.network}
        if row.chain == EVM:
            return where | {"rpc": self.world.chain.url, "fund": self.world.chain.url, "asset": USDC}
        url = self.world.solana.url
        return where | {"rpc": url + "/facilitator", "fund": url + "/test", "asset": USDC_DEVNET}


@dataclass
class Stand:
    """A seller that is open."""

    row: Row
    seller: Seller
    program: Program | None = None

    def close(self) -> None:
        if self.program:
            self.program.stop()
