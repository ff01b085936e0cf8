"""The fuzzer's first rounds. By hand it runs for as long as one likes: ``python -m tests.promises.fuzz 600``."""

from __future__ import annotations

from itertools import islice

import pytest

from x402_client.chains.tokens import KNOWN
from x402_client.model.offers import Offer

from .fuzz import SOUND, _check_offer, look, rounds


@pytest.mark.parametrize("seed", range(4))
def test_broken_documents(seed: int) -> None:
    for data in islice(rounds(seed), 500):
        look(data)


def test_the_fuzzer_would_notice() -> None:
    """Sound offers pass its own check, and what it looks for fails it."""
    raw = SOUND[1]["accepts"][0]

    def offer(**changes: object) -> Offer:
        token = next(token for token in KNOWN if token.address == raw["asset"])
        return Offer(1, 2, "exact", token.network, 10_000, raw["asset"], raw["payTo"], token=token, raw=raw | changes)

    _check_offer(offer())
    for wrong in (
        {"amount": "010000"}, {"amount": "9999"}, {"amount": 10_000.0}, {"scheme": "upto"}, {"payTo": "0x" + "0" * 40},
        {"payTo": "seller.eth"}, {"asset": "0x" + "ab" * 20}, {"network": "celo"}, {"extra": {"paymentFlow": "escrow"}},
        {"maxAmountRequired": "1"},
    ):  # fmt: skip
        with pytest.raises((AssertionError, TypeError)):
            _check_offer(offer(**wrong))
