"""What is sold in the benchmarks, and to whom. Nothing but the standard library: every environment imports it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from typing import Any

KEY = "0x" + "46" * 32
PAYER = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
SEED = bytes(range(1, 33))
SELLER = "0x5e11e75E11e75e11E75E11E75E11e75E11E75E11"
USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
CHAIN_ID = 84532
SOLANA_PAYER = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj"
PAYERS = {"evm1": PAYER, "evm2": PAYER, "fresh": PAYER, "solana": SOLANA_PAYER, "hinted": SOLANA_PAYER}
MINT = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"
TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
DEVNET = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"
SOLANA_SELLER = "GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB"
FEE_PAYER = "2KW2XRd9kwqet15Aha2oK3tYvd3nWbTFH1MBiRAv1BE1"
BLOCKHASH = "cGfHiC6Kgg3FpFZvgwGcswsCRtp4aBP2fzuXRQPizuN"
#: ``fresh`` is ``evm2`` in other words each time. ``hinted`` is ``solana`` with another recent blockhash each time.
PATHS = {kind: f"/{kind}" for kind in PAYERS}
CHANGING = ("fresh", "hinted")
_DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_numbers = itertools.count()

_EXTRA = {"name": "USDC", "version": "2"}
_COMMON = {"scheme": "exact", "asset": USDC, "payTo": SELLER, "maxTimeoutSeconds": 60, "extra": _EXTRA}
_ABOUT = {"description": "The weather, by the hour", "mimeType": "application/json"}


def document(kind: str, url: str, offers: int = 1) -> dict[str, Any]:
    """The 402 of one kind of seller. Of several offers the last one is the one to pay: the first in base-sepolia."""
    if kind == "evm1":
        entry = {**_COMMON, **_ABOUT, "network": "base-sepolia", "maxAmountRequired": "10000", "resource": url}
        more = [{**entry, "asset": f"0x{n:040x}"} for n in range(1, offers)]
        return {"x402Version": 1, "error": "X-PAYMENT header is required", "accepts": [*more, entry]}
    entry = {**_COMMON, "network": f"eip155:{CHAIN_ID}", "amount": "10000"}
    if kind in ("solana", "hinted"):
        entry |= {"network": DEVNET, "asset": MINT, "payTo": SOLANA_SELLER, "extra": {"feePayer": FEE_PAYER}}
    if kind == "hinted":
        entry["extra"]["recentBlockhash"] = _blockhash()
    about = {"url": url, **_ABOUT}
    error = f"Payment {next(_numbers)} required" if kind == "fresh" else "Payment required"
    return {"x402Version": 2, "error": error, "resource": about, "accepts": [entry]}


def _blockhash() -> str:
    """Return another hash each time."""
    number, digits = int.from_bytes(b"\x07" + hashlib.sha256(b"%d" % next(_numbers)).digest()[1:]), ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def asking(kind: str, url: str, offers: int = 1) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of a 402: version 2 has its terms in a header, version 1 in the body."""
    text = json.dumps(document(kind, url, offers), separators=(",", ":")).encode()
    headers = [("content-type", "application/json")]
    if kind == "evm1":
        return headers, text
    return [*headers, ("payment-required", base64.b64encode(text).decode())], b"{}"


def receipt(kind: str, payer: str) -> tuple[str, str]:
    """The header that answers a payment."""
    network = {"evm1": "base-sepolia", "solana": DEVNET, "hinted": DEVNET}.get(kind, f"eip155:{CHAIN_ID}")
    text = json.dumps({"success": True, "transaction": "0x" + "fe" * 32, "network": network, "payer": payer})
    name = "x-payment-response" if kind == "evm1" else "payment-response"
    return name, base64.b64encode(text.encode()).decode()


def rpc_answer(method: str) -> Any:
    """What a Solana endpoint tells."""
    if method == "getGenesisHash":
        return DEVNET.partition(":")[2]
    if method == "getLatestBlockhash":
        value: dict[str, Any] = {"blockhash": BLOCKHASH, "lastValidBlockHeight": 1_000}
    else:
        mint = bytearray(82)
        mint[44:46] = 6, 1
        data = [base64.b64encode(mint).decode(), "base64"]
        value = {"data": data, "owner": TOKEN_PROGRAM, "executable": False, "lamports": 1, "rentEpoch": 0, "space": 82}
    return {"context": {"slot": 500}, "value": value}
