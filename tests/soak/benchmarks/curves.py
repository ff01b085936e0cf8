"""How figures grow: with the offers of a 402, and with tasks that pay at once."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from statistics import median

from .crew import Worker, interleaved, ratio
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
    with Worker("ours") as ours, Worker("seller") as seller:
        url = seller.ask("start", 0.0)
        asked = {
            (how, many): partial(
                ours.ask, "spend", how, "async", url + "/evm2", max(int(256 * scale), many), many
            )
            for how in ("memory", "bare twice")
            for many in sizes
        }  # fmt: skip
        found = interleaved(max(2, int(3 * scale)), asked)  # type: ignore[arg-type]
    lines = []
    for many in sizes:
        count = max(int(256 * scale), many) // many * many
        cpu = {how: [each["cpu"] for each in found[how, many]] for how in ("memory", "bare twice")}  # type: ignore[index]
        mine, bare = (1e6 * median(cpu[how]) / count for how in ("memory", "bare twice"))
        lines.append(
            (str(many), f"{mine:,.0f} µs", f"{bare:,.0f} µs", f"{ratio(cpu['bare twice'], cpu['memory']):.2f}")
        )
    head = ("tasks", "CPU of a payment", "of a bare client's two requests", "payments per CPU-second, × bare")
    return curve("Tasks that pay at once through one async client:", head, lines)
