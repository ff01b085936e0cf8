"""An outcome names the part that has a fact which was asked of itself."""

from __future__ import annotations

import copy
import pickle

import pytest

from x402_client import Money
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.model.holds import Hold, Outcome
from x402_client.model.offers import Receipt

HOLD = Hold("1", purchase(), order().offer, Money("0.01"), 0.0, money="spent")
PAID = Outcome("spent", HOLD, HOLD.offer, Receipt(True, "0xab", "base"))
#: Facts that people ask an outcome for, and the part that has each.
FACTS = {
    "price": "hold",
    "host": "hold",
    "nonce": "hold",
    "amount": "offer",
    "pay_to": "offer",
    "transaction": "receipt",
}


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_that_a_part_has_is_named_with_that_part(name: str) -> None:
    with pytest.raises(AttributeError) as missing:
        getattr(PAID, name)
    assert str(missing.value) == f"an outcome has no {name!r}; did you mean .{FACTS[name]}.{name}?"
    assert not hasattr(PAID, name)


def test_another_name_is_suggested_as_by_python_itself() -> None:
    name = "recept"
    with pytest.raises(AttributeError, match="an outcome has no 'recept'") as missing:
        getattr(PAID, name)
    assert "did you mean" not in str(missing.value)
    assert (missing.value.name, missing.value.obj) == ("recept", PAID)


def test_it_copies_and_pickles_as_before() -> None:
    assert pickle.loads(pickle.dumps(PAID)) == copy.copy(PAID) == copy.deepcopy(PAID) == PAID
