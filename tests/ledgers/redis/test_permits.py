"""Permits of programs that share a Redis: one nonce is signed once, by one of them."""

from __future__ import annotations

import pytest

from tests.sandbox.test_ceilings import POLICY, by_httpx
from x402_client import errors
from x402_client.ledgers.redis import RedisLedger
from x402_client.model.budgets import PERMITS
from x402_client.sandbox import Sandbox

from .server import Server


def test_one_of_two_programs_signs_a_nonce_and_the_record_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("x402_client.core.other_offers._PATIENCE", (0.01,) * 2)
    with Sandbox() as sandbox:
        wallet = sandbox.wallet()
        one, two = (
            sandbox.buyer(POLICY, wallet=wallet, ledger=RedisLedger(server.url), repeat=(), purse=purse)
            for purse in ("one", "two")
        )
        sandbox.approve(wallet, "0")
        with pytest.raises(errors.PaymentOutcomeUnknown):
            by_httpx(one, f"{sandbox.url}/sponsored/permit2/fault/drop-before-settling/weather")
        with pytest.raises(errors.PaymentNotSent, match="Another permit of this wallet"):
            by_httpx(two, f"{sandbox.url}/sponsored/permit2/report")
        [signed] = two.exposures()
        assert signed.kind == "permit"
        assert by_httpx(one, f"{sandbox.url}/sponsored/permit2/fault/drop-before-settling/weather").money == "spent"
        assert by_httpx(two, f"{sandbox.url}/sponsored/permit2/report").money == "spent"
        assert (one.exposures(), one.ledger.holds(PERMITS), len(sandbox.settlements)) == ((), (), 2)
        one.close()
        two.close()
