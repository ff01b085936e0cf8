"""Reads offers and payments by Permit2, and finds what does not fit. Signatures are checked and never shown."""

from __future__ import annotations

import re
from typing import Any

from ...chains.evm import ZERO, is_address
from ...chains.tokens import Tokens
from ...model.networks import canonical_evm, short_name
from ...model.offers import words
from ...schemes.permit2 import SPENDERS, typed_data
from ..balances import whole_tokens
from .findings import Reading, missing
from .key_signatures import is_signature, signer_of

_FIELDS = ("from", "permitted", "spender", "nonce", "deadline", "witness")
_NUMBER = re.compile(r"[0-9]{1,78}", re.ASCII)
_PLACE = "payload.permit2Authorization"


def read_terms(extra: dict[str, Any], scheme: str, place: str, reading: Reading) -> None:
    """Read what an offer by Permit2 says beside the common fields."""
    reading.note(place, "it is paid by Permit2, from an allowance that the owner gave it on the chain before")
    spender = extra.get("spender")
    if spender is not None and canonical_evm(str(spender)) != canonical_evm(SPENDERS[scheme]):
        reading.wrong(f"{place}.spender", f"{words(str(spender), 60)} is not {SPENDERS[scheme]}, the official contract")
    if scheme != "upto":
        return
    reading.note(place, "the amount is a ceiling; the seller says after its work what it takes: Policy(upto=...)")
    named = extra.get("facilitatorAddress")
    if not isinstance(named, str) or not is_address(named):
        reading.wrong(f"{place}.facilitatorAddress", "it is missing or not an address: no account could settle this")
    elif named.lower() == ZERO:
        reading.wrong(f"{place}.facilitatorAddress", "it is the zero address: no account could settle this")


def read_permit(payload: dict[str, Any], accepted: dict[str, Any], network: str | None, reading: Reading) -> None:
    """Read the payload of a payment by Permit2."""
    signed = payload["permit2Authorization"]
    if not isinstance(signed, dict):
        reading.wrong(_PLACE, "it is not an object")
        return
    for name in missing(signed, _FIELDS):
        reading.wrong(f"{_PLACE}.{name}", "it is missing")
    permitted, witness = (part if isinstance(part, dict) else {} for part in map(signed.get, ("permitted", "witness")))
    scheme = str(accepted.get("scheme", "exact"))
    for name, value in (("from", signed.get("from")), ("to", witness.get("to")), ("spender", signed.get("spender"))):
        reading.fact(name, value)
    official = SPENDERS.get(scheme)
    if official is not None and canonical_evm(str(signed.get("spender"))) != canonical_evm(official):
        reading.wrong(f"{_PLACE}.spender", f"it is not {official}, the official contract of {scheme!r}")
    _amount(permitted, accepted, network, scheme, reading)
    if canonical_evm(str(witness.get("to"))) != canonical_evm(str(accepted.get("payTo"))):
        reading.wrong(f"{_PLACE}.witness.to", "it is not the offer's payTo")
    numbers = (signed.get("nonce"), signed.get("deadline"), permitted.get("amount"), witness.get("validAfter"))
    if not all(isinstance(text, str) and _NUMBER.fullmatch(text) and int(text) < 2**256 for text in numbers):
        reading.wrong(_PLACE, "nonce, deadline, amount and validAfter are whole numbers, written as text")
        return
    reading.fact("nonce", signed["nonce"])
    _signature(payload.get("signature"), signed, scheme, network, reading)


def _amount(
    permitted: dict[str, Any], accepted: dict[str, Any], network: str | None, scheme: str, reading: Reading
) -> None:
    asset, amount = permitted.get("token"), str(permitted.get("amount"))
    token = Tokens().find(network, asset) if network and isinstance(asset, str) else None
    shown = f"{whole_tokens(int(amount), token)} {token.symbol}" if token and _NUMBER.fullmatch(amount) else amount
    reading.fact("ceiling" if scheme == "upto" else "value", shown)
    if amount != str(accepted.get("amount")):
        reading.wrong(f"{_PLACE}.permitted.amount", "it is not the amount of the offer")
    if canonical_evm(str(asset)) != canonical_evm(str(accepted.get("asset"))):
        reading.wrong(f"{_PLACE}.permitted.token", "it is not the offer's asset")


def _signature(signature: Any, signed: dict[str, Any], scheme: str, network: str | None, reading: Reading) -> None:
    if not isinstance(signature, str) or not is_signature(signature):
        reading.note("payload.signature", "not checked: it is not 0x and 130 hex digits, as a key's signature is")
        return
    reading.facts.append(("signature", "65 bytes, not shown: it is worth money until it is settled or expires"))
    witness = signed["witness"]
    addresses = [signed["permitted"].get("token"), signed.get("spender"), signed.get("from"), witness.get("to")]
    addresses += [witness.get("facilitator")] if scheme == "upto" else []
    if (
        scheme not in SPENDERS
        or network is None
        or not all(isinstance(one, str) and is_address(one) for one in addresses)
    ):
        return
    signer = signer_of(typed_data(scheme, network, signed).digest, signature)
    if signer is None or canonical_evm(signer) != canonical_evm(signed["from"]):
        reading.wrong("payload.signature", f"it is not by {signed['from']} on {short_name(network)}")
    else:
        reading.facts.append(("signed by", f"{signer}, on {short_name(network)}"))
