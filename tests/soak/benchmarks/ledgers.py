"""The parts about ledgers: what a purchase costs in each, and that it costs the same after a million."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from .crew import ROOT, Worker, interleaved
from .report import Row, at_most

_HISTORY = re.compile(r"(\w+) +([\d,]+) µs +([\d,]+) µs +([\d.]+)")


def steps(scale: float) -> list[Row]:
    """The two steps of a purchase that is signed by a key in the program: kept before it leaves, and ended."""
    count, rounds = max(20, int(200 * scale)), max(3, int(15 * scale))
    with ExitStack() as stack:
        crew = [stack.enter_context(Worker("ours")) for _ in range(4)]
        place = stack.enter_context(tempfile.TemporaryDirectory())

        def together() -> list[float]:
            for worker in crew:
                worker.begin("ledger", "sqlite", f"{place}/shared.db", count)
            return [each for worker in crew for each in worker.end()]

        asked = {
            "memory": lambda: crew[0].ask("ledger", "memory", "", count),
            "one": lambda: crew[0].ask("ledger", "sqlite", f"{place}/own.db", count),
            "four": together,
        }
        interleaved(1, asked)
        found = interleaved(rounds, asked)
    p50 = {name: median(each for taken in runs for each in taken) for name, runs in found.items()}
    p99 = {name: quantiles([each for taken in runs for each in taken], n=100)[-1] for name, runs in found.items()}
    names = {"memory": ("in memory", 10), "one": ("SQLite, one process", 90), "four": ("SQLite, four processes", 250)}
    what = "ledger, a purchase's two steps, p50"
    rows = [
        at_most(f"{what}: {where}", p50[name], most, "µs", f" (p99: {p99[name]:,.0f})", 0)
        for name, (where, most) in names.items()
    ]
    return rows + _redis()


@contextmanager
def redis() -> Iterator[Any]:
    """A server, for as long as it takes; None where none can be had."""
    if shutil.which("redis-server") is None or importlib.util.find_spec("redis") is None:
        yield None
        return
    from tests.ledgers.redis.server import Server

    with tempfile.TemporaryDirectory() as place:
        server = Server(Path(place))
        try:
            yield server
        finally:
            server.kill()


def _redis() -> list[Row]:
    with redis() as server, Worker("ours") as ours:
        if server is None:
            return [Row("ledger, Redis: round trips", "no redis-server here", "2")]
        ours.ask("ledger", server.url, "", 3)
        server.do("CONFIG", "RESETSTAT")
        taken = ours.ask("ledger", server.url, "", 100)
        calls = server.calls()
    trips = calls["evalsha"] / 100
    rest = f" (p50: {median(taken):,.0f} µs)"
    return [at_most("ledger, a purchase's two steps: Redis", round(trips, 1), 2, "round trips", rest, 0)]


def history(scale: float) -> list[Row]:
    """Ten past payments, and a million."""
    if importlib.util.find_spec("tests.soak.benchmarks.ledger_history") is None:
        return []
    past = max(1_000, int(1_000_000 * scale))
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.benchmarks.ledger_history", str(past)],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    return [
        at_most(f"budgets, {name}: after {past:,} payments", float(ratio), 1.1, of=f" as after 10 ({few} → {many} µs)")
        for name, few, many, ratio in _HISTORY.findall(done.stdout)
    ]
