"""Reads sign-in-with-x: a seller's challenge, and the header in which a wallet signs in. No signature is shown."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ...chains.evm import personal_digest, recover
from ...model.hosts import Origin
from ...model.networks import EVM_FAMILY, family_of, short_name
from ...model.offers import SignIn, words
from ...model.sign_in import SIGN_IN
from ...policy.sign_in import challenge_objection
from ...wire.sign_in import read_sign_in, sign_in_text
from .findings import Reading

_FIELDS = ("domain", "address", "uri", "nonce", "issuedAt", "chainId", "signature")


def read_challenge(extensions: Mapping[str, Any], reading: Reading, asked_url: str) -> bool:
    """Read the challenge of a 402. Return False if there is none."""
    challenge = read_sign_in(extensions)
    if challenge is None:
        return False
    where = f"extensions.{SIGN_IN}"
    if challenge.reason is None:
        on = ", ".join(words(short_name(network), 60) for network in challenge.networks)
        reading.fact("sign-in", f"at {challenge.domain} by an account on {on}")
        _facts(challenge, reading)
    origin = _origin(asked_url)
    problem = challenge.reason if origin is None else challenge_objection(challenge, origin, time.time())
    if problem is not None:
        reading.wrong(where, f"{problem}, so no sign-in would be signed")
    return True


def is_sign_in(document: Mapping[str, Any]) -> bool:
    """Return True for what stands in a SIGN-IN-WITH-X header."""
    return "nonce" in document and "domain" in document and "signature" in document


def read_sign_in_header(document: dict[str, Any], reading: Reading) -> None:
    """Read the header in which a wallet signs in, and check its signature."""
    reading.title = "a sign-in"
    challenge = read_sign_in({SIGN_IN: {"info": document, "supportedChains": [document]}})
    assert challenge is not None
    for name in _FIELDS:
        if not isinstance(document.get(name), str):
            reading.wrong(name, "it is missing, or no text")
    if challenge.reason is not None:
        reading.wrong("sign-in", challenge.reason)
    if not reading.sound:
        return
    network, address = challenge.networks[0], document["address"]
    reading.fact("account", f"{address} on {short_name(network)}")
    reading.fact("domain", challenge.domain)
    reading.fact("uri", challenge.uri)
    _facts(challenge, reading)
    reading.facts.append(("signature", "not shown: until the seller took it, it opens what this account bought there"))
    signed_by = _by_evm if family_of(network) == EVM_FAMILY else _by_solana
    if signed_by(address, sign_in_text(challenge, network, address).encode(), document["signature"]):
        reading.facts.append(("signed by", words(address, 60)))
    else:
        reading.wrong("signature", f"it is not by {words(address, 60)}, or not for this text")


def _facts(challenge: SignIn, reading: Reading) -> None:
    reading.fact("made at", challenge.issued)
    for name, value in (("ends at", challenge.expires), ("begins at", challenge.not_before)):
        if value:
            reading.fact(name, value)
    if challenge.statement:
        reading.fact("its words", challenge.statement)


def _origin(url: str) -> Origin | None:
    parts = urlsplit(url)
    return Origin.of(parts.scheme, parts.hostname, parts.port) if parts.hostname else None


def _by_evm(address: str, text: bytes, signature: str) -> bool:
    try:
        return recover(personal_digest(text), bytes.fromhex(signature.removeprefix("0x"))) == address
    except ValueError:
        return False


def _by_solana(address: str, text: bytes, signature: str) -> bool:
    from solders.pubkey import Pubkey
    from solders.signature import Signature

    try:
        return Signature.from_string(signature).verify(Pubkey.from_string(address), text)
    except ValueError:
        return False
