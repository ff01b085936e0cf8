"""Where the time of one payment goes: each question of the flow, and the thinking before it.

``python -m tests.soak.benchmarks.profile`` is its worker: an httpx client in memory, its seller in the same process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from statistics import median
from time import perf_counter_ns
from typing import Any

from x402_client.adapters import exchange as _exchange
from x402_client.core import delivery as _delivery
from x402_client.core.asks import Ask, Tell
from x402_client.core.drive import Flow

from . import ours
from .crew import Worker, serve
from .report import curve

#: The modules that drive the flow of a sync call: to its answer, and to the end of the body.
_DRIVERS = (_exchange, _delivery)
#: What is shown, and the questions that it is made of: ``> Reserve`` is the thinking before it.
_STEPS = {
    "looking into the 402, within bounds and in time": ("> Peek", "Peek"),
    "reading the terms, choosing an offer": ("> Digest",),
    "telling this purchase from all others": ("Digest", "> Join", "Join"),
    "packing and hashing what is signed": ("> LeftAlone", "LeftAlone", "> SignTyped"),
    "the signature": ("SignTyped",),
    "writing the payment's header": ("> Reserve",),
    "taking the price from every budget, and keeping the payment": ("Reserve",),
    "sending the request once more (to a seller in this process)": ("> Send", "Send"),
    "reading the receipt, holding it against what was signed": ("> Tell Answered",),
    "closing the hold": ("> Close", "Close"),
    "events and the log": (
        "> Tell Presented", "Tell Presented", "Tell Answered", "> Tell Delivered", "Tell Delivered",
    ),
}  # fmt: skip
_taken: dict[str, list[float]] = defaultdict(list)


def _timed(flow: Flow[Any], answer: Callable[[Ask[Any]], Any]) -> Any:
    """``run`` with a clock. No payment fails here, so nothing is thrown into the flow."""
    given = None
    try:
        while True:
            started = perf_counter_ns()
            ask = flow.send(given)
            asked = perf_counter_ns()
            given = answer(ask)
            name = " ".join([type(ask).__name__, *([type(ask.event).__name__] if isinstance(ask, Tell) else [])])
            _taken[f"> {name}"].append(asked - started)
            _taken[name].append(perf_counter_ns() - asked)
    except StopIteration as end:
        return end.value
    finally:
        flow.close()


def steps(count: int) -> dict[str, float]:
    """Return the microseconds of each step of a payment on an EVM chain: medians."""
    ours.retry("evm2", 100, "sync")
    for module in _DRIVERS:
        module.run = _timed  # type: ignore[attr-defined]
    ours.retry("evm2", count, "sync")
    return {shown: sum(median(_taken[part]) for part in parts) / 1000 for shown, parts in _STEPS.items()}


def profile(scale: float) -> str:
    """The table."""
    with Worker("profile") as worker:
        taken = worker.ask("steps", int(3_000 * scale))
    lines = [(name, f"{each:.0f} µs") for name, each in [*taken.items(), ("all of these", sum(taken.values()))]]
    return curve("Where a payment's time goes (version 2, sync httpx, ledger in memory, all limits on):",
                 ("step", "takes"), lines)  # fmt: skip


if __name__ == "__main__":
    serve({"steps": steps})
