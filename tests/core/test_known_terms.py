"""Which terms are remembered after a delivery, and for how many places."""

from __future__ import annotations

from typing import Any

import pytest

from x402_client.core.known_terms import _PLACES, _PRODUCTS, Memory, Terms, lasting
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
        memory.learn(f"p{number}", "weather", some)
        memory.refused(f"GET https://r{number}/", "weather", f"https://r{number}")
    assert len(memory._terms) == len(memory._strikes) == _PLACES
    assert memory.recall("p0", "weather") is None
    assert memory.recall(f"p{_PLACES + 49}", "weather") is some


def test_a_place_with_ever_new_products_keeps_the_latest() -> None:
    memory, some = Memory(), terms()
    memory.learn("GET https://x/", b"", some)
    for number in range(10 * _PRODUCTS):
        memory.learn("POST https://x/", str(number), some)
        memory.learn("POST https://x/", "0", some)
    assert len(memory._terms["POST https://x/"]) == _PRODUCTS
    assert memory.recall("POST https://x/", "0") is memory.recall("GET https://x/", b"") is some
    assert memory.recall("POST https://x/", "1") is None


def test_a_product_is_forgotten_alone_and_refused_with_all_of_its_seller() -> None:
    memory, some = Memory(), terms()
    places = ("POST https://x/a", "POST https://x/b", "POST https://x.y/a")
    for place in places:
        for product in ("weather", "report"):
            memory.learn(place, product, some)
    memory.learn(places[0], "weather", None)
    assert [memory.recall(places[0], one) for one in ("weather", "report")] == [None, some]
    memory.learn(places[0], "report", None)
    assert not memory.knows(places[0])
    for _ in range(2):
        memory.refused(places[0], "weather", "https://x")
    assert [memory.knows(place) for place in places] == [False, False, True]
    for product in ("weather", "report"):
        memory.learn(places[0], product, some)
    assert [memory.recall(places[0], one) for one in ("weather", "report")] == [None, some]


def test_what_has_no_product_is_neither_kept_nor_found() -> None:
    memory = Memory()
    memory.learn("POST https://x/", None, terms())
    assert not memory.knows("POST https://x/")
    assert memory.recall("POST https://x/", None) is None
