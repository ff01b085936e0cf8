"""The adversary machine over one ledger. By hand: ``python -m tests.promises.adversary --seconds 3600``."""

from __future__ import annotations

import pytest

from .suite import SECONDS, check


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(SECONDS + 300)
def test_no_promise_is_broken_by_sellers_callers_or_machines() -> None:
    check("postgres")
