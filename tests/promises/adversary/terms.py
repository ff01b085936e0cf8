"""What the seller's 402s say: its offers, and the permits (EIP-2612) that it would submit for its buyers."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.adapters.cash_register import NETWORK, PAY_TO, USDC

from . import solana

PRICES = {"dear": 20_000}
PRICE = 10_000
#: How the seller has an allowance made, and what it asks for then. Only a permit of the amount to Permit2 is sound.
PERMIT, TRANSACTION = "eip2612GasSponsoring", "erc20ApprovalGasSponsoring"
_ELSEWHERE = "0x" + "e1" * 20
_ASKED: dict[str, dict[str, str]] = {
    "unlimited": {"amount": str(2**256 - 1)},
    "value": {"value": str(2**160 - 1)},
    "spender": {"spender": _ELSEWHERE},
    "asset": {"asset": _ELSEWHERE},
    "owner": {"from": _ELSEWHERE},
    "nonce": {"nonce": "7"},
    "deadline": {"deadline": str(2**256 - 1)},
    "signature": {"signature": "0x" + "11" * 65},
    "version": {"version": "2"},
}
#: Of these, a permit alone is not signed; for the others no payment is.
UNSIGNED = frozenset({"version", "domain", "transaction"})
ASKS = (*_ASKED, "domain", "transaction", "both")


def said(
    kind: str, asks: str, extensions: dict[str, Any], alone: bool, newest: str
) -> tuple[list[tuple[str, str]], bytes]:
    """Return headers and body of a 402. ``alone``: it asks for no money, but for what its extensions are.

    ``newest`` is the latest blockhash of Solana.
    """
    price, headers, body = PRICES.get(kind, PRICE), list[tuple[str, str]](), b"{}"
    if kind != "v1":
        offers = [] if alone else _offers(kind, price, asks, newest)
        found: dict[str, Any] = {"x402Version": 2, "error": "pay", "accepts": offers, "resource": {"url": "http://x/"}}
        extensions = {**extensions, **_sponsoring(kind, asks)}
        headers = [("PAYMENT-REQUIRED", encoded(found | ({"extensions": extensions} if extensions else {})))]
    if kind in ("v1", "both"):
        body = json.dumps({"x402Version": 1, "error": "pay", "accepts": [_offer(1, price)]}).encode()
    headers.append(("Content-Type", "application/json"))
    if kind == "both":
        headers.append(("WWW-Authenticate", 'Payment realm="x", method="other"'))
    return headers, body


def _offers(kind: str, price: int, asks: str, newest: str) -> list[dict[str, Any]]:
    named, _, rest = kind.partition(" ")
    if named == "solana":
        return [_on_solana(price, {} if rest == "own" else {"recentBlockhash": newest})]
    if named != "sponsored":
        return [_offer(2, price, kind)]
    first = _offer(2, price, "upto" if rest == "upto" else "permit2")
    if asks == "domain":
        first["extra"]["name"] = "Another Coin"
    return [first, _offer(2, PRICES["dear"])] if rest == "choice" else [first]


def _on_solana(price: int, hint: dict[str, str]) -> dict[str, Any]:
    found = {"scheme": "exact", "network": solana.NETWORK, "asset": solana.USDC, "payTo": solana.PAY_TO}
    return found | {"maxTimeoutSeconds": 60, "amount": str(price), "extra": {"feePayer": solana.FEE_PAYER, **hint}}


def _sponsoring(kind: str, asks: str) -> dict[str, Any]:
    if not kind.startswith("sponsored"):
        return {}
    info = {"description": "A permit is submitted for you.", "version": "1"} | _ASKED.get(asks, {})
    found: dict[str, Any] = {} if asks == "transaction" else {PERMIT: {"info": info, "schema": {"type": "object"}}}
    if asks in ("transaction", "both"):
        found[TRANSACTION] = {"info": {"description": "An approval is.", "version": "1"}, "schema": {"type": "object"}}
    return found


def _offer(version: int, price: int, kind: str = "") -> dict[str, Any]:
    common: dict[str, Any] = {"scheme": "exact", "network": NETWORK[version], "asset": USDC, "payTo": PAY_TO}
    common |= {"maxTimeoutSeconds": 60, "extra": {"name": "USD Coin", "version": "2"}}
    if kind in ("permit2", "upto"):
        common["extra"] |= {"assetTransferMethod": "permit2"}
    if kind == "upto":
        common["scheme"] = "upto"
        common["extra"] |= {"facilitatorAddress": "0x" + "fa" * 20}
    if version == 2:
        return common | {"amount": str(price)}
    return common | {"maxAmountRequired": str(price), "resource": "http://x/", "description": "", "mimeType": ""}


def encoded(value: Any) -> str:
    """Return JSON as headers have it."""
    return base64.b64encode(json.dumps(value).encode()).decode()
