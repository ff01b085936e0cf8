"""The parts about payments over real sockets, by the CPU that the buyer's process takes."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any

from tests.real.environments import EnvironmentUnavailable
from tests.soak.matrix import npm

from . import terms
from .crew import Worker, interleaved, ratio
from .ledgers import redis
from .official_python import official_python
from .report import Row, at_least, at_most

#: The kinds of clients, what they are called, and the least payments per CPU-second, by a bare client's.
_COLOURS = (
    ("sync", "httpx, {} thread", 0.8),
    ("async", "httpx, {} task", 0.8),
    ("requests", "requests, {} thread", 0.9),
    ("aiohttp", "aiohttp, {} task", None),
)
_PAYERS = ("bare once", "bare twice", "memory", "memory ahead", "sqlite", "floor", "floor ahead", "null")


def payments(scale: float) -> list[Row]:
    """Every kind of client, one task or thread and sixteen."""
    with redis() as server, Worker("ours") as ours, Worker("seller") as seller:
        url, count = seller.ask("start", 0.0), max(32, int(160 * scale))
        more = {} if server is None else {"Redis": server.url}
        rows: list[Row] = []
        for colour, crowd, least in _COLOURS:
            for many in (1, 16):
                found = _spent(ours, colour, url, count, many, max(3, int(7 * scale)), more)
                rows += _payments(f"{crowd.format(many)}{'s' if many > 1 else ''}", found, least)
        seller.ask("counts")
        ours.ask("spend", "memory ahead", "sync", url + "/evm2", 32, 1)
        wire = seller.ask("counts")["/evm2"] - 3  # two to warm up, the first of which had to ask for terms
        rows.append(Row("pay-ahead: requests on the wire for 32 payments", str(wire), "32", wire == 32))
    return rows


def _spent(
    ours: Worker, colour: str, url: str, count: int, many: int, rounds: int, more: dict[str, str]
) -> dict[str, list[float]]:
    """CPU seconds of each payer's purchases; ``more`` are ledgers at some address."""
    place = {"bare once": "/free"}

    def spend(how: str) -> float:
        return float(ours.ask("spend", how, colour, url + place.get(how, "/evm2"), count, many)["cpu"])

    asked = {how: partial(spend, how) for how in _PAYERS} | {name: partial(spend, at) for name, at in more.items()}
    interleaved(1, asked)
    return interleaved(rounds, asked)


def _payments(name: str, found: dict[str, list[float]], least: float | None) -> list[Row]:
    def over(one: str, other: str) -> float:
        return ratio(found[one], found[other])

    told = (
        f" the bare client's two requests, the floor {over('bare twice', 'floor'):.2f}, "
        f"a constant header {over('bare twice', 'null'):.2f}"
    )
    paid, what = over("bare twice", "memory"), f"payments per CPU-second, {name}"
    ahead = f" the floor's, {over('bare once', 'memory ahead'):.2f} × a bare request"
    return [
        Row(what, f"{paid:.2f} ×{told}") if least is None else at_least(what, paid, least, of=told),
        at_least(f"pay-ahead per CPU-second, {name}", over("floor ahead", "memory ahead"), 0.85, of=ahead),
        at_most(f"CPU of a payment with SQLite, {name}", over("sqlite", "memory"), 1.25, of=" one in memory"),
        *(
            [at_most(f"CPU of a payment with Redis, {name}", over("Redis", "memory"), 1.3, of=" one in memory")]
            if "Redis" in found
            else []
        ),
    ]


def libraries(scale: float) -> list[Row]:
    """What a user could take instead: aiohttp, the official client, ``@x402/fetch`` under Node. One task each."""
    with ExitStack() as crew:
        ours, seller = crew.enter_context(Worker("ours")), crew.enter_context(Worker("seller"))
        url, count, few = seller.ask("start", 0.0), max(32, int(160 * scale)), max(8, int(40 * scale))

        def spend(colour: str, how: str) -> float:
            return float(ours.ask("spend", how, colour, url + "/evm2", count, 1)["cpu"]) / count

        asked: dict[str, Any] = {
            f"{colour} {how}": partial(spend, colour, how)
            for colour in ("async", "aiohttp")
            for how in ("memory", "memory ahead")
        }
        for name, words in (
            ("the official client with coincurve", []),
            ("the official client as installed", ["plain"]),
        ):
            official = crew.enter_context(Worker("official", *words, python=official_python()))
            asked[name] = lambda official=official: official.ask("spend", url, few)["cpu"] / few
        node = _node(crew)
        if node is not None:
            asked[_FETCH] = lambda: node.ask("spend", "paid", url + "/evm2", count)["cpu"] / count
            asked["fetch"] = lambda: node.ask("spend", "free", url + "/free", count)["cpu"] / count
        interleaved(1, asked)
        found = interleaved(max(3, int(7 * scale)), asked)
    return _beside(found)


#: As the lock of its packages pins it.
_FETCH = f"@x402/fetch {npm.version_of('client', '@x402/fetch')} under Node"


def _node(crew: ExitStack) -> Worker | None:
    try:
        return crew.enter_context(Worker("fetch", terms.KEY, command=npm.command("client", "fetch.mjs")))
    except EnvironmentUnavailable:
        return None


def _beside(found: dict[str, list[float]]) -> list[Row]:
    httpx = found["async memory"]

    def of(name: str) -> str:
        return f" one by httpx, async ({1e6 * median(found[name]):,.0f} against {1e6 * median(httpx):,.0f} µs)"

    rows = [
        at_most("CPU of a payment, aiohttp", ratio(found["aiohttp memory"], httpx), 0.4, of=of("aiohttp memory")),
        at_most(
            "CPU of a payment, aiohttp, paid ahead", ratio(found["aiohttp memory ahead"], httpx), 0.3,
            of=of("aiohttp memory ahead"),
        ),
    ]  # fmt: skip
    for name in ("the official client with coincurve", "the official client as installed", _FETCH):
        if name in found:
            rows.append(Row(f"CPU of a payment, {name}", f"{ratio(found[name], httpx):.2f} ×{of(name)}"))
    if "fetch" in found:
        rows.append(Row("CPU of a request that costs nothing, Node's fetch", f"{1e6 * median(found['fetch']):,.0f} µs"))
    return rows
