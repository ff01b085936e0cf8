"""On Solana, too, one call that is led to a new place each time is one purchase."""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

import pytest

from tests.adapters.one_request import SHELLS, Ask, name_of
from x402_client import Policy, Wallet
from x402_client.sandbox import Sandbox
from x402_client.testing.adapter.gate import Gate
from x402_client.testing.adapter.redirects import redirecting
from x402_client.testing.adapter.spoiling import drop_after_settling


@pytest.mark.parametrize("shell", SHELLS, ids=name_of)
def test_one_call_is_paid_once_wherever_it_is_led(shell: Ask) -> None:
    with Sandbox(redeliver=True) as sandbox, Gate(urlsplit(sandbox.url).port or 0) as gate:
        sandbox.sell("/goods", "0.01", content=b"the goods", chains="solana")
        start = gate.page("/start", redirecting(lambda turn: f"{gate.url}/goods?{turn}"))
        gate.spoil(drop_after_settling, drop_after_settling)
        wallet = Wallet(solana=sandbox.key("solana"))
        buyer = sandbox.buyer(Policy(per_request="0.05", per_day="1"), wallet=wallet, repeat=())
        follow = {"follow_redirects": True} if "httpx" in shell.__name__ else {}
        for _ in range(2):
            with contextlib.suppress(Exception):
                shell(buyer, "GET", start, **follow)
        answer = shell(buyer, "GET", start, **follow)
        assert answer.content == b"the goods"
        assert len(gate.payments) == 3
        assert len(set(gate.payments)) == len(sandbox.settlements) == 1
        assert buyer.holds() == ()
