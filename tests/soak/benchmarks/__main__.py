"""``python -m tests.soak.benchmarks [part ...] [--quick] [--write]``: every figure of the manual's table, in minutes.

Contenders take turns, round by round, and figures are medians and ratios within a run: the machine may be shared.
``--write`` puts the table into the manual.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from . import curves, footprint, ledgers, paying, profile, report, sizes, spending

PARTS: dict[str, Callable[[float], list[report.Row]]] = {
    "retries": paying.retries,
    "freezes": paying.freezes,
    "payments": spending.payments,
    "libraries": spending.libraries,
    "free": footprint.free,
    "imports": footprint.imports,
    "growth": footprint.growth,
    "ledgers": ledgers.steps,
    "history": ledgers.history,
}
CURVES: dict[str, Callable[[float], str]] = {
    "offers": curves.offers,
    "tasks": curves.tasks,
    "sizes": sizes.sizes,
    "profile": profile.profile,
}
_QUICK = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS, *CURVES], help="all of them if none is named")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for trying it out")
    parser.add_argument("--write", action="store_true", help="put the result into the manual")
    said = parser.parse_args()
    scale = _QUICK if said.quick else 1.0
    rows: list[report.Row] = []
    shown: list[str] = []
    for name in said.parts or [*PARTS, *CURVES]:
        started = time.monotonic()
        if name in PARTS:
            rows += PARTS[name](scale)
        else:
            shown.append(CURVES[name](scale))
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    text = "\n\n".join([*([report.table(rows)] if rows else []), *shown])
    print(text)
    if said.write:
        report.write(text)


if __name__ == "__main__":
    main()
