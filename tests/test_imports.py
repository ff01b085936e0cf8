"""What is imported with us: nothing that is not needed yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("aiohttp", "coincurve", "eth_account", "eth_keys", "httpx2", "py_ecc", "pydantic", "redis", "requests")
HEAVY += ("solders", "sqlite3", "web3")
PAID = """
from x402_client import Buyer, Policy, Wallet
buyer = Buyer(Wallet(evm="0x" + "46" * 32, solana=bytes(range(32))), Policy(per_day="1"), ledger=":memory:")
x402_client.httpx.wrap(httpx.Client(), buyer)
"""


def imported(code: str) -> set[str]:
    shown = f"import sys, httpx, x402_client.httpx\n{code}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(("code", "brought"), [("", set()), (PAID, {"coincurve", "pydantic", "solders"})])
def test_only_what_is_needed_is_imported(code: str, brought: set[str]) -> None:
    assert imported(code) - brought == set()


def test_a_buyer_brings_what_reading_terms_takes() -> None:
    # Imported at the first 402, it would hold up a loop for as long as a hundred payments take.
    assert "pydantic" in imported(PAID)
