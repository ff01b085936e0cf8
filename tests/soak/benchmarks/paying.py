"""The parts about paying: from a 402 to its payment, payments on the wire, and a loop that must not freeze."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any

from .crew import Worker, interleaved, ratio
from .ledgers import redis
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


def payments(scale: float) -> list[Row]:
    """Over real sockets, by the CPU that the buyer's process takes."""
    with redis() as server, Worker("ours") as ours, Worker("seller") as seller:
        url, count = seller.ask("start", 0.0), max(32, int(160 * scale))
        more = {} if server is None else {"Redis": server.url}
        rows: list[Row] = []
        for colour, crowd in (
            ("sync", "httpx, {} thread"),
            ("async", "httpx, {} task"),
            ("requests", "requests, {} thread"),
        ):
            for many in (1, 16):
                found = _spent(ours, colour, url, count, many, max(3, int(7 * scale)), more)
                rows += _payments(f"{crowd.format(many)}{'s' if many > 1 else ''}", found)
        seller.ask("counts")
        ours.ask("spend", "memory ahead", "sync", url + "/evm2", 32, 1)
        wire = seller.ask("counts")["/evm2"] - 3  # two to warm up, the first of which had to ask for terms
        rows.append(Row("pay-ahead: requests on the wire for 32 payments", str(wire), "32", wire == 32))
    return rows


_PAYERS = ("bare once", "bare twice", "memory", "memory ahead", "sqlite", "floor", "floor ahead", "null")


def _spent(
    ours: Worker, colour: str, url: str, count: int, many: int, rounds: int, more: dict[str, str]
) -> dict[str, list[float]]:
    """CPU seconds of each payer's purchases; ``more`` are ledgers at some address."""
    payers = [how for how in _PAYERS if colour != "requests" or how not in ("floor", "floor ahead", "null")]
    place = {"bare once": "/free"}

    def spend(how: str) -> float:
        return float(ours.ask("spend", how, colour, url + place.get(how, "/evm2"), count, many)["cpu"])

    asked = {how: partial(spend, how) for how in payers} | {name: partial(spend, at) for name, at in more.items()}
    interleaved(1, asked)
    return interleaved(rounds, asked)


def _payments(name: str, found: dict[str, list[float]]) -> list[Row]:
    floor = f", the floor {ratio(found['bare twice'], found['floor']):.2f}" if "floor" in found else ""
    null = f", a constant header {ratio(found['bare twice'], found['null']):.2f}" if "null" in found else ""
    ahead = f", the floor {ratio(found['bare once'], found['floor ahead']):.2f}" if "floor ahead" in found else ""
    in_redis = (
        [Row(f"CPU of a payment with Redis, {name}", f"{ratio(found['Redis'], found['memory']):.2f} × one in memory")]
        if "Redis" in found
        else []
    )
    return [
        at_least(
            f"payments per CPU-second, {name}", ratio(found["bare twice"], found["memory"]), 0.9,
            of=f" the bare client's two requests{floor}{null}",
        ),
        at_least(
            f"pay-ahead per CPU-second, {name}", ratio(found["bare once"], found["memory ahead"]), 0.85,
            of=f" a bare request{ahead}",
        ),
        at_most(f"CPU of a payment with SQLite, {name}", ratio(found["sqlite"], found["memory"]), 1.15,
                of=" one in memory"),
        *in_redis,
    ]  # fmt: skip
