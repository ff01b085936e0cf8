"""All that a judge may know of one fleet: the chain, the witness, the buyers' journals, and their ledger."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.real.chain import USDC
from tests.real.world import World
from x402_client import Buyer

from .draws import Fleet
from .journal import read
from .program import last_words

_AUTHORIZATION_USED = "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5"


@dataclass(frozen=True)
class Settled:
    """One payment, as the chain has it. On Solana ``nonce`` is the buyer's signature."""

    payer: str
    nonce: str
    amount: int


@dataclass(frozen=True)
class Seen:
    """One payment, as it first came to the gateway."""

    at: float
    order: str
    nonce: str
    payer: str
    amount: int
    #: On the chain's clock; None: on Solana, which has none.
    expires: float | None
    digest: str
    door: str
    phase: str
    #: What the chain calls it.
    settles_as: str


@dataclass
class Evidence:
    """Of one fleet. Times are real; in the end the chain's clock, and the buyers', were set forward by ``leap``."""

    fleet: Fleet
    payer: str
    settled: list[Settled]
    seen: list[Seen]
    #: The witness's lines: each request, and what befell it.
    wire: list[dict[str, Any]]
    journals: list[list[dict[str, Any]]]
    #: (settled on the chain, and after that counted by the ledger), again and again.
    samples: list[tuple[int, int]] = field(default_factory=list)
    #: nonce -> "signed", "delivered" or "written_off", before it was emptied if it was; None: it has none.
    ledger: dict[str, str] | None = None
    leapt_at: float = 0.0
    leap: float = 0.0
    emptied_at: float | None = None

    @cached_property
    def orders(self) -> dict[str, dict[str, Any]]:
        """The last that each buyer said of each order."""
        return {name: last for lines in self.journals for name, last in last_words(lines).items()}

    @cached_property
    def used(self) -> set[str]:
        return {one.nonce for one in self.settled}

    @cached_property
    def by_order(self) -> dict[str, list[Seen]]:
        found: dict[str, list[Seen]] = defaultdict(list)
        for one in self.seen:
            found[one.order].append(one)
        return found

    def history(self, order: str) -> list[dict[str, Any]]:
        """All that anybody wrote about it, in order."""
        own = [line for lines in self.journals for line in lines if line.get("order") == order]
        other = [line for line in self.wire if line.get("order") == order]
        return sorted(own + other, key=lambda line: float(line["at"]))


def witnessed(path: Path) -> tuple[dict[str, list[Seen]], dict[str, list[dict[str, Any]]]]:
    """By fleet: each payment once, and every line."""
    seen: dict[str, list[Seen]] = defaultdict(list)
    lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
    known = set()
    for line in read(path):
        if "order" not in line:
            continue
        fleet = line["order"].partition("-")[0]
        lines[fleet].append({name: value for name, value in line.items() if name != "key"})
        if "nonce" in line and (line["nonce"], line["digest"]) not in known:
            known.add((line["nonce"], line["digest"]))
            facts = {name: line[name] for name in ("at", "order", "nonce", "payer", "amount", "expires", "digest")}
            settles_as = line.get("signature", line["nonce"])
            seen[fleet].append(Seen(**facts, door=line["door"], phase=line["phase"], settles_as=settles_as))
    return seen, lines


class ChainBook:
    """What the chains settled, read on from where it was read last."""

    def __init__(self, world: World, on_solana: bool) -> None:
        self._world, self._block, self._slot = world, world.chain.block(), 0
        self._on_solana = on_solana
        self._known: dict[str, Settled] = {}

    def read(self) -> list[Settled]:
        chain, since = self._world.chain, self._block
        self._block = chain.block()
        if self._block > since:
            span = {"address": USDC, "fromBlock": hex(since + 1), "toBlock": hex(self._block)}
            amounts = {one.tx_hash: one.value for one in chain.transfers(since)}
            for log in chain.rpc("eth_getLogs", {**span, "topics": [_AUTHORIZATION_USED]}):
                payer, nonce = "0x" + log["topics"][1][-40:], log["topics"][2].lower()
                self._known[log["transactionHash"]] = Settled(payer, nonce, amounts[log["transactionHash"]])
        if self._on_solana:
            self._read_solana()
        return list(self._known.values())

    def _read_solana(self) -> None:
        solana = self._world.solana
        for one in solana.transfers(self._slot):
            if one.signature not in self._known:
                found: Any = solana.transaction(one.signature)
                if found is None:
                    continue
                signed = found["transaction"]["signatures"][1]
                self._known[one.signature] = Settled(one.sender, signed, one.amount)


def ledgers_word(buyer: Buyer) -> dict[str, str]:
    """What became of each payment that the ledger knows."""
    known = [*buyer.history(10**6), *buyer.holds()]
    return {
        hold.nonce.lower() if hold.nonce.startswith("0x") else hold.nonce: hold.state for hold in known if hold.nonce
    }
