"""Objects of the model fit on two lines of a terminal, on one line, whatever a seller wrote into them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from x402_client import Money
from x402_client.errors import MoneyState
from x402_client.ledgers.conformance.fixtures import SECRET, order, purchase, signed
from x402_client.model.holds import NEVER, Hold, Outcome
from x402_client.model.hosts import Origin
from x402_client.model.offers import Offer, Quote, Receipt, brief, line
from x402_client.model.signing import Approval

LONG = ["", "x" * 5_000, 'a"b\n\x1b[31m\u202e' * 500, "0x" + "f" * 64, "ü" * 161]
MONEY = [Money("0.01"), Money.of_units(10**90, "USD (test)"), Money.of_units(10**4_000, "EUR")]


def offers(text: str, price: Money | None) -> list[Offer]:
    facts: dict[str, Any] = {"asset": text, "pay_to": text, "scheme": text or "exact", "network": text or "base"}
    plain = replace(order().offer, price=price, amount=10**77, **facts)
    return [plain, replace(plain, reason=text or "it is too dear")]


def holds(text: str, price: Money) -> list[Hold]:
    bought = replace(purchase(), method=text or "GET", url=text, origin=Origin("https", text, 443), keyed=bool(text))
    reserved = Hold(text[:64], bought, offers(text, price)[0], price, 1_795_674_308.0)
    sure = replace(signed(nonce=text), payer=text)
    return [reserved, reserved.but(authorization=sure, state="written_off", money="unknown")]


def everything() -> list[object]:
    found: list[object] = []
    for text, price in product(LONG, MONEY):
        receipts = [None, Receipt(True, text, text, text, 10**80), Receipt(False, error=text), Receipt(True)]
        choices = offers(text, price)
        found += [price, *choices, *offers(text, None), *filter(None, receipts), *holds(text, price)]
        found += [Quote(text, 402, 2, tuple(choices), (text,) * 9, choice) for choice in (None, choices[0])]
        found += [Quote(text, 200), Approval(price, choices[0], text, text, text, text)]
        for hold, receipt in product(holds(text, price), receipts):
            found += [Outcome("unknown", hold, hold.offer, receipt, (text,) * 3), hold.purchase]
            found += [hold.authorization] if hold.authorization else []
    return found


@pytest.mark.parametrize("kind", [Money, Offer, Quote, Receipt, Hold, Outcome, Approval])
def test_a_repr_fits_on_two_lines(kind: type) -> None:
    shown = [repr(thing) for thing in everything() if isinstance(thing, kind)]
    assert len(shown) >= len(MONEY)
    for text in shown:
        assert len(text) <= 160, text
        assert text.isprintable(), text
        assert text[-1] in ">)", text


def test_what_a_hold_is_made_of_fits_too_and_shows_no_payment() -> None:
    for thing in everything():
        assert len(repr(thing)) <= 160
        assert SECRET not in repr(thing)
    assert "for ever" in repr(replace(signed(), expires=NEVER))


def test_what_they_say() -> None:
    offer = replace(order().offer, position=1)
    hold = Hold("a9303f64d915c5ee", purchase(), offer, Money("0.01"), 1_795_674_308.0, "delivered", "spent")
    url = hold.url
    time = "2026-11-26 06:25 UTC"
    assert repr(hold) == f"<Hold a9303f64d915c5ee: 0.01 USD for GET {url}, delivered, money spent, {time}>"
    paid = Outcome("spent", hold, offer, Receipt(True, "0x" + "ab" * 32, "base"))
    assert repr(paid) == f"<Outcome: money spent, 0.01 USD for GET {url}, Receipt settled: 0xababab…ababab on base>"
    doubted = replace(paid, receipt=None, mismatches=("a", "b"))
    assert repr(doubted) == f"<Outcome: money spent, 0.01 USD for GET {url}, no receipt, 2 mismatches>"
    assert repr(Receipt(False, error="no funds")) == '<Receipt not settled: "no funds">'
    assert repr(Receipt(True)) == "<Receipt settled: no transaction named>"
    assert repr(offer) == f"<Offer 1: {offer} to 0xbbbbbb…bbbbbb>"
    refused = replace(offer, reason="it is too dear")
    assert repr(refused) == f"<Offer 1: {offer} to 0xbbbbbb…bbbbbb, not chosen: it is too dear>"
    assert repr(Quote(url, offers=(offer,), choice=offer)) == f"<Quote of {url}: 1 offer, chosen: {offer}>"
    assert repr(Quote(url, offers=(refused, refused))) == f"<Quote of {url}: 2 offers, none acceptable>"
    assert repr(Quote(url, 200)) == f"<Quote of {url}: free>"
    asked = Approval(Money("0.01"), offer, "GET", url, hold.host, "Weather")
    assert repr(asked) == f'<Approval of 0.01 USD for GET {url}, for "Weather">'


@pytest.mark.parametrize(("text", "shown"), [(None, ""), ("short", "short"), ("0x" + "12" * 20, "0x121212…121212")])
def test_long_names_are_shown_by_their_ends(text: str | None, shown: str) -> None:
    assert brief(text) == shown


@pytest.mark.parametrize("length", [1, 159, 160, 161, 1_000])
def test_a_line_keeps_its_last_character(length: int) -> None:
    shown = line("<" + "a" * (length - 2) + ">")
    assert (len(shown), shown[-1]) == (min(max(length, 2), 160), ">")


STATES: list[MoneyState] = ["untouched", "held", "spent", "unknown"]


@pytest.mark.parametrize(("said", "known"), list(product(STATES, STATES)))
def test_an_outcome_and_its_hold_agree_on_the_money(said: MoneyState, known: MoneyState) -> None:
    hold = Hold("1", purchase(), order().offer, Money("0.01"), 0.0, money=known)
    made = Outcome(said, hold, hold.offer)
    assert made.hold == hold.but(money=said)
    assert replace(made, money="spent").hold.money == "spent"
