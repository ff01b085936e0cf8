"""How figures grow: with the offers of a 402, and with tasks that pay at once."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from statistics import median

from .crew import Worker, interleaved
from .official_python import official_python
from .report import curve


def offers(scale: float) -> str:
    """Version 1, whose terms stand in the body: the last offer is the one that can be paid."""
    sizes = (1, 10, 100, 1_000)
    with ExitStack() as stack:
        ours = stack.enter_context(Worker("ours"))
        official = stack.enter_context(Worker("official", python=official_python()))
        asked = {}
        for size in sizes:
            count = max(1, int(60 * scale) // size)
            asked[f"ours {size}"] = partial(ours.ask, "retry", "evm1", count, "async", "", size)
            asked[f"official {size}"] = partial(official.ask, "retry", "evm1", count, "", size)
        interleaved(1, asked)
        found = {name: median(taken) for name, taken in interleaved(max(3, int(9 * scale)), asked).items()}
    lines = [
        (f"{size:,}", f"{found[f'ours {size}']:,.0f} µs", f"{found[f'official {size}']:,.0f} µs") for size in sizes
    ]
    return curve("Offers in one 402, until its payment:", ("offers", "this", "official, with coincurve"), lines)


def tasks(scale: float) -> str:
    """Over real sockets, with one client."""
    sizes = (1, 4, 16, 64, 256)
    colours = ("async", "httpx over aiohttp", "aiohttp")
    with Worker("ours") as ours, Worker("seller") as seller:
        url = seller.ask("start", 0.0)

        def spend(colour: str, how: str, many: int) -> float:
            count = max(int(256 * scale), many) // many * many
            return float(ours.ask("spend", how, colour, url + "/evm2", count, many)["cpu"]) * 1e6 / count

        asked = {
            f"{colour} {how} {many}": partial(spend, colour, how, many)
            for colour in colours
            for how in ("memory", "bare twice")
            for many in sizes
        }
        found = interleaved(max(2, int(3 * scale)), asked)
    lines = []
    for many in sizes:
        cells = [f"{median(found[f'{colour} {how} {many}']):,.0f} µs"
                 for colour in colours for how in ("memory", "bare twice")]  # fmt: skip
        lines.append((str(many), *cells))
    names = ("httpx", "httpx over aiohttp", "aiohttp")
    head = ("tasks", *(f"{name}{more}" for name in names for more in ("", ", a bare client's two requests")))
    return curve("CPU of a payment by tasks that pay at once through one async client:", head, lines)
