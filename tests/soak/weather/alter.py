"""What the gateway makes of a seller's words."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from x402_client.sandbox.answers import Answer, opened, sealed

_TERMS = "payment-required"
_RECEIPTS = ("payment-response", "x-payment-response")
_AMOUNTS = ("amount", "maxAmountRequired")
Offer = dict[str, Any]


def _times(factor: int) -> Callable[[Offer], Offer]:
    return lambda offer: {**offer, **{name: str(int(offer[name]) * factor) for name in _AMOUNTS if name in offer}}


def _other_token(offer: Offer) -> Offer:
    evm = str(offer["asset"]).startswith("0x")
    return {**offer, "asset": "0x" + "6" * 40 if evm else "So11111111111111111111111111111111111111112"}


_TERMS_CHANGES: Mapping[str, Callable[[Offer], Offer]] = {
    "dearer": _times(2), "far too dear": _times(100), "another token": _other_token,
}  # fmt: skip


def terms(found: Answer, fault: str) -> Answer:
    """A 402 with other offers."""
    change = _TERMS_CHANGES.get(fault)
    if change is None or found.status != 402:
        return found
    if _TERMS in found.headers:
        document = opened(found.headers[_TERMS]) or {}
        return replace(found, headers={**found.headers, _TERMS: sealed(_changed(document, change))})
    return replace(found, body=json.dumps(_changed(json.loads(found.body), change)).encode())


def _changed(document: dict[str, Any], change: Callable[[Offer], Offer]) -> dict[str, Any]:
    return {**document, "accepts": [change(offer) for offer in document.get("accepts", [])]}


def receipt_of(found: Answer) -> dict[str, str]:
    """The header alone."""
    return {name: value for name, value in found.headers.items() if name in _RECEIPTS}


_LIES: Mapping[str, dict[str, Any]] = {
    "receipt of another payer": {"payer": "0x" + "5" * 40},
    "receipt of another amount": {"amount": "1"},
    "receipt of another network": {"network": "eip155:1"},
    "receipt of a failure": {"success": False, "errorReason": "settle_error"},
}


def receipt(found: Answer, fault: str) -> Answer:
    """A delivery with another receipt, or none."""
    kept = {name: value for name, value in found.headers.items() if name not in _RECEIPTS}
    for name, value in receipt_of(found).items():
        if fault in _LIES:
            kept[name] = sealed((opened(value) or {}) | _LIES[fault])
        elif fault == "receipt in garbage":
            kept[name] = base64.b64encode(b"{not json").decode()
        elif fault != "no receipt":
            kept[name] = value
    return replace(found, headers=kept)


def settled(asked: Mapping[str, Any], payer: str) -> dict[str, Any]:
    """What a facilitator says that settled, or claims so."""
    network = asked["paymentRequirements"]["network"]
    return {"success": True, "transaction": "0x" + "ab" * 32, "network": network, "payer": payer}
