"""What a payment header says by itself: read by a process between buyer and seller, without the buyer's word."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from solders.transaction import VersionedTransaction

from x402_client.sandbox.answers import opened
from x402_client.sandbox.solana_rules import MEMO

PAYMENTS = ("PAYMENT-SIGNATURE", "X-PAYMENT")
_TRANSFER_CHECKED = 12


def payment_in(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """The document of the header that pays, if there is one."""
    return next((opened(headers[name]) for name in PAYMENTS if name in headers), None)


def facts(document: Mapping[str, Any]) -> dict[str, Any]:
    """Its nonce as the ledger names it, who pays how much, and until when."""
    payload = document["payload"]
    digest = sha256(payload_key(payload).encode()).hexdigest()[:16]
    if "transaction" in payload:
        return {**_solana(payload["transaction"]), "digest": digest}
    signed = payload["authorization"]
    return {
        "nonce": signed["nonce"].lower(),
        "payer": signed["from"].lower(),
        "amount": int(signed["value"]),
        "expires": int(signed["validBefore"]),
        "digest": digest,
    }


def payload_key(payload: Mapping[str, Any]) -> str:
    """Return what stays the same when a payment is passed on."""
    return str(payload.get("transaction") or payload["signature"])


def _solana(text: str) -> dict[str, Any]:
    transaction = VersionedTransaction.from_bytes(base64.b64decode(text))
    message = transaction.message
    keys = list(message.account_keys)
    found: dict[str, Any] = {"signature": str(transaction.signatures[1]), "expires": None}
    found["nonce"] = found["signature"]
    for instruction in message.instructions:
        data = bytes(instruction.data)
        if keys[instruction.program_id_index] == MEMO:
            found["nonce"] = data.decode()
        elif data[0] == _TRANSFER_CHECKED and len(instruction.accounts) >= 4:
            found["amount"] = int.from_bytes(data[1:9], "little")
            found["payer"] = str(keys[instruction.accounts[3]])
    return found
