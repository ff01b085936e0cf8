"""Reads payments and receipts from the wire, and finds what does not fit.

Signatures are checked and never shown.
"""

from __future__ import annotations

import re
import time
from typing import Any

from ...chains.contract_accounts import unwrap
from ...chains.evm import is_address
from ...chains.tokens import Tokens
from ...model.counts import counted
from ...model.holds import moment
from ...model.money import Token
from ...model.networks import EVM_FAMILY, SOLANA_FAMILY, caip2, canonical_evm, family_of, short_name
from ...model.offers import words
from ...schemes.exact_evm import typed_data
from ..balances import whole_tokens
from .findings import Reading, missing
from .key_signatures import is_signature, signer_of
from .permit2 import read_permit
from .permits import read_given
from .solana import read_transaction
from .statements import read_signed_receipt

#: The schemes whose payloads can be read here.
_READABLE = ("exact", "upto")
_NUMBERS = ("value", "validAfter", "validBefore")
_FIELDS = ("from", "to", "value", "validAfter", "validBefore", "nonce")
#: A contract's can have any length. A shorter one than a key's is more likely cut off.
_LONGER = re.compile(r"0x(?:[0-9a-fA-F]{2}){66,}", re.ASCII)
_NONCE = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)


def read_payment(document: dict[str, Any], reading: Reading) -> None:
    """Read a payment of either version."""
    reading.title = "a payment"
    version = document.get("x402Version")
    reading.fact("x402 version", version)
    if version not in (1, 2) or type(version) is not int:
        reading.wrong("x402Version", "it has to be the number 1 or 2")
    accepted = document.get("accepted")
    if version == 2 and not isinstance(accepted, dict):
        reading.wrong("accepted", "it is missing; version 2 echoes the chosen offer there")
    terms = accepted if isinstance(accepted, dict) else document
    network = _network(terms, reading)
    if terms.get("scheme") not in _READABLE:
        reading.note("scheme", f"{words(str(terms.get('scheme')), 40)!r} is not one that we can read")
    payload, family = document.get("payload"), family_of(network) if network else None
    if not isinstance(payload, dict):
        reading.wrong("payload", "it is missing or not an object")
    elif "authorization" in payload and family in (EVM_FAMILY, None):
        _evm(payload, terms if terms is accepted else {}, network, reading)
    elif "permit2Authorization" in payload and family in (EVM_FAMILY, None):
        read_permit(payload, terms if terms is accepted else {}, network, reading)
        read_given(document, network, reading)
    elif "transaction" in payload and family in (SOLANA_FAMILY, None):
        read_transaction(payload["transaction"], terms if terms is accepted else {}, network, reading)
    else:
        reading.note("payload", f"nothing in it that we know: {words(', '.join(map(str, payload)), 100)}")


def read_receipt(document: dict[str, Any], reading: Reading) -> None:
    """Read a seller's claim about the settlement."""
    reading.title = "a receipt"
    success = document.get("success")
    reading.fact("success", success)
    if not isinstance(success, bool):
        reading.wrong("success", "it has to be true or false")
    transaction = document.get("transaction", document.get("txHash"))
    for name in ("txHash", "networkId"):
        if name in document:
            right = "transaction" if name == "txHash" else "network"
            reading.tolerated(name, f"the specification calls it {right}")
    for name, value in (("transaction", transaction), ("network", document.get("network", document.get("networkId")))):
        if isinstance(value, str) and value:
            reading.fact(name, value)
        elif success is True and name == "transaction" and document.get("amount") in ("0", 0):
            reading.note(name, "nothing was taken of a ceiling, they say; the signature lives until its deadline")
        elif success is True:
            reading.wrong(name, "it is missing from a receipt of success")
    if isinstance(document.get("payer"), str):
        reading.fact("payer", document["payer"])
    else:
        reading.tolerated("payer", "it is missing")
    if "amount" in document:
        reading.fact("amount", document["amount"])
    reason = document.get("errorReason", document.get("error"))
    if reason:
        reading.fact("they say", reason)
    elif success is False:
        reading.tolerated("errorReason", "it is missing from a receipt of failure")
    if success is False and transaction:
        reading.note("transaction", "a failure that names a transaction: look at the chain before you believe it")
    read_signed_receipt(document, reading)


def _network(terms: dict[str, Any], reading: Reading) -> str | None:
    name = terms.get("network")
    network = caip2(name) if isinstance(name, str) else None
    on = short_name(network) if network else words(str(name), 60)
    extra = terms.get("extra")
    first = ", upfront" if isinstance(extra, dict) and extra.get("paymentFlow") == "upfront" else ""
    reading.fact("scheme", f"{words(str(terms.get('scheme')), 40)} on {on}{first}")
    if network is None:
        reading.wrong("network", "it is missing, or names no network that is known")
    return network


def _evm(payload: dict[str, Any], accepted: dict[str, Any], network: str | None, reading: Reading) -> None:
    signed, place = payload["authorization"], "payload.authorization"
    if not isinstance(signed, dict):
        reading.wrong(place, "it is not an object")
        return
    for name in missing(signed, _FIELDS):
        reading.wrong(f"{place}.{name}", "it is missing")
    asset = accepted.get("asset")
    token = Tokens().find(network, asset) if network and isinstance(asset, str) else _only_token(network)
    numbers = {name: _number(signed, name, reading) for name in _NUMBERS}
    for name in ("from", "to"):
        if isinstance(signed.get(name), str):
            reading.fact(name, signed[name])
            if not is_address(signed[name]):
                reading.wrong(f"{place}.{name}", "it is not an address, or its checksum is wrong")
    value = numbers["value"]
    if value is not None:
        reading.fact("value", f"{whole_tokens(value, token)} {token.symbol}" if token else counted(value, "unit"))
    _validity(numbers, reading)
    if "nonce" in signed:
        reading.fact("nonce", signed["nonce"])
        if not isinstance(signed["nonce"], str) or not _NONCE.fullmatch(signed["nonce"]):
            reading.wrong(f"{place}.nonce", "it is not 0x and 64 hex digits")
    _as_accepted(signed, accepted, reading)
    _signature(payload.get("signature"), signed, token, None not in numbers.values(), reading)


def _only_token(network: str | None) -> Token | None:
    """Return a network's USDC: version 1 does not name the token, and this is the likely one."""
    return Tokens().find(network, "USDC") if network else None


def _number(signed: dict[str, Any], name: str, reading: Reading) -> int | None:
    value = signed.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 78:
        return int(value)
    if type(value) is int and value >= 0:
        reading.tolerated(f"payload.authorization.{name}", "it is a number; the specification has text")
        return value
    if name in signed:
        reading.wrong(f"payload.authorization.{name}", "it is not a whole number")
    return None


def _validity(numbers: dict[str, int | None], reading: Reading) -> None:
    after, before, now = numbers["validAfter"], numbers["validBefore"], time.time()
    place = "payload.authorization"
    if before is not None:
        shown = f"{moment(before):%Y-%m-%d %H:%M:%S} UTC" if before < 2**35 else str(before)
        reading.fact("valid until", shown)
        if before <= now:
            reading.wrong(f"{place}.validBefore", "it has expired: it cannot settle any more")
        elif before > now + 86_400:
            reading.note(f"{place}.validBefore", "it is valid for more than a day, and can be settled all that time")
    if after is not None and after > now:
        reading.wrong(f"{place}.validAfter", "it is not valid yet")


def _as_accepted(signed: dict[str, Any], accepted: dict[str, Any], reading: Reading) -> None:
    pays, asks = str(signed.get("value")), accepted.get("amount")
    if asks is not None and pays != str(asks):
        text = f"{words(pays, 80)} was signed, and the offer asks {words(str(asks), 80)}"
        reading.wrong("payload.authorization.value", text)
    to, offered = signed.get("to"), accepted.get("payTo")
    if isinstance(to, str) and isinstance(offered, str) and canonical_evm(to) != canonical_evm(offered):
        reading.wrong("payload.authorization.to", "it is not the offer's payTo")


def _signature(signature: Any, signed: dict[str, Any], token: Token | None, whole: bool, reading: Reading) -> None:
    if isinstance(signature, str) and _LONGER.fullmatch(signature):
        _contracts_signature(bytes.fromhex(signature[2:]), signed, reading)
        return
    if not isinstance(signature, str) or not is_signature(signature):
        size = counted(len(signature), "character") if isinstance(signature, str) else "none"
        reading.wrong("payload.signature", f"it is not 0x and 130 hex digits ({size})")
        return
    reading.facts.append(("signature", "65 bytes, not shown: it is worth money until it is settled or expires"))
    facts = (signed.get("from"), signed.get("to"), signed.get("nonce"))
    if token is None or not token.name or not whole or not all(isinstance(fact, str) for fact in facts):
        reading.note("payload.signature", "not checked: the token's EIP-712 domain is not known here")
        return
    if not (is_address(str(facts[0])) and is_address(str(facts[1])) and _NONCE.fullmatch(str(facts[2]))):
        return
    message = {**signed, **{name: str(signed[name]) for name in _NUMBERS}}
    signer = signer_of(typed_data(token, message).digest, signature)
    if signer is None or canonical_evm(signer) != canonical_evm(str(facts[0])):
        reading.wrong(
            "payload.signature",
            f"it is not by {facts[0]} for {token.symbol} on {short_name(token.network)}"
            + (f", but by {signer}, or for another token" if signer else "")
            + f"; only a contract at {facts[0]} could take it",
        )
    else:
        reading.facts.append(("signed by", f"{signer}, for {token.symbol} on {short_name(token.network)}"))


def _contracts_signature(raw: bytes, signed: dict[str, Any], reading: Reading) -> None:
    reading.facts.append(
        ("signature", f"{counted(len(raw), 'byte')}, not shown: it is worth money until it is settled or expires")
    )
    made = unwrap(raw)
    by = words(str(signed.get("from")), 60)
    text = f"a contract's: only the one at {by} can say if it is right (EIP-1271), and only on its chain"
    if made is not None:
        text += f"; if it is not there yet, the factory {made.factory} makes it (ERC-6492)"
    reading.note("payload.signature", text)
