"""The adversary machine over each ledger. By hand, for an hour: ``python -m tests.promises.adversary --seconds 3600``.

X402_ADVERSARY_SECONDS is how long it looks on each ledger, X402_ADVERSARY_SEED where it begins.
"""

from __future__ import annotations

import os

import pytest

from .found import kept
from .hunt import hunt
from .machines import MACHINES

SECONDS = float(os.environ.get("X402_ADVERSARY_SECONDS", "40"))
SEED = int(os.environ.get("X402_ADVERSARY_SEED", "0"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("ledger", sorted(MACHINES))
def test_no_promise_is_broken_by_sellers_callers_or_machines(ledger: str) -> None:
    failure = next(iter(hunt(ledger, SECONDS, kept(ledger), SEED)), None)
    assert failure is None, f"{failure}"
