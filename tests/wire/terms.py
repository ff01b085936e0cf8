"""402s as sellers write them: entries, documents, headers."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from x402_client.model.hosts import Origin
from x402_client.model.offers import Quote
from x402_client.wire.bounds import DEFAULT, Bounds
from x402_client.wire.read import read_quote

URL = "https://api.example.com/weather"
ORIGIN = Origin("https", "api.example.com", 443)
NETWORK = "eip155:84532"
USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
BASE_USDC = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
BASE_EURC = "0x60a3E35Cc302bFA44Cb288Bc5a4F316Fdb1adb42"
SELLER = "0x" + "5e11e7" * 6 + "5e11"
KEY = "0x" + "46" * 32
PAYER = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"


def entry(**changes: Any) -> dict[str, Any]:
    """One offer in the words of version 2; ``None`` is written as null, ``...`` leaves the field out."""
    plain = {
        "scheme": "exact",
        "network": NETWORK,
        "amount": "10000",
        "asset": USDC,
        "payTo": SELLER,
        "maxTimeoutSeconds": 60,
        "extra": {"name": "USDC", "version": "2"},
    }
    return {name: value for name, value in (plain | changes).items() if value is not ...}


def entry_v1(**changes: Any) -> dict[str, Any]:
    """One offer in the words of version 1."""
    plain = {
        "amount": ...,
        "maxAmountRequired": "10000",
        "network": "base-sepolia",
        "resource": URL,
        "description": "the weather",
        "mimeType": "application/json",
        "outputSchema": None,
    }
    return entry(**(plain | changes))


def document(*entries: Any, version: Any = 2, **more: Any) -> dict[str, Any]:
    """The whole document around some entries."""
    accepts = list(entries) or [entry() if version == 2 else entry_v1()]
    return {"x402Version": version, "error": "payment required", "accepts": accepts, **more}


def challenge(issued: float | None = None, chains: tuple[str, ...] = (NETWORK,), **changes: Any) -> dict[str, Any]:
    """The extension sign-in-with-x of a 402; ``...`` leaves a field of its info out."""
    made = datetime.fromtimestamp(time.time() if issued is None else issued, UTC)
    plain = {
        "domain": "api.example.com",
        "uri": URL,
        "version": "1",
        "nonce": secrets.token_hex(16),
        "issuedAt": made.isoformat().replace("+00:00", "Z"),
        "resources": [URL],
    }
    info = {name: value for name, value in (plain | changes).items() if value is not ...}
    kinds = {"eip155": "eip191", "solana": "ed25519"}
    listed = [{"chainId": chain, "type": kinds[chain.partition(":")[0]]} for chain in chains]
    return {"sign-in-with-x": {"info": info, "supportedChains": listed, "schema": {}}}


def encoded(value: Any) -> str:
    """Base64 of JSON, as headers carry it."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.b64encode(raw).decode()


def decoded(header: str) -> Any:
    """Back again."""
    return json.loads(base64.b64decode(header))


def headers(**given: str) -> Callable[[str], str | None]:
    """What an HTTP library offers: a header by name, or None. Underscores stand for dashes."""
    by_name = {name.replace("_", "-").lower(): value for name, value in given.items()}
    return lambda name: by_name.get(name.lower())


def read(
    body: Any = None, bounds: Bounds = DEFAULT, raw: bytes | None = b"{}", **given: str | Mapping[str, Any]
) -> Quote | None:
    """``read_quote`` of a body and of headers; what is not text yet is encoded. ``raw`` of None: a body too large."""
    texts = {name: value if isinstance(value, str) else encoded(value) for name, value in given.items()}
    data = raw if body is None else json.dumps(body).encode()
    return read_quote(headers(**texts), data, URL, bounds)


def quoted(*entries: Any, version: int = 2, **more: Any) -> Quote:
    """The quote that these entries make."""
    found = read(document(*entries, version=version, **more))
    assert found is not None
    return found
