"""Which terms are remembered after a delivery, and for how many places."""

from __future__ import annotations

from typing import Any

import pytest

from x402_client.core.known_terms import _PLACES, Memory, Terms, lasting
from x402_client.model.offers import Offer, Quote


def terms(**extra: Any) -> Terms | None:
    offer = Offer(1, 2, "exact", "eip155:84532", 1, "0x", "0x", extra=extra.pop("extra", {}))
    return lasting(Quote("https://x/", offers=(offer,) * 100, choice=offer, **extra), offer)


@pytest.mark.parametrize("extra", [{"memo": "order 7"}, {"recentBlockhash": "x"}, {"nonce": 1}])
def test_what_is_made_for_one_payment_is_not_remembered(extra: Any) -> None:
    assert terms(extra=extra) is None


def test_extensions_that_last() -> None:
    assert terms(extensions={"sign-in-with-x": {}}) is None
    found = terms(extensions={"payment-identifier": {}, "bazaar": {}})
    assert found is not None
    assert found.quote.offers == ()


def test_it_is_bounded() -> None:
    memory, some = Memory(), terms()
    for number in range(_PLACES + 50):
        memory.learn(f"p{number}", some)
        memory.refused(f"GET https://r{number}/", f"https://r{number}")
    assert len(memory._terms) == len(memory._strikes) == _PLACES
    assert memory.recall("p0") is None
    assert memory.recall(f"p{_PLACES + 49}") is some
