"""Before signing, an offer must hold: each line of the list as a case, through every shell and in both versions."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from typing import Any

import pytest

from tests.adapters.cash_register import PAY_TO, PAYER, USDC
from tests.adapters.drivers import Driver
from tests.adapters.scripted_server import Server
from x402_client import Policy, errors
from x402_client.events import Warned

from .hostile_seller import GOODS, Case, Till402, asking, offer, opened, terms

SEPOLIA_USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
UNKNOWN = "0x" + "ab" * 20
SOMEBODY = "0x52908400098527886E0F7030069857D2E4169EE7"
EXTRA = {"name": "USD Coin", "version": "2"}
Refused, Unreadable, Unsupported = errors.NoAcceptableOffer, errors.MalformedQuote, errors.UnsupportedVersion

#: What is changed in a sound offer, and why it is then not paid.
REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "amount zero": ({"amount": "0"}, Refused, "asks for nothing"),
    "amount zero as a number": ({"amount": 0}, Refused, "asks for nothing"),
    "a negative amount": ({"amount": "-10000"}, Unreadable, "decimal number"),
    "a signed amount": ({"amount": "+10000"}, Unreadable, "decimal number"),
    "an exponent": ({"amount": "1e4"}, Unreadable, "decimal number"),
    "leading zeros": ({"amount": "0010000"}, Unreadable, "decimal number"),
    "a point": ({"amount": "10000.0"}, Unreadable, "decimal number"),
    "white space": ({"amount": " 10000"}, Unreadable, "decimal number"),
    "a line break": ({"amount": "10000\n"}, Unreadable, "decimal number"),
    "an underscore": ({"amount": "10_000"}, Unreadable, "decimal number"),
    "hexadecimal": ({"amount": "0x2710"}, Unreadable, "decimal number"),
    "digits that are not ASCII": ({"amount": "１００００"}, Unreadable, "decimal number"),
    "no digits": ({"amount": ""}, Unreadable, "decimal number"),
    "a float": ({"amount": 10000.0}, Unreadable, "whole number"),
    "a truth": ({"amount": True}, Unreadable, "whole number"),
    "a list": ({"amount": ["10000"]}, Unreadable, "whole number"),
    "no amount": ({"amount": ...}, Unreadable, "names no amount"),
    "two amounts": ({"amount": "10000", "other": "1"}, Unreadable, "two different amounts"),
    "above 2^256": ({"amount": str(2**256)}, Unreadable, "out of range"),
    "all there is": ({"amount": str(2**256 - 1)}, errors.TooExpensive, "one payment may cost 0.05 USD"),
    "a millionth too much": ({"amount": "50001"}, errors.TooExpensive, "one payment may cost 0.05 USD"),
    "payTo zero": ({"payTo": "0x" + "0" * 40}, Refused, "payTo is the zero address"),
    "payTo ourselves": ({"payTo": PAYER}, Refused, "payTo is the buyer itself"),
    "payTo ourselves in other letters": ({"payTo": PAYER.lower()}, Refused, "payTo is the buyer itself"),
    "payTo the token": ({"payTo": USDC}, Refused, "payTo is the token's own contract"),
    "payTo with a wrong checksum": ({"payTo": PAY_TO.swapcase().replace("X", "x")}, Refused, "is not an address"),
    "payTo a name": ({"payTo": "seller.eth"}, Refused, "is not an address"),
    "payTo too long": ({"payTo": PAY_TO + "00"}, Refused, "is not an address"),
    "payTo with a space": ({"payTo": PAY_TO + " "}, Refused, "is not an address"),
    "payTo on another chain": ({"payTo": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"}, Refused, "is not an address"),
    "payTo as an object": ({"payTo": {"0": PAY_TO}}, Unreadable, "payTo"),
    "an unknown token": ({"asset": UNKNOWN}, Refused, "is not a token this buyer knows"),
    "an unknown token named USDC": ({"asset": UNKNOWN, "extra": EXTRA}, Refused, "is not a token this buyer knows"),
    "a token of another network": ({"asset": SEPOLIA_USDC}, Refused, "is not a token this buyer knows"),
    "a symbol with a Cyrillic letter": ({"asset": "USD\u0421"}, Refused, "is not a token this buyer knows"),
    "an unknown network": ({"network": "moon"}, Refused, "is not a token this buyer knows"),
    "a network with a zero before it": ({"network": "eip155:08453"}, Refused, "is not a token this buyer knows"),
    "an unknown scheme": ({"scheme": "subscription"}, Refused, "'subscription' is not supported"),
    "upto": ({"scheme": "upto"}, Refused, "names no facilitatorAddress|is of version 2"),
    "batch-settlement": ({"scheme": "batch-settlement"}, Refused, "'batch-settlement' is not supported"),
    "the scheme in other letters": ({"scheme": "Exact"}, Refused, "'Exact' is not supported"),
    "Permit2 for another spender": (
        {"extra": EXTRA | {"assetTransferMethod": "permit2", "spender": "0x" + "ab" * 20}},
        Refused,
        "the only contract that is signed|is of version 2",
    ),
    "ERC-7710": ({"extra": EXTRA | {"assetTransferMethod": "erc7710"}}, Refused, "'erc7710' is not supported"),
    "an unknown transfer method": ({"extra": EXTRA | {"assetTransferMethod": "approve"}}, Refused, "'approve'"),
    "a transfer method that is no word": ({"extra": {"assetTransferMethod": {"a": 1}}}, Refused, "transfer method"),
    "escrow": ({"extra": EXTRA | {"paymentFlow": "escrow"}}, Refused, "payment flow 'escrow' is not supported"),
    "another flow": ({"extra": EXTRA | {"paymentFlow": "Upfront"}}, Refused, "'Upfront' is not supported; auth"),
    "Circle's Gateway": (
        {"extra": {"name": "GatewayWalletBatched", "verifyingContract": "0x77777777Dcc4d5A8B6E418Fd04D8997ef11000eE"}},
        Refused, "it pays through Circle's Gateway",
    ),
    "a validity below zero": ({"maxTimeoutSeconds": -1}, Unreadable, "maxTimeoutSeconds"),
    "a validity that is a truth": ({"maxTimeoutSeconds": True}, Unreadable, "maxTimeoutSeconds"),
}  # fmt: skip

#: What is changed in a sound offer, and what is signed then.
PAID: dict[str, tuple[dict[str, Any], int, str]] = {
    "as it is": ({}, 10_000, PAY_TO),
    "one unit": ({"amount": "1"}, 1, PAY_TO),
    "a JSON integer": ({"amount": 10_000}, 10_000, PAY_TO),
    "the limit itself": ({"amount": "50000"}, 50_000, PAY_TO),
    "two amounts that agree": ({"amount": "10000", "maxAmountRequired": 10_000}, 10_000, PAY_TO),
    "payTo in small letters": ({"payTo": PAY_TO.lower()}, 10_000, PAY_TO.lower()),
    "another payTo": ({"payTo": SOMEBODY}, 10_000, SOMEBODY),
    "upfront": ({"extra": EXTRA | {"paymentFlow": "upfront"}}, 10_000, PAY_TO),
    "a symbol for the token": ({"asset": "usdc"}, 10_000, PAY_TO),
    "valid for ten years": ({"maxTimeoutSeconds": 315_360_000}, 10_000, PAY_TO),
    "valid for no time": ({"maxTimeoutSeconds": 0}, 10_000, PAY_TO),
    "valid for as long as nobody says": ({"maxTimeoutSeconds": ...}, 10_000, PAY_TO),
    "another domain": ({"extra": {"name": "Tether", "version": "7"}}, 10_000, PAY_TO),
    "a domain of other types": ({"extra": {"name": ["USDC"], "version": 2}}, 10_000, PAY_TO),
    "another contract's domain": ({"extra": EXTRA | {"verifyingContract": UNKNOWN, "chainId": 1}}, 10_000, PAY_TO),
    "a validity of its own": ({"extra": EXTRA | {"validBefore": 2**60, "nonce": "0x00"}}, 10_000, PAY_TO),
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("changes", "kind", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(
    shell: Driver, server: Server, version: int, changes: dict[str, Any], kind: type[Exception], reason: str
) -> None:
    asked = offer(version, **changes)
    if "other" in asked:
        asked["amount" if version == 1 else "maxAmountRequired"] = asked.pop("other")
    till = Till402(asking(version, terms(version, asked)))
    case = Case(shell, server)
    with pytest.raises(kind, match=reason) as caught:
        case.get(server.on("/case", till))
    assert getattr(caught.value, "money", None) == "untouched"
    case.nothing_left(till)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("changes", "amount", "to"), PAID.values(), ids=PAID)
def test_paid_exactly_once(
    shell: Driver, server: Server, version: int, changes: dict[str, Any], amount: int, to: str
) -> None:
    till = Till402(asking(version, terms(version, offer(version, **changes))))
    case = Case(shell, server)
    assert case.get(server.on("/case", till)).content == GOODS
    payment = case.one_payment(till, amount, to)
    seconds = changes.get("maxTimeoutSeconds", 60)
    expected = 600 if seconds == 315_360_000 else 60
    left = int(payment["payload"]["authorization"]["validBefore"]) - time.time()
    assert expected - 30 < left <= expected
    noted = [event.problem for event in case.events if isinstance(event, Warned)]
    theirs = changes.get("extra", EXTRA)
    assert bool(noted) is ((theirs.get("name"), theirs.get("version")) != ("USD Coin", "2"))
    assert not noted or "The seller names the token's EIP-712 domain" in noted[0]
    if version == 2:
        assert payment["accepted"] == offer(2, **changes)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"pay_to": SOMEBODY}, "is not an address pinned"),
        ({"networks": ["base-sepolia"]}, "is not among the allowed ones"),
        ({"assets": ["EURC"]}, "is not among the allowed assets"),
        ({"per_request": "0.009999"}, "one payment may cost 0.009999 USD"),
        ({"per_request": "1 EUR"}, "no limit of the policy for this host is in USD"),
    ],
)
def test_refused_by_the_users_own_word(shell: Driver, server: Server, policy: dict[str, Any], reason: str) -> None:
    till = Till402(asking(2, terms(2, offer())))
    case = Case(shell, server, policy=Policy(**{"per_request": "1", **policy}))
    with pytest.raises(Refused, match=reason):
        case.get(server.on("/case", till))
    case.nothing_left(till)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (3, Unsupported), (0, Unsupported), (-1, Unsupported), (10**30, Unsupported), ("2", Unreadable),
        (True, Unreadable), (2.0, Unreadable), (None, Unreadable), ([2], Unreadable),
    ],
)  # fmt: skip
def test_a_version_that_nobody_knows(shell: Driver, server: Server, said: Any, kind: type[Exception]) -> None:
    till = Till402(asking(2, terms(2, offer()) | {"x402Version": said}))
    case = Case(shell, server)
    with pytest.raises(kind, match="version"):
        case.get(server.on("/case", till))
    case.nothing_left(till)


SOUND = json.dumps(terms(2, offer())).encode()
TEXTS: dict[str, tuple[bytes, str]] = {
    "a key twice": (SOUND.replace(b'"payTo"', b'"payTo": "%s", "payTo"' % SOMEBODY.encode()), "appears twice"),
    "a key twice by an escape": (SOUND.replace(b'"payTo"', b'"pay\\u0054o": "x", "payTo"'), "appears twice"),
    "NaN": (SOUND.replace(b'"10000"', b"NaN"), "not JSON"),
    "infinity": (SOUND.replace(b'"10000"', b"1e999"), "out of the range"),
    "a lone surrogate": (SOUND.replace(b"pay first", b"\\ud800"), "not JSON"),
    "half a document": (SOUND[:-30], "not JSON"),
    "two documents": (SOUND + SOUND, "not JSON"),
    "5,000 levels": (SOUND.replace(b'"pay first"', b"[" * 5000 + b"]" * 5000), "nested deeper"),
    "33 levels": (SOUND.replace(b'"pay first"', b"[" * 33 + b"]" * 33), "nested deeper than 32"),
    "an integer of 5,000 digits": (SOUND.replace(b'"10000"', b"9" * 5000), "not JSON"),
    "no offers": (json.dumps(terms(2)).encode(), "names no offers"),
    "offers that are none": (json.dumps(terms(2, None, 7, "x", [])).encode(), "no offer that can be read"),
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("text", "reason"), TEXTS.values(), ids=TEXTS)
def test_what_has_no_single_meaning(shell: Driver, server: Server, version: int, text: bytes, reason: str) -> None:
    till = Till402(asking(version, text.replace(b'"x402Version": 2', b'"x402Version": %d' % version)))
    case = Case(shell, server)
    with pytest.raises(Unreadable, match=reason):
        case.get(server.on("/case", till))
    case.nothing_left(till)


def test_ten_thousand_offers(shell: Driver, server: Server) -> None:
    till = Till402(asking(1, terms(1, *[{"a": 1}] * 10_000)))
    case = Case(shell, server)
    with pytest.raises(Unreadable, match="10000 offers; 1000 are read"):
        case.get(server.on("/case", till))
    case.nothing_left(till)


@pytest.mark.parametrize("version", [1, 2])
def test_the_one_good_offer_among_bad_ones(shell: Driver, server: Server, version: int) -> None:
    bad = [7, {}, offer(version, amount="-1"), offer(version, payTo="0x0"), offer(version, amount="99999999")]
    cheap = offer(version, amount="1", extra={"name": "GatewayWalletBatched", "version": "1"})
    till = Till402(asking(version, terms(version, *bad, cheap, offer(version))))
    case = Case(shell, server)
    assert case.get(server.on("/case", till)).content == GOODS
    case.one_payment(till)


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"extra": EXTRA | {"padding": "x" * 20_000}}, {}),
        ({}, {"extensions": {"padding": {"info": "x" * 20_000}}}),
        ({}, {"resource": {"url": "x" * 20_000}}),
    ],
    ids=["extra", "extensions", "resource"],
)
def test_what_is_echoed_is_bounded(
    shell: Driver, server: Server, changes: dict[str, Any], more: dict[str, Any]
) -> None:
    till = Till402(asking(2, terms(2, offer(2, **changes), **more)))
    case = Case(shell, server)
    with pytest.raises(Refused, match="would have to be echoed in a header of about"):
        case.get(server.on("/case", till))
    case.nothing_left(till)


def test_a_server_that_asks_for_more_signatures_gets_one_payment(shell: Driver, server: Server) -> None:
    """Approvals, log-ins and sponsored gas: declared, echoed as they came, and never signed."""
    extensions = {
        "eip2612GasSponsoring": {"info": {"spender": SOMEBODY, "amount": str(2**256 - 1)}},
        "erc20ApprovalGasSponsoring": {"info": {"spender": SOMEBODY}},
        "sign-in-with-x": {"info": {"domain": "bank.example", "uri": "https://bank.example", "nonce": "1"}},
        "offer-receipt": {"info": {"offers": []}},
    }
    till = Till402(asking(2, terms(2, offer(), extensions=extensions)))
    case = Case(shell, server)
    assert case.get(server.on("/case", till)).content == GOODS
    payment = case.one_payment(till)
    assert payment["extensions"] == extensions
    assert not any(seen.header("sign-in-with-x") for seen in server.requests)


@pytest.mark.parametrize("version", [1, 2])
def test_one_that_is_never_content_gets_one_authorization(shell: Driver, server: Server, version: int) -> None:
    """With any answer, and asked any number of times: the same header, and one signature."""
    challenge = asking(version, terms(version, offer(version)))
    answers = [challenge, lambda ex: ex.cut(), lambda ex: ex.answer(500), lambda ex: ex.answer(402, b"no"), challenge]
    till = Till402(challenge, lambda ex: (answers.pop(0) if answers else lambda e: e.answer(200, GOODS))(ex))
    case = Case(shell, server, bounds={"repeat": ()})
    url = server.on("/case", till)
    rejected, unknown = errors.PaymentRejected, errors.PaymentOutcomeUnknown
    for kind in (rejected, unknown, None, rejected, rejected):
        with pytest.raises(kind) if kind else nullcontext():
            case.get(url)
    assert case.get(url).content == GOODS
    assert len(till.handed) == 6
    case.one_payment(till)
    assert opened(till.handed[-1])["x402Version"] == version
