"""What is drawn: orders, and the weather over each of their requests. The same seed draws the same.

Nothing but the standard library, here and in ``journal`` and ``program``: the official client's buyers run them in an
environment of their own.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass

#: What the weather does to a request that asks for the price, by weight.
ASKED = {
    "passes": 60, "late": 6, "dropped": 5, "reset": 5, "hangs": 2, "503": 5, "dearer": 5, "far too dear": 3,
    "another token": 3, "garbage": 3, "not x402": 2,
}  # fmt: skip
#: And to one that pays. "before": nothing reached the seller; "after": it had settled what it wanted to settle.
PAID = {
    "passes": 42, "late": 4, "dropped before": 4, "dropped after": 5, "reset before": 3, "reset after": 4,
    "hangs before": 2, "hangs after": 3, "500 before": 3, "502 after": 5, "404 after": 2, "402 before": 3,
    "402 after": 4, "dearer after": 4, "led on": 3, "led elsewhere": 3, "cut short": 4, "dripped": 2,
    "receipt of another payer": 2, "receipt of another amount": 2, "receipt of another network": 2,
    "receipt of a failure": 2, "receipt in garbage": 2, "no receipt": 2,
}  # fmt: skip
#: Between a seller and its facilitator.
VERIFIED = {"passes": 90, "late": 3, "dropped before": 3, "500 before": 4}
SETTLED = {
    "passes": 76, "late": 4, "dropped before": 3, "dropped after": 5, "500 before": 2, "500 after": 4,
    "hangs after": 2, "says no after": 2, "says yes instead": 2,
}  # fmt: skip
#: Before a chain's endpoint.
READ = {"passes": 60, "late": 8, "dropped before": 10, "503": 8, "429": 6, "garbage": 8}

WEATHER: Mapping[str, Mapping[str, int]] = {
    "ask": ASKED, "pay": PAID, "verify": VERIFIED, "settle": SETTLED, "read": READ,
}  # fmt: skip
#: Requests of an order that the weather may strike with all its force; later ones it mostly leaves alone.
_ROUGH = 5


def drawn(seed: str, order: str, leg: str, number: int) -> str:
    """What befalls the ``number``-th request of this kind about an order."""
    source = random.Random(f"{seed}:{order}:{leg}:{number}")
    if number >= _ROUGH and source.random() < 0.6:
        return "passes"
    kinds = WEATHER[leg]
    return source.choices(list(kinds), list(kinds.values()))[0]


@dataclass(frozen=True)
class Order:
    """Something to buy: a URL of its own, asked until it ended."""

    id: str
    door: str
    method: str
    goods: str
    #: "plain", "key", "ahead" or "loss".
    style: str
    #: "", "here" or "elsewhere": where the seller leads everybody who asks.
    leads: str
    #: Whether the seller recognises a payment that it delivered for.
    remembers: bool
    #: Seconds before each further try.
    pauses: tuple[float, ...]

    @property
    def place(self) -> str:
        """The path. Those that pay ahead share one in each lane, or there would be no terms to remember."""
        lane = self.id.rpartition("-")[0]
        return f"/{self.goods}/{lane}" if self.style == "ahead" else f"/{self.goods}/{self.id}"

    @property
    def path(self) -> str:
        return f"{self.place}?order={self.id}"

    @property
    def body(self) -> bytes | None:
        return json.dumps({"order": self.id}).encode() if self.method == "POST" else None


_STYLES = {"plain": 46, "key": 22, "ahead": 18, "loss": 14}
_PAUSES = ((0.0, 0.0, 0.0), (0.05, 0.2, 0.5), (0.5, 1.0, 2.0))


def order(seed: str, name: str, doors: tuple[str, ...]) -> Order:
    """``name`` is fleet-process-lane-number."""
    source = random.Random(f"{seed}:{name}")
    lane = name.rpartition("-")[0]
    style = source.choices(list(_STYLES), list(_STYLES.values()))[0]
    ahead = style == "ahead"
    # The lane's own door, so that what was learnt there serves its next order.
    door = random.Random(f"{seed}:{lane}").choice(doors) if ahead else source.choice(doors)
    goods = "paid" if ahead or source.random() < 0.85 else "stream"
    method = "POST" if goods == "paid" and not ahead and source.random() < 0.3 else "GET"
    leads = "" if ahead else source.choices(["", "here", "elsewhere"], [86, 7, 7])[0]
    return Order(name, door, method, goods, style, leads, source.random() < 0.6, source.choice(_PAUSES))


def named(path: str) -> str:
    """The order that a request is about; empty: none."""
    return path.partition("?order=")[2].partition("&")[0]


@dataclass(frozen=True)
class Fleet:
    """Buyers of one wallet and one ledger."""

    name: str
    #: "sqlite", "redis", "disk" (SQLite on a disk that fills) or "none".
    ledger: str
    #: The lanes of each of its processes: one HTTP library for each.
    crews: tuple[tuple[str, ...], ...]
    #: Amounts in millionths of a dollar: by minute, in all, and by minute at each host.
    per_minute: int = 400_000
    total: int = 60_000_000
    host_minute: int = 250_000
    #: What happens to it: "killed", "redis dies", "emptied", "fills", "clock jumps", "no chain".
    fates: tuple[str, ...] = ("killed",)
    family: str = "evm"
    #: "ours" or "official".
    client: str = "ours"

    @property
    def steady(self) -> int:
        """The process that is never killed, so that it would show what it leaks; its others die again and again."""
        return 0


ASYNC, THREADS = ("httpx async",) * 3 + ("httpx2 async",), ("httpx", "requests", "httpx2")
_CLOCK = ("killed", "clock jumps")
FLEETS = (
    Fleet("sqlite", "sqlite", (ASYNC, THREADS)),
    Fleet("redis", "redis", (ASYNC, THREADS), fates=("killed", "redis dies")),
    Fleet("emptied", "redis", (("httpx", "httpx async"),), fates=("emptied",)),
    Fleet("disk", "disk", (("httpx", "httpx async"), ("requests",)), fates=("killed", "fills")),
    Fleet("clock", "sqlite", (("httpx", "httpx async"), ("requests",)), total=1_200_000, fates=_CLOCK),
    Fleet("dark", "sqlite", (("httpx", "requests"),), fates=("no chain",)),
    Fleet("solana", "sqlite", (("httpx async", "httpx"), ("requests",)), family="solana"),
)  # fmt: skip
OFFICIALS = (
    Fleet("official", "none", (("httpx async",) * 4, ("httpx async",) * 2 + ("requests",)), client="official"),
    Fleet("official_svm", "none", (("httpx async",), ("httpx async", "requests")), family="solana", client="official"),
)
