"""The smallest buyer: it pays an offer with eth_account and nothing of ours, so it can judge sellers and library."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount

from .chain import CHAIN_ID
from .world import Seller

#: What is asked with a body.
BODY = b'{"question": "\xc3\xa9t\xc3\xa9"}' * 50
ASKED: dict[str, dict[str, Any]] = {
    "GET": {},
    "POST": {"content": BODY, "headers": {"content-type": "application/x-question"}},
}
PAYMENT = {1: "X-PAYMENT", 2: "PAYMENT-SIGNATURE"}
RECEIPT = {1: "X-PAYMENT-RESPONSE", 2: "PAYMENT-RESPONSE"}
_AUTHORIZATION = [
    "address from",
    "address to",
    "uint256 value",
    "uint256 validAfter",
    "uint256 validBefore",
    "bytes32 nonce",
]
_TYPES = {
    "EIP712Domain": ["string name", "string version", "uint256 chainId", "address verifyingContract"],
    "TransferWithAuthorization": _AUTHORIZATION,
    "ReceiveWithAuthorization": _AUTHORIZATION,
    "CancelAuthorization": ["address authorizer", "bytes32 nonce"],
    "Permit": ["address owner", "address spender", "uint256 value", "uint256 nonce", "uint256 deadline"],
}


@dataclass
class Authorization:
    offer: dict[str, Any]
    sender: str
    valid_after: int = 0
    valid_before: int = field(default_factory=lambda: int(time.time()) + 60)
    nonce: str = field(default_factory=lambda: "0x" + secrets.token_hex(32))

    def message(self) -> dict[str, str]:
        return {
            "from": self.sender,
            "to": self.offer["payTo"],
            "value": str(self.offer.get("amount") or self.offer["maxAmountRequired"]),
            "validAfter": str(self.valid_after),
            "validBefore": str(self.valid_before),
            "nonce": self.nonce,
        }

    def sign(self, buyer: LocalAccount) -> str:
        fields = self.message()
        numbers = {name: int(fields[name]) for name in ("value", "validAfter", "validBefore")}
        kind, token, domain = "TransferWithAuthorization", self.offer["asset"], self.offer["extra"]
        return "0x" + sign_typed(buyer, token, domain, kind, fields | numbers).hex()


def sign_typed(
    signer: LocalAccount, token: str, domain: dict[str, Any], primary: str, message: dict[str, Any]
) -> bytes:
    full = {
        "types": {kind: [_field(line) for line in _TYPES[kind]] for kind in ("EIP712Domain", primary)},
        "primaryType": primary,
        "domain": {
            "name": domain["name"],
            "version": domain["version"],
            "chainId": CHAIN_ID,
            "verifyingContract": token,
        },
        "message": message,
    }
    return bytes(signer.sign_message(encode_typed_data(full_message=full)).signature)


def _field(line: str) -> dict[str, str]:
    kind, name = line.split()
    return {"name": name, "type": kind}


def ask(http: httpx.Client, url: str, method: str = "GET", payment: dict[str, str] | None = None) -> httpx.Response:
    """Ask a seller, with a payment's header or without."""
    asked = ASKED[method]
    return http.request(method, url, content=asked.get("content"), headers=asked.get("headers", {}) | (payment or {}))


def quote(response: httpx.Response) -> dict[str, Any]:
    """The 402's terms, of either version."""
    assert response.status_code == 402, response.text
    found = response.headers.get("PAYMENT-REQUIRED")
    terms: dict[str, Any] = json.loads(base64.b64decode(found)) if found else response.json()
    return terms


def header(seller: Seller, terms: dict[str, Any], authorization: Authorization, signature: str) -> dict[str, str]:
    payment: dict[str, Any] = {
        "x402Version": seller.version,
        "payload": {"signature": signature, "authorization": authorization.message()},
    }
    if seller.version == 1:
        payment |= {name: authorization.offer[name] for name in ("scheme", "network")}
    else:
        payment |= {"accepted": authorization.offer, "resource": terms["resource"]}
    return {PAYMENT[seller.version]: base64.b64encode(json.dumps(payment).encode()).decode()}


def receipt(seller: Seller, response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(response.headers[RECEIPT[seller.version]]))
    return found
