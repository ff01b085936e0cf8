"""The machine in the suite: one file for each ledger, so that they run side by side.

X402_ADVERSARY_SECONDS is how long it looks on each ledger, X402_ADVERSARY_SEED where it begins.
"""

from __future__ import annotations

import os

from .found import kept
from .hunt import hunt

SECONDS = float(os.environ.get("X402_ADVERSARY_SECONDS", "15"))
SEED = int(os.environ.get("X402_ADVERSARY_SEED", "0"))


def check(ledger: str) -> None:
    """Look for a script that breaks a promise."""
    failure = next(iter(hunt(ledger, SECONDS, kept(ledger), SEED)), None)
    assert failure is None, f"{failure}"
