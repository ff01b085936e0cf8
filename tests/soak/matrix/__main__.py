"""Pays sellers by other people on local chains and prints a table: ``python -m tests.soak.matrix [--write] [word...]``.

Words choose sellers by their names; ``--write`` puts the table into the manual. The first run installs the sellers
into `.environments`, which takes minutes. What this machine cannot run is left out, and the table says why.
"""

from __future__ import annotations

import argparse
import sys

from tests.adapters.one_request import SHELLS, name_of

from ..page import put
from .rows import ROWS
from .run import run
from .table import END, START, text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.matrix", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into the manual")
    parser.add_argument("words", nargs="*", help="only sellers with one of these in their names")
    asked = parser.parse_args(arguments)
    if asked.write and asked.words:
        parser.error("--write needs all sellers")
    rows = [row for row in ROWS if not asked.words or any(word in row.name for word in asked.words)]
    results = run(rows, lambda line: print(line, file=sys.stderr, flush=True))
    table = text(results, [name_of(shell) for shell in SHELLS])
    print(table)
    if asked.write:
        put(table, START, END)
    return 0 if all(result.as_expected for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
