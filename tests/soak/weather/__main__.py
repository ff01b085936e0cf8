"""``python -m tests.soak.weather [--seconds 600] [--seed N] [--client ours|official|both] [--only fleet,...]
[--write]``.

Fleets of buyers in bad weather, and a judge who reads the chain in the end. The same seed draws the same orders and
the same weather over each; what meets what still depends on the machine.
"""

from __future__ import annotations

import argparse
import secrets
import sys

from ..page import put
from . import table
from .draws import FLEETS, OFFICIALS, Fleet
from .run import Run

DOORS = ("fastapi-v2", "flask-v2", "fastapi-v1", "flask-v1")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.weather", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long it takes in all, but for its start")
    parser.add_argument("--seed", default=str(secrets.randbelow(10**6)), help="of an earlier run, to have it again")
    parser.add_argument("--client", choices=["ours", "official", "both"], default="ours")
    parser.add_argument("--only", default="", help=f"some of {', '.join(fleet.name for fleet in FLEETS)}")
    parser.add_argument("--write", action="store_true", help="put the table into the manual")
    asked = parser.parse_args(arguments)
    if asked.write and (asked.only or asked.client != "both"):
        parser.error("--write needs all fleets, and both clients")
    fleets = chosen(asked.only, asked.client)
    doors = DOORS + ("svm-v2",) * any(fleet.family == "solana" for fleet in fleets)
    line = Line()
    with Run(asked.seed, asked.seconds, fleets, doors, line) as run:
        report = run()
        line.end()
        text = table.text(report)
        print(text)
        broken = table.broken(report)
        for history in broken:
            print(history, file=sys.stderr)
    if asked.write:
        put(text, table.START, table.END)
    return 1 if broken else 0


def chosen(only: str, client: str) -> list[Fleet]:
    names = only.split(",") if only else [fleet.name for fleet in FLEETS]
    if unknown := set(names) - {fleet.name for fleet in FLEETS}:
        raise SystemExit(f"There is no fleet {', '.join(sorted(unknown))}.")
    ours = [fleet for fleet in FLEETS if fleet.name in names and client != "official"]
    families = {fleet.family for fleet in FLEETS if fleet.name in names}
    return ours + [fleet for fleet in OFFICIALS if client != "ours" and fleet.family in families]


class Line:
    """Progress, on one line of a terminal, and now and then where there is none."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, words: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)
        elif self._told % 60 == 0:
            print(words, file=sys.stderr, flush=True)
        self._told += 1

    def end(self) -> None:
        if sys.stderr.isatty():
            print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
