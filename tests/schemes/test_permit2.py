"""Permit2 payments: recorded vectors, eth-account's own encoder as a witness, and what must not be signed."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.scripted_flow import SIGNER, signature
from tests.schemes.test_exact_evm import addresses, token, uints, witness
from tests.wire.terms import NETWORK, PAYER, SELLER, USDC, entry, quoted
from x402_client import Token
from x402_client.chains.evm import recover
from x402_client.chains.rpc import Rpc
from x402_client.core.asks import Fetch, Holds, SignTyped
from x402_client.core.drive import run
from x402_client.errors import InsufficientFunds
from x402_client.model.holds import CEILING
from x402_client.model.offers import Offer
from x402_client.model.signing import Signed
from x402_client.schemes.exact_evm import ExactEvm
from x402_client.schemes.permit2 import PERMIT2, SPENDERS, typed_data
from x402_client.schemes.upto_evm import UptoEvm

FACILITATOR = "0x" + "fa" * 20
MESSAGE: dict[str, Any] = {
    "from": PAYER,
    "permitted": {"token": USDC, "amount": "10000"},
    "nonce": str(7 << 200),
    "deadline": "1800000000",
}
WITNESS = {
    "exact": {"to": SELLER, "validAfter": "0"},
    "upto": {"to": SELLER, "facilitator": FACILITATOR, "validAfter": "0"},
}
#: Key 0x4646…, the messages above on Base's test network. Digest, then signature.
VECTORS = {
    "exact": (
        "935b95d958084fc564e1308ec327deb9e1313215ed2f3198e10326ab240da1c1",
        "cf1ac7a9de0d9a4ceecb8e2dbef9272936bf6e1ff2935420881a7673401d6dbb"
        "111da9c030a810b103dad1ce395e29fe055999e619c3002c27d8e5c29ad1aed71c",
    ),
    "upto": (
        "f504c726036fa07b5fbf0bd2e0c7a6c33b351572af44c3fdf4aaff6d57dc313c",
        "1b34a2509bfa712bb84e6b41c39b00b5cffa30e0493fc14e6f7252d815d36d93"
        "13416784a3fc75678ab07b0766bcaea151f142fcff685a44fbe4dd93dc3451971c",
    ),
}
SCHEMES = {"exact": ExactEvm, "upto": UptoEvm}
EXTRA: dict[str, dict[str, Any]] = {
    "exact": {"assetTransferMethod": "permit2"},
    "upto": {"assetTransferMethod": "permit2", "facilitatorAddress": FACILITATOR, "name": "USDC", "version": "2"},
}
both = pytest.mark.parametrize("scheme", SCHEMES)


def message(scheme: str) -> dict[str, Any]:
    return MESSAGE | {"spender": SPENDERS[scheme], "witness": WITNESS[scheme]}


def offered(scheme: str, extra: dict[str, Any] | None = None, **changes: Any) -> Offer:
    added = {name: value for name, value in (EXTRA[scheme] | (extra or {})).items() if value is not ...}
    found = quoted(entry(scheme=scheme, extra=added, **changes)).offers[0]
    return replace(found, token=token(NETWORK, USDC))


def sign(offer: Offer, answer: Any = signature, **scheme: Any) -> Signed:
    return run(SCHEMES[offer.scheme](PAYER, **scheme).sign(offer, 600), answer)


@both
def test_recorded_signatures(scheme: str) -> None:
    data = typed_data(scheme, NETWORK, message(scheme))
    signed = SIGNER.sign(data)
    assert (data.digest.hex(), signed.hex()) == VECTORS[scheme]
    assert witness(data.full()) == (data.digest, signed)


@settings(max_examples=40)
@given(st.sampled_from(list(SCHEMES)), st.integers(1, 2**63), addresses, addresses, addresses, uints, uints, uints)
def test_the_hand_packed_digest_is_the_general_one(
    scheme: str, chain: int, asset: str, to: str, facilitator: str, amount: int, nonce: int, deadline: int
) -> None:
    paid = {"to": to, "validAfter": "0"} | ({"facilitator": facilitator} if scheme == "upto" else {})
    changed = {"permitted": {"token": asset, "amount": str(amount)}, "nonce": str(nonce), "deadline": str(deadline)}
    data = typed_data(scheme, f"eip155:{chain}", message(scheme) | changed | {"witness": paid})
    assert witness(data.full())[0] == data.digest
    assert "version" not in data.full()["domain"]
    assert json.loads(json.dumps(data.full())) == data.full()


@both
def test_the_payment_names_the_official_proxy_the_payee_and_the_exact_amount(scheme: str) -> None:
    offer = offered(scheme)
    signed = sign(offer)
    told = signed.payload["permit2Authorization"]
    assert told["spender"] == SPENDERS[scheme]
    assert told["permitted"] == {"token": USDC, "amount": "10000"}
    assert told["witness"] == WITNESS[scheme]
    assert (told["deadline"], told["nonce"], told["from"]) == (str(signed.expires), signed.nonce, PAYER)
    assert all(re.fullmatch("[0-9]+", told[field]) for field in ("nonce", "deadline"))
    raw = bytes.fromhex(signed.payload["signature"][2:])
    assert recover(typed_data(scheme, NETWORK, told).digest, raw) == PAYER
    assert (signed.kind, signed.ceiling) == ((CEILING, 10_000) if scheme == "upto" else ("transfer", None))
    assert signed.proof == "bit"


@both
def test_every_payment_has_a_random_nonce(scheme: str) -> None:
    nonces = {int(sign(offered(scheme)).nonce) for _ in range(50)}
    assert len({nonce >> 8 for nonce in nonces}) == 50


@both
@pytest.mark.parametrize(
    ("changes", "extra", "why"),
    [
        ({"payTo": "0x" + "0" * 40}, {}, "zero address"),
        ({"payTo": PAYER}, {}, "the buyer itself"),
        ({"payTo": USDC}, {}, "token's own contract"),
        ({"payTo": "seller"}, {}, "not an address"),
        ({}, {"spender": "0x" + "ab" * 20}, "extra.spender '0x"),
        ({}, {"permit2Address": "0x" + "ab" * 20}, PERMIT2),
        ({}, {"assetTransferMethod": "erc7710"}, "transfer method 'erc7710' is not supported"),
        ({}, {"paymentFlow": "escrow"}, "payment flow 'escrow' is not supported"),
    ],
)
def test_other_contracts_payees_and_methods_are_refused(
    scheme: str, changes: dict[str, Any], extra: dict[str, Any], why: str
) -> None:
    found = SCHEMES[scheme](PAYER).objection(offered(scheme, extra, **changes))
    assert found is not None
    assert why in found


@both
def test_version_1_has_no_permit2(scheme: str) -> None:
    assert "version 2 of the protocol" in (SCHEMES[scheme](PAYER).objection(offered(scheme).but(version=1)) or "")


@pytest.mark.parametrize(
    ("facilitator", "why"),
    [
        (..., "names no facilitatorAddress"),
        (None, "names no facilitatorAddress"),
        ("", "names no facilitatorAddress"),
        (7, "names no facilitatorAddress"),
        ("0x" + "0" * 40, "the zero address"),
        ("0x1234", "not an address"),
        (USDC.swapcase(), "not an address"),
        (PAYER.lower(), "the buyer itself"),
    ],
)
def test_a_ceiling_for_no_facilitator_is_refused(facilitator: Any, why: str) -> None:
    found = UptoEvm(PAYER).objection(offered("upto", {"facilitatorAddress": facilitator}))
    assert found is not None
    assert why in found


@both
def test_sound_offers_are_signed_and_need_no_eip_3009(scheme: str) -> None:
    bare = Token(NETWORK, USDC, "USDC")
    offer = offered(scheme).but(token=bare)
    assert SCHEMES[scheme](PAYER).objection(offer) is None
    assert SCHEMES[scheme](PAYER).remark(offer) is None
    assert SCHEMES[scheme](PAYER).objection(offered(scheme, {"spender": SPENDERS[scheme].lower()})) is None
    assert sign(offer).payload["permit2Authorization"]["permitted"]["token"] == USDC


def test_a_token_without_a_domain_is_paid_by_permit2_alone() -> None:
    offer = offered("exact", {"assetTransferMethod": "eip3009"}).but(token=Token(NETWORK, USDC, "USDC"))
    assert "paid by Permit2 alone" in (ExactEvm(PAYER).objection(offer) or "")


# --- the allowance


def answering(have: int, block: int = 100) -> Any:
    """Answers as an endpoint whose owner approved this much."""

    def answer(ask: Any) -> Any:
        if isinstance(ask, Fetch):
            return block, have
        return () if isinstance(ask, Holds) else signature(ask)

    return answer


def an_endpoint(network: str) -> Rpc:
    return Rpc(network, ("http://127.0.0.1:9/",))


@both
@pytest.mark.parametrize("have", [0, 9_999])
def test_without_an_allowance_nothing_is_signed_and_the_way_out_is_named(scheme: str, have: int) -> None:
    asked: list[Any] = []

    def answer(ask: Any) -> Any:
        asked.append(type(ask))
        return answering(have)(ask)

    with pytest.raises(InsufficientFunds) as refused:
        sign(offered(scheme), answer, rpc=an_endpoint)
    assert SignTyped not in asked
    assert f"approve({PERMIT2}, 10000) on {USDC}" in refused.value.args[0]
    assert "No approval is ever signed here" in refused.value.args[0]


@both
def test_an_allowance_of_the_price_is_used_without_a_word(scheme: str) -> None:
    before = time.time()
    signed = sign(offered(scheme), answering(10_000), rpc=an_endpoint)
    known_at = signed.evidence["first_block_known_at"]
    assert (signed.remark, signed.evidence) == ("", {"first_block": 100, "first_block_known_at": known_at})
    assert int(before) <= known_at <= time.time()


@both
@pytest.mark.parametrize(("have", "named"), [(10_001, "0.010001 USDC"), (2**256 - 1, "An unlimited amount of USDC")])
def test_an_allowance_beyond_the_price_is_told_once(scheme: str, have: int, named: str) -> None:
    made = SCHEMES[scheme](PAYER, an_endpoint)
    remarks = [run(made.sign(offered(scheme), 600), answering(have)).remark for _ in range(3)]
    assert remarks[0].startswith(named)
    assert "could take it" in remarks[0]
    assert remarks[1:] == ["", ""]


@both
def test_without_an_endpoint_the_seller_alone_looks(scheme: str) -> None:
    signed = sign(offered(scheme), rpc=lambda network: Rpc(network, ()))
    assert signed.evidence == {}
