"""The parts about paying: from a 402 to its payment, and a loop that must not freeze."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any

from .crew import Worker, interleaved, ratio
from .official_python import official_python
from .report import Row, at_least, at_most

_RPC_SECONDS = 0.05


def retries(scale: float) -> list[Row]:
    """402 -> retry."""
    with ExitStack() as crew:
        hire = partial(_hire, crew)
        ours, floor, seller, plain = hire("ours"), hire("floor"), hire("seller"), hire("ours", "plain")
        official, installed = hire("official", official=True), hire("official", "plain", official=True)
        url, count = seller.ask("start", _RPC_SECONDS), max(5, int(60 * scale))
        few = max(2, count // 6)

        def asking(kind: str) -> dict[str, Callable[[], Any]]:
            return {
                "sync": lambda: ours.ask("retry", kind, count, "sync", url),
                "async": lambda: ours.ask("retry", kind, count, "async", url),
                "floor sync": lambda: floor.ask("retry", kind, count, "sync"),
                "floor async": lambda: floor.ask("retry", kind, count, "async"),
                "null": lambda: floor.ask("retry", kind, count, "async", "null"),
                "plain": lambda: plain.ask("retry", kind, few, "async", url),
                "official": lambda: official.ask("retry", kind, few, url),
                "installed": lambda: installed.ask("retry", kind, few, url),
            }

        rows = []
        for kind, name in (
            ("evm2", "EVM, version 2"),
            ("evm1", "EVM, version 1"),
            ("fresh", "EVM, other words in each 402"),
            ("solana", "Solana, warm"),
        ):
            asked = asking(kind)
            interleaved(2, asked)
            seller.ask("counts")
            calls: dict[str, list[int]] = {"ours": [], "official": []}
            if kind == "solana":
                asked["sync"] = _counting(asked["sync"], seller, calls["ours"])
                asked["official"] = _counting(asked["official"], seller, calls["official"])
            found = interleaved(max(3, int(18 * scale)), asked)
            rows += _solana(found, calls, few) if kind == "solana" else _evm(name, found)
    return rows


def _hire(crew: ExitStack, module: str, *words: str, official: bool = False) -> Worker:
    python = {"python": official_python()} if official else {}
    return crew.enter_context(Worker(module, *words, **python))  # type: ignore[arg-type]


def _counting(ask: Callable[[], Any], seller: Worker, into: list[int]) -> Callable[[], Any]:
    def counted() -> Any:
        seller.ask("counts")
        answer = ask()
        into.append(seller.ask("counts").get("/rpc", 0))
        return answer

    return counted


def _over_the_floor(name: str, found: dict[str, list[float]]) -> list[Row]:
    rows = []
    for colour in ("sync", "async"):
        shown = f" the floor ({median(found[colour]):.0f} against {median(found['floor ' + colour]):.0f} µs)"
        over = ratio(found[colour], found["floor " + colour])
        rows.append(at_most(f"{name}, 402 → retry, {colour} httpx", over, 2.5, of=shown))
    return rows


def _evm(name: str, found: dict[str, list[float]]) -> list[Row]:
    official, installed = median(found["official"]), median(found["installed"])
    return [
        *_over_the_floor(name, found),
        at_least(
            f"{name}, 402 → retry: the official client with coincurve takes",
            ratio(found["official"], found["async"]), 3, of=f" as long ({official:,.0f} µs)", digits=1,
        ),
        at_least(
            f"{name}, 402 → retry: the official client as installed takes",
            ratio(found["installed"], found["async"]), 20, of=f" as long ({installed:,.0f} µs)", digits=1,
        ),
        at_least(
            f"{name}, the same, us without coincurve too",
            ratio(found["installed"], found["plain"]), 2, of=f" as long ({median(found['plain']):,.0f} µs)", digits=1,
        ),
    ]  # fmt: skip


def _solana(found: dict[str, list[float]], calls: dict[str, list[int]], few: int) -> list[Row]:
    theirs = median(calls["official"]) / few
    return [
        *_over_the_floor("Solana, warm", found),
        at_most("Solana, warm: RPC calls per payment", median(calls["ours"]), 0, "", f"(official: {theirs:g})", 0),
        Row("Solana, warm: the official client, RPC of 50 ms", f"{median(found['official']) / 1000:,.1f} ms"),
    ]


def freezes(scale: float) -> list[Row]:
    """Sixteen tasks that pay on Solana, from a start that knows nothing of the chain, over an RPC of 50 ms."""
    with ExitStack() as crew:
        hire = partial(_hire, crew)
        ours, seller, official = hire("ours"), hire("seller"), hire("official", official=True)
        url = seller.ask("start", _RPC_SECONDS)
        count = max(32, int(320 * scale))
        asked: dict[str, Callable[[], Any]] = {
            "ours": lambda: ours.ask("cold", "ours", url, count, 16),
            "official": lambda: official.ask("cold", url, 32, 16),
            "bare": lambda: ours.ask("cold", "bare", url, count, 16),
        }
        interleaved(1, asked)
        found = interleaved(max(3, int(5 * scale)), asked)
    freeze = {name: 1000 * median(each["freeze"] for each in taken) for name, taken in found.items()}
    speed = {name: [32 / each["wall"] for each in found[name]] for name in ("ours", "official")}
    speed["ours"] = [each * count / 32 for each in speed["ours"]]
    told = f" in one step (bare client: {freeze['bare']:.0f} ms; official: {freeze['official']:.0f} ms)"
    return [
        at_most("asyncio, 16 tasks, RPC of 50 ms: longest freeze of the loop", freeze["ours"], 10, "ms", told, 0),
        at_least(
            "the same: payments per second", ratio(speed["ours"], speed["official"]), 10,
            of=f" the official's ({median(speed['ours']):.0f} against {median(speed['official']):.0f})", digits=0,
        ),
    ]  # fmt: skip
