"""Sign-in challenges: what is read of them, and the text and header that are written, against the official package's.

The vectors were recorded with ``@x402/extensions`` 2.27.0, which builds its text with ``@signinwithethereum/siwe``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from tests.wire.terms import KEY, NETWORK, URL, challenge, decoded, document, entry, read
from x402_client.chains.evm import personal_digest
from x402_client.errors import MalformedQuote, SigningError
from x402_client.signers.evm import LocalEvmSigner
from x402_client.signers.solana import LocalSolanaSigner
from x402_client.wire.bounds import DEFAULT, Bounds
from x402_client.wire.sign_in import read_sign_in, sign_in_header, sign_in_text

VECTORS = json.loads((Path(__file__).parent / "sign_in_vectors.json").read_text("utf-8"))
SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
EVM_SIGNER = LocalEvmSigner(bytes.fromhex(KEY[2:]))
SOLANA_SIGNER = LocalSolanaSigner(Keypair.from_seed(b"\x46" * 32))


def extension(vector: dict[str, Any]) -> dict[str, Any]:
    return {"sign-in-with-x": {"info": vector["info"], "supportedChains": [{"chainId": vector["chainId"]}]}}


def reason(**changes: Any) -> str | None:
    found = read_sign_in(challenge(**changes))
    assert found is not None
    return found.reason


# --- written


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: f"{one['chainId'][:6]} {len(one['text'])}")
def test_text_and_signature_are_those_of_the_official_package(vector: dict[str, Any]) -> None:
    found = read_sign_in(extension(vector))
    assert found is not None
    assert found.reason is None
    text = sign_in_text(found, vector["chainId"], vector["address"])
    assert text == vector["text"]
    if vector["chainId"].startswith("eip155"):
        signature = "0x" + EVM_SIGNER.sign_text(text.encode()).hex()
    else:
        signature = str(Signature.from_bytes(SOLANA_SIGNER.sign(text.encode())))
    assert signature == vector["signature"]
    name, header = sign_in_header(found, vector["chainId"], vector["address"], signature, DEFAULT)
    said = decoded(header)
    assert name == "SIGN-IN-WITH-X"
    assert said == {
        **vector["info"],
        "chainId": vector["chainId"],
        "type": "eip191" if vector["chainId"].startswith("eip155") else "ed25519",
        "address": vector["address"],
        "signature": vector["signature"],
    }


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: f"{one['chainId'][:6]} {len(one['text'])}")
def test_the_recorded_signatures_are_good_by_other_libraries(vector: dict[str, Any]) -> None:
    text = vector["text"]
    if vector["chainId"].startswith("eip155"):
        message = encode_defunct(text=text)
        assert Account.recover_message(message, signature=vector["signature"]) == vector["address"]
        assert Account.sign_message(message, KEY).message_hash == personal_digest(text.encode())
    else:
        key = Pubkey.from_string(vector["address"])
        assert Signature.from_string(vector["signature"]).verify(key, text.encode())


def test_the_digest_counts_bytes_and_not_letters() -> None:
    text = "Anmelden für Zürich"
    assert Account.sign_message(encode_defunct(text=text), KEY).message_hash == personal_digest(text.encode())


def test_a_header_that_is_too_large_is_not_sent_and_shows_no_signature() -> None:
    found = read_sign_in(challenge())
    assert found is not None
    with pytest.raises(SigningError, match="100 are sent at most") as refused:
        sign_in_header(found, NETWORK, "0xabc", "0xsecret", Bounds(payment_header=100))
    frame = refused.traceback[-1].frame
    assert "secret" not in repr(frame.f_locals)


# --- read


def test_a_402_without_a_challenge_has_none() -> None:
    found = read(document(entry()))
    assert found is not None
    assert found.sign_in is None


@pytest.mark.parametrize("extensions", [challenge(), challenge(nonce="x")])
def test_a_402_may_ask_for_a_sign_in_alone(extensions: dict[str, Any]) -> None:
    found = read({"x402Version": 2, "accepts": [], "extensions": extensions})
    assert found is not None
    assert found.sign_in is not None
    assert (found.offers, found.faults, found.free) == ((), (), False)


@pytest.mark.parametrize("more", [{}, {"extensions": {}}, {"extensions": {"bazaar": {}}}, {"extensions": 7}])
def test_without_a_sign_in_empty_offers_are_malformed(more: dict[str, Any]) -> None:
    with pytest.raises(MalformedQuote, match="missing or empty"):
        read({"x402Version": 2, "accepts": [], **more})


def test_a_challenge_does_not_make_unreadable_offers_good() -> None:
    with pytest.raises(MalformedQuote, match="no offer that can be read"):
        read({"x402Version": 2, "accepts": [{}], "extensions": challenge()})
    with pytest.raises(MalformedQuote, match="missing or empty"):
        read({"x402Version": 2, "accepts": {}, "extensions": challenge()})


def test_all_fields_are_read() -> None:
    said = challenge(
        chains=(SOLANA, NETWORK, SOLANA), statement="Sign in.", expirationTime="2027-01-01T00:00:00+01:00",
        notBefore="2026-01-01T00:00:00Z", requestId="job-1",
    )  # fmt: skip
    found = read_sign_in(said)
    assert found is not None
    assert found.reason is None
    assert (found.domain, found.uri, found.statement) == ("api.example.com", URL, "Sign in.")
    assert (found.expires, found.not_before) == ("2027-01-01T00:00:00+01:00", "2026-01-01T00:00:00Z")
    assert (found.request_id, found.resources, found.networks) == ("job-1", (URL,), (SOLANA, NETWORK))


def test_fields_that_say_nothing_are_as_good_as_missing() -> None:
    found = read_sign_in(challenge(statement=None, expirationTime="", notBefore=None, requestId="", resources=None))
    assert found is not None
    assert found.reason is None
    assert (found.statement, found.expires, found.not_before, found.request_id, found.resources) == ("", "", "", "", ())


def test_drafts_of_the_extension_name_one_chain_among_the_facts() -> None:
    info = challenge()["sign-in-with-x"]["info"]
    found = read_sign_in({"sign-in-with-x": {"info": {**info, "chainId": NETWORK, "type": "eip191"}}})
    assert found is not None
    assert (found.reason, found.networks) == (None, (NETWORK,))


@pytest.mark.parametrize(("changes", "why"), [
    ({"version": "2"}, "its version is '2'"),
    ({"version": 1}, "its version is missing or no text"),
    ({"domain": ...}, "its domain is missing"),
    ({"domain": "api.example.com\nURI: x"}, "its domain has blanks, line breaks"),
    ({"domain": "аpi.example.com"}, "letters beyond ASCII"),
    ({"domain": "a" * 256}, "its domain has 256 characters, and 255 are signed"),
    ({"uri": "https://api.example.com/ x"}, "its uri has blanks"),
    ({"uri": "https://api.example.com/" + "x" * 2_048}, "its uri has"),
    ({"nonce": "short"}, "its nonce is 'short', and not 8 or more letters and digits"),
    ({"nonce": "12345678\nURI: x"}, "its nonce is"),
    ({"nonce": "a" * 129}, "its nonce has 129 characters"),
    ({"issuedAt": "yesterday"}, "its issuedAt is 'yesterday', and not a time"),
    ({"issuedAt": ...}, "its issuedAt is missing"),
    ({"issuedAt": "2026-01-01T00:00:00"}, "its issuedAt"),
    ({"expirationTime": "never"}, "its expirationTime"),
    ({"notBefore": 7}, "its notBefore is missing or no text"),
    ({"statement": "a\nb"}, "its statement has line breaks"),
    ({"statement": "a\u2028b"}, "its statement has line breaks"),
    ({"statement": "\u202eabc"}, "its statement has line breaks"),
    ({"statement": "x" * 401}, "its statement has 401"),
    ({"statement": ["x"]}, "its statement is missing or no text"),
    ({"requestId": "a b"}, "its requestId has blanks"),
    ({"resources": "https://x"}, "its resources are no list"),
    ({"resources": ["https://x"] * 11}, "or more than 10"),
    ({"resources": ["https://x\nNonce: 1"]}, "its resource has blanks"),
    ({"resources": [7]}, "its resource is missing or no text"),
    ({"chains": ()}, "it names no chain"),
])  # fmt: skip
def test_what_is_not_signed_has_a_reason(changes: dict[str, Any], why: str) -> None:
    found = reason(**changes)
    assert found is not None
    assert why in found
    assert "\n" not in found


@pytest.mark.parametrize("declared", [7, [], "x", {}, {"info": []}, {"info": None}])
def test_what_is_no_challenge_at_all_has_a_reason(declared: Any) -> None:
    found = read_sign_in({"sign-in-with-x": declared})
    assert found is not None
    assert found.reason == "its challenge cannot be read: it has no info"


@pytest.mark.parametrize("chain", [
    {"chainId": "base", "type": "eip191"}, {"chainId": NETWORK, "type": "ed25519"}, {"chainId": 8453}, "eip155:1", {},
    {"chainId": "solana:short"}, {"chainId": "eip155:0"}, {"chainId": "eip155:1\nNonce: 2"},
    {"chainId": NETWORK, "type": 7}, {"chainId": "cosmos:hub", "type": "secp256k1"},
])  # fmt: skip
def test_chains_that_are_not_known_or_fit_no_signature_are_passed_over(chain: Any) -> None:
    said = challenge()
    listed = said["sign-in-with-x"]["supportedChains"]
    listed.insert(0, chain)
    found = read_sign_in(said)
    assert found is not None
    assert found.networks == (NETWORK,)
    listed.pop()
    found = read_sign_in(said)
    assert found is not None
    assert found.reason is not None
    assert found.reason.endswith("it names no chain whose accounts could sign in")


def test_a_long_list_of_chains_is_read_to_a_bound() -> None:
    found = read_sign_in(challenge(chains=tuple(f"eip155:{number}" for number in range(1, 1_000))))
    assert found is not None
    assert len(found.networks) == 64


def test_its_repr_shows_the_place_and_no_url() -> None:
    found = read_sign_in(challenge(uri=f"{URL}?token=secret"))
    assert found is not None
    assert repr(found) == "<SignIn api.example.com on base-sepolia>"
    assert "not signed: why" in repr(found.refused("why"))
