"""Mistyped keywords: what was meant is named, and values, which may be keys, are not."""

from __future__ import annotations

import pytest

from x402_client.model.keywords import near, unexpected

KNOWN = ("per_request", "per_day", "ledger", "purse")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("per_reqest", "per_request"),
        ("per_dya", "per_day"),
        ("legder", "ledger"),
        ("Ledger", "ledger"),
        ("budget", None),
    ],
)
def test_the_nearest_word_is_meant_if_it_is_near(word: str, meant: str | None) -> None:
    assert near(word, KNOWN) == meant


def test_the_error_says_what_was_meant_or_what_there_is() -> None:
    assert str(unexpected("Buyer", {"legder": "k"}, KNOWN)) == (
        "Buyer() got an unexpected keyword argument 'legder'; did you mean ledger?"
    )
    assert str(unexpected("Buyer", ["colour", "zzz"], KNOWN)) == (
        "Buyer() got an unexpected keyword argument 'colour'; known are per_request, per_day, ledger, purse."
    )
