"""The last word on a payment's money: remembered until it is resolved, and never above a ledger's own proof."""

from __future__ import annotations

import pytest

from x402_client.core import last_words
from x402_client.errors import MoneyState
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.model.holds import Hold


def hold(name: str, bought: str = "a", money: MoneyState = "held") -> Hold:
    return Hold(name, purchase(bought), order().offer, order().price, 0.0, "signed", money)


@pytest.mark.parametrize("said", ["held", "spent", "unknown"])
def test_an_unresolved_payment_is_listed_with_what_was_said_last(said: MoneyState) -> None:
    first, same_name_elsewhere = hold(f"one-{said}"), hold(f"one-{said}", "b")
    last_words.note(first.but(money="unknown"))
    last_words.note(first.but(money=said))
    assert last_words.as_told([first, same_name_elsewhere]) == (first.but(money=said), same_name_elsewhere)
    last_words.forget(first)
    last_words.forget(first)
    assert last_words.as_told([first]) == (first,)


def test_what_was_given_back_leaves_no_word_and_a_proof_stands() -> None:
    given_back, proven = hold("two"), hold("three", money="spent")
    last_words.note(given_back.but(money="untouched"))
    last_words.note(proven.but(money="unknown"))
    assert last_words.as_told([given_back, proven]) == (given_back, proven)


def test_the_oldest_words_are_forgotten() -> None:
    many = [hold(f"many-{number}", money="unknown") for number in range(last_words._MOST + 1)]
    for one in many:
        last_words.note(one)
    first, last = last_words.as_told([many[0].but(money="held"), many[-1].but(money="held")])
    assert (first.money, last.money) == ("held", "unknown")
