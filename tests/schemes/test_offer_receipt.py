"""Who signed an offer or a receipt: vectors of the official TypeScript package 2.27, and what is altered in them."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from x402_client.core import run
from x402_client.model.statements import Statement
from x402_client.schemes.did_web import DidDocuments
from x402_client.schemes.offer_receipt import OfferReceipts, typed_digest
from x402_client.schemes.seller_keys import SellerKey, key_of_did, key_of_jwk
from x402_client.wire.statements import OFFER, RECEIPT, read_statement

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "offer_receipt_vectors.json").read_text("utf-8"))
PAYEE = VECTORS["eip712"]["address"]
JWS = [name for name in VECTORS if name != "eip712"]
STRANGER = "0x" + "44" * 20


def read(name: str, kind: str = "offer") -> Statement:
    return read_statement(VECTORS[name][kind], OFFER if kind == "offer" else RECEIPT)


def checked(statement: Statement, *trusted: str, pay_to: str = PAYEE, documents: Any = None) -> Statement:
    checks = OfferReceipts(trusted, documents)
    return run(checks.checked(statement, pay_to), lambda ask: ask.read())


def with_kid(name: str, kid: object, **more: object) -> Statement:
    """The same JWS under another header, which its signature does not cover."""
    raw = VECTORS[name]["offer"]
    head, rest = raw["signature"].split(".", 1)
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    altered = json.dumps({**header, "kid": kid, **more}).encode()
    return read_statement(
        {**raw, "signature": base64.urlsafe_b64encode(altered).decode().rstrip("=") + "." + rest}, OFFER
    )


@pytest.mark.parametrize("kind", ["offer", "receipt", "withheld"])
def test_an_address_signed_typed_data(kind: str) -> None:
    statement = read("eip712", kind)
    found = checked(statement)
    assert (found.signed_by, found.signer, found.problems) == ("payee", PAYEE, ())
    assert found.vouched
    assert checked(statement, pay_to=STRANGER).signed_by == "stranger"
    assert checked(statement, PAYEE.lower(), pay_to=STRANGER).signed_by == "trusted"
    assert not checked(statement, pay_to=STRANGER).vouched


@pytest.mark.parametrize("kind", ["offer", "receipt"])
def test_the_digest_is_that_of_eth_account(kind: str) -> None:
    payload = VECTORS["eip712"][kind]["payload"]
    domain = {"name": f"x402 {kind}", "version": "1", "chainId": 1}
    types = {
        kind.title(): [
            {"name": name, "type": "uint256" if type(value) is int else "string"} for name, value in payload.items()
        ]
    }
    message = encode_typed_data(domain, types, payload)
    assert Account._recover_hash(typed_digest(payload), signature=VECTORS["eip712"][kind]["signature"]) == PAYEE
    assert Account.recover_message(message, signature=VECTORS["eip712"][kind]["signature"]) == PAYEE


def test_another_amount_is_another_signer() -> None:
    raw = VECTORS["eip712"]["offer"]
    altered = read_statement({**raw, "payload": {**raw["payload"], "amount": "10001"}}, OFFER)
    assert checked(altered).signed_by == "stranger"


@pytest.mark.parametrize("last", ["00", "01"])
def test_a_recovery_number_from_zero_is_read(last: str) -> None:
    raw = VECTORS["eip712"]["offer"]
    signers = {
        checked(read_statement({**raw, "signature": raw["signature"][:-2] + v}, OFFER)).signer
        for v in (last, f"{int(last) + 27:x}")
    }
    assert len(signers) == 1


def test_bytes_that_are_no_signature_are_forged_and_a_contract_is_not_judged() -> None:
    raw = VECTORS["eip712"]["offer"]
    assert checked(read_statement({**raw, "signature": "0x" + "ff" * 65}, OFFER)).signed_by == "forged"
    contract = checked(read_statement({**raw, "signature": "0x" + "ab" * 97}, OFFER))
    assert contract.signed_by == "unchecked"
    assert contract.problems == ("its signature was not checked: it has 97 bytes, and only those of 65 are known here",)


@pytest.mark.parametrize("kind", ["offer", "receipt"])
@pytest.mark.parametrize("name", JWS)
def test_a_key_signed_a_jws(name: str, kind: str) -> None:
    statement, did = read(name, kind), VECTORS[name]["kid"].partition("#")[0]
    assert (checked(statement).signed_by, checked(statement).signer) == ("stranger", did)
    assert checked(statement, did).signed_by == "trusted"
    account = key_of_did(did).account
    assert checked(statement, pay_to=account or STRANGER).signed_by == ("payee" if account else "stranger")


@pytest.mark.parametrize("name", JWS)
def test_a_jws_that_was_changed_is_forged(name: str) -> None:
    raw = VECTORS[name]["offer"]
    head, body, signature = raw["signature"].split(".")
    payload = json.loads(base64.urlsafe_b64decode(body + "=="))
    altered = base64.urlsafe_b64encode(json.dumps({**payload, "payTo": STRANGER}).encode()).decode().rstrip("=")
    found = checked(read_statement({**raw, "signature": f"{head}.{altered}.{signature}"}, OFFER))
    assert found.signed_by == "forged"
    assert found.payload["payTo"] == STRANGER
    cut = checked(read_statement({**raw, "signature": f"{head}.{body}.{signature[:40]}"}, OFFER))
    assert cut.signed_by == "forged"


def test_another_algorithm_than_that_of_the_key_is_forged() -> None:
    kid = VECTORS["ES256 did:key"]["kid"]
    assert checked(with_kid("ES256K did:key", kid)).signed_by == "forged"


@pytest.mark.parametrize(
    ("kid", "more", "why"),
    [
        (None, {}, "its header names no kid"),
        ("did:key:z6Mk", {"crit": ["exp"]}, "that has to be understood"),
        ("did:key:z6Mk", {"alg": "none"}, "its algorithm none is none of EdDSA"),
        ("did:key:z6Mk", {"alg": "HS256"}, "its algorithm HS256 is none of EdDSA"),
        ("did:key:z6Mk", {}, "its key is none of Ed25519, P-256 or secp256k1"),
        ("did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBmf", {}, "its key is no"),
        ("did:jwk:e30", {}, "its key is none of"),
        ("did:jwk:!!", {}, "its key is not base64"),
        ("did:jwk:eyJrdHkiOiJFQyJ9x", {}, "its key is"),
        ("did:pkh:eip155:1:0x00", {}, "it is no did:key and no did:jwk"),
        ("https://keys.example/1", {}, "it is no did:key and no did:jwk"),
        ("did:web:keys.example", {}, "is fetched only where Policy(seller_keys=[...]) lists that name"),
    ],
)
def test_what_cannot_be_checked_says_why(kid: object, more: dict[str, object], why: str) -> None:
    found = checked(with_kid("EdDSA did:key", kid, **more))
    assert found.signed_by == "unchecked"
    assert why in found.problems[0]


def test_a_did_web_that_is_listed_is_fetched_once() -> None:
    name, asked = "did:web:keys.example", list[str]()
    jwk = json.loads(base64.urlsafe_b64decode(VECTORS["ES256 did:jwk"]["kid"][8:].partition("#")[0] + "=="))
    document = {"id": name, "verificationMethod": [{"id": f"{name}#k", "publicKeyJwk": jwk}]}

    def fetch(url: str) -> bytes:
        asked.append(url)
        return json.dumps(document).encode()

    documents = DidDocuments(fetch)
    raw = with_kid("ES256 did:jwk", f"{name}#k")
    found = [checked(raw, name, documents=documents) for _ in range(2)]
    assert [one.signed_by for one in found] == ["forged", "forged"], "the header that names it is signed, too"
    assert asked == ["https://keys.example/.well-known/did.json"]
    assert checked(with_kid("ES256 did:jwk", f"{name}#other"), name, documents=documents).problems == (
        "its signature was not checked: its document lists no such key",
    )


@pytest.mark.parametrize(
    "jwk", [None, {}, {"kty": "oct", "k": "AA"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]
)
def test_other_keys_are_not_read(jwk: object) -> None:
    with pytest.raises(ValueError, match="key"):
        key_of_jwk(jwk)


@given(st.text(max_size=60))
def test_no_identifier_breaks_it(text: str) -> None:
    for did in (text, f"did:key:{text}", f"did:key:z{text}", f"did:jwk:{text}", f"did:web:{text}"):
        with contextlib.suppress(ValueError):  # all else would fail the test
            assert key_of_did(did).public


HEADS = st.sampled_from(["did:key:z", "did:key:", "did:jwk:", "did:web:", ""])


@given(
    HEADS,
    st.text(max_size=60),
    st.sampled_from(["EdDSA", "ES256", "ES256K", "RS256", "", 7, None]),
    st.binary(max_size=80),
)
def test_no_signature_breaks_a_check(head: str, rest: str, algorithm: object, signature: bytes) -> None:
    parts = ({"alg": algorithm, "kid": head + rest}, VECTORS["eip712"]["offer"]["payload"])
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    last = base64.urlsafe_b64encode(signature or b"0").decode().rstrip("=")
    found = checked(read_statement({"format": "jws", "signature": ".".join((*texts, last))}, OFFER))
    assert found.signed_by in ("forged", "unchecked")
    typed = {**VECTORS["eip712"]["offer"], "signature": "0x" + (signature or b"0").hex()}
    assert checked(read_statement(typed, OFFER)).signed_by in ("forged", "unchecked", "stranger")


def test_an_error_of_a_library_is_a_reason() -> None:
    class Fails(DidDocuments):
        def key(self, kid: str) -> SellerKey:
            raise TypeError("odd")

    found = checked(with_kid("ES256 did:jwk", "did:web:keys.example"), "did:web:keys.example", documents=Fails())
    assert (found.signed_by, found.problems) == ("unchecked", ("its signature was not checked: TypeError",))
