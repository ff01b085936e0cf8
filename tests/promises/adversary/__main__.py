"""Hunts by hand: ``python -m tests.promises.adversary --seconds 3600 --ledger sqlite --seed 1``."""

from __future__ import annotations

import argparse
import logging
import warnings

from .found import kept
from .generate import THEMES
from .hunt import finds, hunt
from .machines import MACHINES


def main() -> int:
    """Print each failure; return 1 if there was one."""
    said = argparse.ArgumentParser(prog="python -m tests.promises.adversary")
    said.add_argument("--seconds", type=float, default=60.0)
    said.add_argument("--ledger", choices=sorted(MACHINES), default="memory")
    said.add_argument("--seed", type=int, default=0, help="the first seed")
    said.add_argument("--only", action="store_true", help="play this one seed")
    said.add_argument("--themes", default="kept", help="separated by commas; kept: all whose rules are")
    said.add_argument("--most", type=int, default=5, help="failures after which it stops")
    given = said.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    alphabet = kept(given.ledger) if given.themes == "kept" else frozenset(given.themes.split(",")) - {""}
    if alphabet - THEMES.keys():
        said.error(f"the themes are {', '.join(THEMES)}")
    if given.only:
        found = finds(given.seed, given.ledger, alphabet, shrink=True)
        print(found)
        return int(found is not None)
    number = 0
    for number, failure in enumerate(hunt(given.ledger, given.seconds, alphabet, given.seed, print), 1):
        print(failure, flush=True)
        if number >= given.most:
            break
    return int(number > 0)


if __name__ == "__main__":
    raise SystemExit(main())
