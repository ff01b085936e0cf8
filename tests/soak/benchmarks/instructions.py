"""``python -m tests.soak.benchmarks.instructions [--check | --write]``: the instructions of a payment, by valgrind.

A count of instructions repeats where a time does not: on a busy machine, in a container, next month. ``--write`` keeps
the table beside this file, and puts it into the manual. ``--check`` fails where what this package adds to a bare client
has grown by more than 2 %, and by more than counts vary. It judges only under the Python and the libraries that the
table was recorded with, and else it prints. ``--write`` alone counts the official client, which has an environment of
its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..page import put
from .counter import COUNTS_HERE
from .crew import ROOT, Worker
from .official_python import official_python
from .report import Row, at_least, at_most, curve, judged

RECORDED = Path(__file__).with_name("instructions.json")
COLOURS = ("sync", "async", "requests", "aiohttp")
EVM = ("bare once", "bare twice", "null", "floor", "memory", "sqlite", "floor ahead", "memory ahead")
#: ``hinted``: each 402 names another recent blockhash, so it is read anew, and no chain is asked.
SOLANA = (
    "bare twice of solana", "null of solana", "floor of solana", "memory of solana", "floor of hinted",
    "memory of hinted",
)  # fmt: skip
CASES = EVM + SOLANA
#: The official client has no payer for sync httpx and for aiohttp.
OFFICIAL, OFFICIAL_COLOURS = ("official of solana", "official of hinted"), ("async", "requests")
#: What is judged, and what a bare client takes for the same.
OURS = {
    "memory": "bare twice", "sqlite": "bare twice", "memory ahead": "bare once",
    "memory of solana": "bare twice of solana", "memory of hinted": "bare twice of solana",
}  # fmt: skip
MORE = 1.02
#: The part of itself by which a count may differ the next time. Under requests it is more than 2 % of what ours adds.
VARIES = 0.005
_CLIENTS = {"sync": "httpx", "async": "httpx, async", "requests": "requests", "aiohttp": "aiohttp"}
_SHOWN = {
    "bare once": "a bare request", "bare twice": "the bare client's two requests", "null": "a constant header",
    "floor": "the floor", "memory": "this, ledger in memory", "sqlite": "this, SQLite",
    "floor ahead": "the floor, ahead", "memory ahead": "this, ahead",
    "bare twice of solana": "the bare client's two requests", "null of solana": "a constant header",
    "floor of solana": "the floor", "memory of solana": "this, ledger in memory",
    "official of solana": "the official client", "floor of hinted": "the floor, a hint in each 402",
    "memory of hinted": "this, a hint in each 402", "official of hinted": "the official client, a hint in each 402",
}  # fmt: skip
BEGIN = "<!-- instructions: written by python -m tests.soak.benchmarks.instructions --write -->"
END = "<!-- end of the instructions -->"
_NOT_HERE = "Instructions are counted by valgrind on Linux and x86-64. There is none here, and nothing was judged."
_COUNT = 40
_LIBRARIES = (
    "httpx", "httpcore", "h11", "anyio", "requests", "urllib3", "aiohttp", "yarl", "multidict", "pydantic",
    "pydantic-core", "coincurve", "safe-pysha3", "pycryptodome", "solders",
)  # fmt: skip
#: What a processor may be able to do, as the system names it.
_ROUTINES = ("sse4_2", "bmi2", "avx2", "avx512f", "sha_ni", "erms", "fsrm")
#: Thousands of instructions of one payment, by colour and case.
Counts = dict[str, dict[str, float]]
_DUMP = re.compile(r"^desc: Trigger: Client Request: ([^\n]+).*^totals: (\d+)", re.M | re.S)


def installed() -> dict[str, str]:
    """Return what the counts depend on, and this program does not choose."""
    found = {"python": sys.version, "processor": _processor(), "libc": " ".join(platform.libc_ver())}
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True)
    found["valgrind"] = valgrind.stdout.strip()
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _processor() -> str:
    """Return the kind of processor. Libraries choose their routines by what it can do."""
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")).split()
    return " ".join([platform.machine(), *(flag for flag in _ROUTINES if flag in flags)])


def counted(
    colour: str, url: str, count: int, cases: tuple[str, ...] = CASES, python: str | Path = sys.executable
) -> dict[str, float]:
    """Count the payments of one kind of client, in a process of its own."""
    # Sets of strings are walked in one order, and no variable of the caller's moves the stack.
    clean = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(
            ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={place}/out",
             python, "-m", "tests.soak.benchmarks.counted", colour, url, str(count), *cases],
            cwd=ROOT, env=clean, check=True, timeout=1200,
        )  # fmt: skip
        dumps = [_DUMP.search(path.read_text()) for path in Path(place).iterdir()]
    return {found[1]: round(int(found[2]) / count / 1000, 1) for found in dumps if found}


def measure(count: int = _COUNT, official: bool = False) -> Counts:
    """Count everything, with as many processes at once as there are cores."""
    with Worker("seller") as seller, ThreadPoolExecutor(os.cpu_count()) as pool:
        url = seller.ask("start", 0.0)
        found: Counts = dict(zip(COLOURS, pool.map(partial(counted, url=url, count=count), COLOURS), strict=True))
        if official:
            count_theirs = partial(counted, url=url, count=count, cases=OFFICIAL, python=official_python())
            for colour, theirs in zip(OFFICIAL_COLOURS, pool.map(count_theirs, OFFICIAL_COLOURS), strict=True):
                found[colour] |= theirs
        return found


def added(counts: Counts) -> Counts:
    """Return what ours takes beyond a bare client."""
    return {colour: {how: found[how] - found[bare] for how, bare in OURS.items()} for colour, found in counts.items()}


def shown(counts: Counts) -> str:
    """Return all that the page says: the tables, and what is wanted beside what is."""
    on_solana = [how for case in SOLANA for how in (case, case.replace("memory", "official")) if how in _SHOWN]
    return "\n\n".join([
        table("Thousands of instructions of one payment, on an EVM chain:", counts, EVM),
        table("Thousands of instructions of one payment on Solana:", counts, dict.fromkeys(on_solana)),
        judged(goals(counts)),
    ])  # fmt: skip


def table(title: str, counts: Counts, cases: Iterable[str]) -> str:
    """The counts, and what ours adds to each bare client."""
    more = added(counts)
    lines = [
        [_SHOWN[how], *(_cell(counts[colour].get(how), more[colour].get(how)) for colour in counts)] for how in cases
    ]
    return curve(title, ("payer", *(_CLIENTS[colour] for colour in counts)), lines)


def goals(counts: Counts) -> list[Row]:
    """What is wanted of payments, as far as instructions show it."""
    rows = []
    for colour, least in (("sync", 0.8), ("async", 0.8), ("requests", 0.9)):
        found = counts[colour]
        rows.append(
            at_least(f"payments, {_CLIENTS[colour]}", found["bare twice"] / found["memory"], least,
                     of=" the bare client's two requests")
        )  # fmt: skip
    for colour, found in counts.items():
        ahead = found["floor ahead"] / found["memory ahead"]
        rows.append(at_least(f"payments ahead, {_CLIENTS[colour]}", ahead, 0.85, of=" the floor's ahead"))
    for colour, found in counts.items():
        over = (found["memory"] - found["null"]) / (found["floor"] - found["null"])
        rows.append(
            at_most(f"what a payment adds to a constant header, {_CLIENTS[colour]}", over, 3, of=" what the floor adds")
        )
    for how, name, most in (("memory", "a payment", 0.4), ("memory ahead", "a payment ahead", 0.3)):
        share = counts["aiohttp"][how] / counts["async"]["memory"]
        rows.append(at_most(f"{name}, aiohttp", share, most, of=" a payment by httpx, async"))
    return rows + _goals_on_solana(counts)


def _goals_on_solana(counts: Counts) -> list[Row]:
    rows = []
    for how, name in (("of solana", "a payment on Solana"), ("of hinted", "a payment on Solana with a hint")):
        for colour in OFFICIAL_COLOURS:
            found = counts[colour]
            if f"official {how}" in found:
                share = found[f"memory {how}"] / found[f"official {how}"]
                rows.append(at_most(f"{name}, {_CLIENTS[colour]}", share, 1, of=" the official client's"))
    return rows


def _cell(whole: float | None, more: float | None) -> str:
    if whole is None:
        return "–"
    return f"{whole:,.0f}" if more is None else f"{whole:,.0f} (+{more:,.0f})"


def grown(now: Counts, before: Counts) -> list[str]:
    """Return a line for each case in which ours adds more than it did."""
    found, past = added(now), added(before)
    return [
        f"{colour}, {how}: {before_:,.0f} thousand instructions beyond a bare client have become {now_:,.0f}"
        for colour, cases in past.items()
        for how, before_ in cases.items()
        if (now_ := found[colour][how]) > max(MORE * before_, before_ + VARIES * before[colour][how])
    ]


def unlike(before: dict[str, str]) -> list[str]:
    """Return a line for each version that is another one than was recorded."""
    now = installed()
    return [f"{name} is {now.get(name)}, and was {old}" for name, old in before.items() if now.get(name) != old]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.benchmarks.instructions", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where ours has grown since the table was kept")
    parser.add_argument("--write", action="store_true", help="keep the table")
    said = parser.parse_args()
    if not COUNTS_HERE:
        print(_NOT_HERE)
        return
    counts = measure(official=said.write)
    print(shown(counts))
    if said.write:
        put(shown(counts), BEGIN, END)
        RECORDED.write_text(json.dumps({"installed": installed(), "counts": counts}, indent=2) + "\n")
    if said.check:
        sys.exit(judge(counts, json.loads(RECORDED.read_text())))


def judge(counts: Counts, recorded: dict[str, Any]) -> int:
    """Print what is to be said against the recorded table. Return the exit code."""
    others, more = unlike(recorded["installed"]), grown(counts, recorded["counts"])
    if others:
        print("Not judged, as the recorded table is from other versions:", *others, sep="\n  ")
    if more:
        print(f"More than {MORE - 1:.0%} over the recorded table:", *more, sep="\n  ")
    return 1 if more and not others else 0


if __name__ == "__main__":
    main()
