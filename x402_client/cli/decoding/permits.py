"""Reads permits (EIP-2612): those that a 402 asks for, and the one that goes along with a payment by Permit2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...chains.evm import is_address
from ...chains.permit2_settlement import PERMIT2
from ...chains.tokens import Tokens
from ...model.networks import canonical_evm, short_name
from ...model.offers import words
from ...schemes.permits import KEY, TRANSACTION_KEY, permit_data
from .findings import Reading
from .key_signatures import is_signature, signer_of

_NUMBER = re.compile(r"[0-9]{1,78}", re.ASCII)
_PLACE = f"extensions.{KEY}.info"


def read_asked(extensions: Mapping[str, Any], reading: Reading) -> None:
    """Read the ways in which a seller pays the gas of an approval to Permit2."""
    if KEY in extensions:
        reading.note(f"extensions.{KEY}", "it takes a permit with the payment; one of exactly the price is signed")
    if TRANSACTION_KEY in extensions:
        text = "it takes a signed approve transaction; that never expires, so it is never signed here"
        reading.note(f"extensions.{TRANSACTION_KEY}", text)
    asked = _info(extensions)
    spender = asked.get("spender")
    if spender is not None and canonical_evm(str(spender)) != canonical_evm(PERMIT2):
        reading.wrong(f"{_PLACE}.spender", f"{words(str(spender), 60)} is not {PERMIT2}: no honest seller asks for it")
    for field in ("amount", "value", "deadline", "nonce", "signature"):
        if asked.get(field) is not None:
            reading.wrong(f"{_PLACE}.{field}", "the buyer says this, and signs exactly the price of the offer")


def read_given(document: Mapping[str, Any], network: str | None, reading: Reading) -> None:
    """Read the permit that a payment brings along, if it brings one. Its signature is checked and never shown."""
    extensions = document.get("extensions")
    given = _info(extensions) if isinstance(extensions, dict) else {}
    if given.get("signature") is None:
        return
    payload, amount = document.get("payload"), given.get("amount")
    signed = payload.get("permit2Authorization") if isinstance(payload, dict) else None
    signed = signed if isinstance(signed, dict) else {}
    asset = given.get("asset")
    token = Tokens().find(network, asset) if network and isinstance(asset, str) else None
    number = isinstance(amount, str) and _NUMBER.fullmatch(amount) is not None
    shown = f"{token.whole(int(str(amount)))} {token.symbol}" if token and number else amount
    reading.fact("permit", f"lets Permit2 take {shown} once it is used, until {given.get('deadline')}")
    if canonical_evm(str(given.get("spender"))) != canonical_evm(PERMIT2):
        reading.wrong(f"{_PLACE}.spender", f"it is not {PERMIT2}, Permit2's contract")
    permitted = signed.get("permitted")
    if not isinstance(permitted, dict) or str(amount) != str(permitted.get("amount")):
        reading.wrong(f"{_PLACE}.amount", "it is not the amount of the payment: Permit2's proxy refuses that")
    if not isinstance(permitted, dict) or canonical_evm(str(asset)) != canonical_evm(str(permitted.get("token"))):
        reading.wrong(f"{_PLACE}.asset", "it is not the payment's token")
    if str(given.get("deadline")) != str(signed.get("deadline")):
        reading.wrong(f"{_PLACE}.deadline", "it is not that of the payment")
    _signature(given, document, network, reading)


def _signature(given: Mapping[str, Any], document: Mapping[str, Any], network: str | None, reading: Reading) -> None:
    signature, owner, spender, asset = (given.get(name) for name in ("signature", "from", "spender", "asset"))
    numbers = [given.get(name) for name in ("amount", "nonce", "deadline")]
    sound = all(isinstance(one, str) and is_address(one) for one in (owner, spender, asset))
    sound = sound and all(isinstance(one, str) and _NUMBER.fullmatch(one) and int(one) < 2**256 for one in numbers)
    if not sound or not isinstance(signature, str) or not is_signature(signature):
        reading.wrong(_PLACE, "its fields are not addresses, whole numbers written as text, and 65 bytes in hex")
        return
    token = Tokens().find(network, str(asset)) if network else None
    accepted = document.get("accepted")
    extra = accepted.get("extra") if isinstance(accepted, dict) else None
    said = extra if isinstance(extra, dict) else {}
    name, version = (getattr(token, part, None) or said.get(part) for part in ("name", "version"))
    if not (network and isinstance(name, str) and isinstance(version, str)):
        reading.note(f"{_PLACE}.signature", "not checked: the token's EIP-712 domain is not known")
        return
    amount, nonce, deadline = (int(str(one)) for one in numbers)
    message = {"owner": owner, "spender": spender, "value": amount, "nonce": nonce, "deadline": deadline}
    signer = signer_of(
        permit_data((name, version, int(network.partition(":")[2]), str(asset)), message).digest, signature
    )
    if signer is None or canonical_evm(signer) != canonical_evm(str(owner)):
        reading.wrong(f"{_PLACE}.signature", f"it is not by {owner} on {short_name(network)}")
    else:
        reading.facts.append(("permit signed by", f"{signer}, on {short_name(network)}"))


def _info(extensions: Mapping[str, Any]) -> Mapping[str, Any]:
    declared = extensions.get(KEY)
    info = declared.get("info") if isinstance(declared, dict) else None
    return info if isinstance(info, dict) else {}
