"""What the sellers stand on: the chains and facilitators, each started when a seller first needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Literal

from eth_account import Account
from solders.keypair import Keypair

from tests.real.chain import USDC
from tests.real.environments import environment, requirements_of
from tests.real.programs import Program
from tests.real.solana import SOLANA_NETWORK, SOLANA_NETWORK_V1, USDC_DEVNET
from tests.real.wallets import ContractWallets
from tests.real.world import ALL_SELLERS, FACTORIES, NETWORK, NETWORK_V1, Seller, World

from . import npm
from .ways import Way

EVM, SOLANA = "EVM", "Solana"
NETWORKS = {(EVM, 1): NETWORK_V1, (EVM, 2): NETWORK, (SOLANA, 1): SOLANA_NETWORK_V1, (SOLANA, 2): SOLANA_NETWORK}


@dataclass(frozen=True)
class Script:
    """A program of other people's making.

    `kit`: a set of npm packages; "world", for a seller of tests.real; or "pip", for its further Python sellers.
    """

    kit: str
    file: str
    package: str
    detail: str = ""

    @property
    def title(self) -> str:
        return f"`{self.package}` {self.version}{self.detail}"

    @property
    def version(self) -> str:
        if self.kit not in ("world", "pip"):
            return npm.version_of(self.kit, self.package)
        requirements = "others" if self.kit == "pip" else ALL_SELLERS[self.file][0]
        lines = requirements_of(requirements).read_text("utf-8").splitlines()
        [line] = [one for one in lines if re.match(rf"{self.package}(\[.*\])?==", one)]
        return line.partition("==")[2]

    def launch(self) -> Program:
        return Program(environment("others"), self.file) if self.kit == "pip" else npm.launch(self.kit, self.file)


PYTHON = Script("world", "fastapi-v2", "x402", " (Python)")  # the facilitator of tests.real


@dataclass(frozen=True)
class Row:
    """A seller on a chain, and what is expected of a purchase there."""

    seller: Script
    version: int
    chain: str
    facilitator: Script = PYTHON  # the seller again, where it settles by itself
    ends: Literal["paid", "refused", "rejected"] = "paid"
    says: str = ""  # part of our message, where it is not paid
    remark: str = ""
    way: Way | None = None  # None: the plain one, by GET and POST

    @property
    def methods(self) -> tuple[str, ...]:
        if self.way:
            return "GET", self.way.then
        return ("GET", "POST", "repeat") if self.ends == "paid" else ("GET", "POST")

    @property
    def network(self) -> str:
        return NETWORKS[self.chain, self.version]

    @property
    def settles(self) -> str:
        return "its own" if self.facilitator == self.seller else self.facilitator.title

    @property
    def name(self) -> str:
        way = f", {self.way.title}" if self.way else ""
        return f"{self.seller.title}, version {self.version}, {self.chain}, facilitator {self.settles}{way}"


class Services:
    def __init__(self) -> None:
        self.world = World()
        self._facilitators: dict[tuple[Script, str], tuple[Program, str]] = {}

    def __enter__(self) -> Services:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program, _ in self._facilitators.values():
            program.stop()
        self.world.close()

    @cached_property
    def wallets(self) -> ContractWallets:
        return ContractWallets(self.world.chain)

    def open(self, row: Row) -> Stand:
        if row.seller.kit == "world":
            return Stand(row, self.world.seller(row.seller.file))
        program = row.seller.launch()
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
        self.world.solana.mint_to(pay_to, 0)  # a seller without an account cannot be paid
        return pay_to

    def _orders(self, row: Row) -> dict[str, Any]:
        facilitator = {} if row.facilitator == row.seller else {"facilitator": self._facilitator(row)}
        return facilitator | self._place(row) | {"version": row.version}

    def _facilitator(self, row: Row) -> str:
        if row.facilitator == PYTHON:
            return self.world.facilitator_url if row.chain == EVM else self.world.solana_facilitator_url
        key = (row.facilitator, row.network)
        if key not in self._facilitators:
            program = row.facilitator.launch()
            self._facilitators[key] = program, program.order(self._place(row))
        return self._facilitators[key][1]

    def _place(self, row: Row) -> dict[str, Any]:
        """`rpc` is for those who settle; `fund` takes the order for gas money."""
        where: dict[str, Any] = {"chain": row.chain, "network": row.network, "factories": [*FACTORIES]}
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
