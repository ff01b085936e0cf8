"""A till that judges payments as a facilitator would, with eth_account alone, and remembers each one it was handed."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data

from .scripted_server import Exchange, Script, Seen

USDC = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
PAY_TO = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
KEY = "0x" + "42" * 32
PAYER: str = Account.from_key(KEY).address
PRICE = 10_000
PAYMENT = {1: "X-PAYMENT", 2: "PAYMENT-SIGNATURE"}
RECEIPT = {1: "X-PAYMENT-RESPONSE", 2: "PAYMENT-RESPONSE"}
NETWORK = {1: "base", 2: "eip155:8453"}
_FIELDS = ("address from", "address to", "uint256 value", "uint256 validAfter", "uint256 validBefore", "bytes32 nonce")
_DOMAIN = ("string name", "string version", "uint256 chainId", "address verifyingContract")

Then = Callable[[Exchange, "Till"], Any]


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


class Till:
    """One price, one payee; says what it wants in either version."""

    def __init__(self, version: int = 2, price: int = PRICE) -> None:
        self.version, self.price = version, price
        #: The nonce of each payment handed in, and the header it came in, in order.
        self.nonces: list[str] = []
        self.headers: list[str] = []
        self._lock = threading.Lock()

    def offer(self) -> dict[str, Any]:
        common = {"scheme": "exact", "network": NETWORK[self.version], "asset": USDC, "payTo": PAY_TO}
        common |= {"maxTimeoutSeconds": 60, "extra": {"name": "USD Coin", "version": "2"}}
        if self.version == 2:
            return common | {"amount": str(self.price)}
        return common | {
            "maxAmountRequired": str(self.price),
            "resource": "http://x/",
            "description": "",
            "mimeType": "",
        }

    def challenge(self, exchange: Exchange, *headers: tuple[str, str]) -> None:
        """Answer 402 with our terms."""
        head, body = self.terms()
        exchange.answer(402, body, [*head, *headers])

    def terms(self) -> tuple[list[tuple[str, str]], bytes]:
        """The headers and the body of the 402."""
        said = {"x402Version": self.version, "error": "pay first", "accepts": [self.offer()]}
        if self.version == 1:
            return [("Content-Type", "application/json")], json.dumps(said).encode()
        said["resource"] = {"url": "http://x/", "description": "", "mimeType": ""}
        return [("PAYMENT-REQUIRED", encoded(said))], b"{}"

    def took(self, seen: Seen) -> bool:
        """Whether the request pays. A payment that is not good in every respect is a failure of the test."""
        found = [value for name in PAYMENT.values() for value in seen.all(name)]
        if not found:
            return False
        assert len(found) == 1, "paid in two headers"
        assert seen.header(PAYMENT[self.version]) == found[0], "paid in the header of another version"
        payment = json.loads(base64.b64decode(found[0], validate=True))
        self._check(payment)
        with self._lock:
            self.nonces.append(payment["payload"]["authorization"]["nonce"])
            self.headers.append(found[0])
        return True

    def _check(self, payment: dict[str, Any]) -> None:
        assert payment["x402Version"] == self.version
        offer = self.offer()
        if self.version == 2:
            assert payment["accepted"] == offer
        else:
            assert (payment["scheme"], payment["network"]) == ("exact", NETWORK[1])
        signed = payment["payload"]["authorization"]
        assert signed["value"] == str(self.price)
        assert signed["to"] == PAY_TO
        assert int(signed["validAfter"]) < time.time() < int(signed["validBefore"]) <= time.time() + 61
        assert signer(signed, payment["payload"]["signature"]) == signed["from"] == PAYER

    def receipt(self, **changes: Any) -> tuple[str, str]:
        """The header of a good receipt, but for the changes."""
        said = {"success": True, "transaction": "0x" + "ab" * 32, "network": NETWORK[self.version], "payer": PAYER}
        return (RECEIPT[self.version], encoded(said | changes))

    def sells(self, *thens: Then) -> Script:
        """Asks to be paid; each payment is answered by the next one, the last one for ever; by itself it delivers."""
        turns = list(thens) or [delivered]

        def script(exchange: Exchange) -> None:
            exchange.read_body()
            if self.took(exchange.seen):
                (turns.pop(0) if len(turns) > 1 else turns[0])(exchange, self)
            else:
                self.challenge(exchange)

        return script


def delivered(exchange: Exchange, till: Till) -> None:
    exchange.answer(200, b"the goods", [till.receipt()])


def opens_a_websocket(exchange: Exchange, till: Till) -> None:
    exchange.open_websocket([till.receipt()])


def signer(message: dict[str, str], signature: str) -> str:
    """Who signed the transfer, by the domain of USDC on Base."""
    numbers = {name: int(message[name]) for name in ("value", "validAfter", "validBefore")}
    full = {
        "types": {"EIP712Domain": _typed(_DOMAIN), "TransferWithAuthorization": _typed(_FIELDS)},
        "primaryType": "TransferWithAuthorization",
        "domain": {"name": "USD Coin", "version": "2", "chainId": 8453, "verifyingContract": USDC},
        "message": message | numbers,
    }
    found: str = Account.recover_message(encode_typed_data(full_message=full), signature=signature)
    return found


def _typed(lines: tuple[str, ...]) -> list[dict[str, str]]:
    return [dict(zip(("type", "name"), line.split(), strict=True)) for line in lines]
