"""``x402 decode`` reads what any stranger wrote: each value of each kind of text may be of any kind, or be missing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.schemes.test_offer_receipt import VECTORS
from tests.wire.terms import challenge, document, entry, entry_v1
from x402_client.cli.commands.decode import document as as_json
from x402_client.cli.commands.decode import read_text
from x402_client.sandbox import Sandbox

from .test_decode import Heads, heads  # noqa: F401 - a fixture
from .test_permits import heads_of
from .test_sign_in import header

#: A value of every kind, and numbers and texts at the edges of what fields hold.
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 7, 2**70, 1.5, 1e300, "", "x", "0", "0x", "solana:x", "eip155:x", "eip155:1", "\ud800",
    "é" * 300, "0x" + "1" * 40, "1" * 78, "9" * 200, [], [[]], [None], ["x"], {}, {"x": 1}, {"": {}}, ...,
)  # fmt: skip


def opened(blob: str) -> Any:
    return json.loads(blob if blob.startswith("{") else base64.b64decode(blob))


@pytest.fixture(scope="module")
def samples(seller: Sandbox, heads: dict[str, Heads]) -> dict[str, Any]:  # noqa: F811
    """A text of each kind."""
    found = {f"{path} {name}": opened(blob) for path, seen in heads.items() for name, blob in seen.items()}
    found["permit asked"], found["permit given"] = map(opened, heads_of(seller))
    found["sign-in"] = opened(header(seller.sell_nothing("/signed/odd", content="done"), seller))
    found["signed offers"] = opened(httpx.get(f"{seller.url}/offer-receipt/weather").headers["payment-required"])
    found["challenge"] = document(entry(), extensions=challenge())
    found["version 1"] = document(entry_v1(), version=1)
    receipt = {"success": True, "transaction": "0xfeed", "network": "base-sepolia", "payer": "0x" + "1" * 40}
    signed = {"offer-receipt": {"info": {"receipt": VECTORS["eip712"]["receipt"]}}}
    found["signed receipt"] = receipt | {"extensions": signed}
    found["tool"] = {"jsonrpc": "2.0", "id": 1, "result": {"isError": True, "structuredContent": document(entry())}}
    found["tool's text"] = {"isError": True, "content": [{"type": "text", "text": json.dumps(document(entry()))}]}
    found["tool's error"] = {"jsonrpc": "2.0", "id": 1, "error": {"code": 402, "data": document(entry())}}
    found["tool's receipt"] = {"content": [], "_meta": {"x402/payment-response": receipt}}
    return found


def changed(whole: Any) -> Iterator[tuple[str, Any]]:
    """Give the value with each of its parts replaced by each odd value in turn, and where that was."""
    parts = (
        list(whole.items()) if isinstance(whole, dict) else list(enumerate(whole)) if isinstance(whole, list) else []
    )
    for name, part in parts:
        for odd in ODD:
            made = whole.copy()
            if odd is ...:
                del made[name]
            else:
                made[name] = odd
            yield f"{name} = {odd!r:.30}", made
        for place, inner in changed(part):
            made = whole.copy()
            made[name] = inner
            yield f"{name}.{place}", made


def test_no_text_of_a_stranger_breaks_it(samples: dict[str, Any]) -> None:
    broken = []
    for kind, sample in samples.items():
        for place, odd in changed(sample):
            try:
                json.dumps(as_json(read_text(json.dumps(odd), asked_url="https://api.example.com/x")))
            except Exception as failure:
                broken.append(f"{kind}: {place}: {type(failure).__name__}: {failure}")
    assert broken == []


def test_no_bytes_of_a_transaction_break_it(samples: dict[str, Any]) -> None:
    whole = samples["/solana/weather payment-signature"]
    raw = base64.b64decode(whole["payload"]["transaction"])
    for place in range(len(raw)):
        for byte in (0, 1, 127, 128, 255):
            made = base64.b64encode(raw[:place] + bytes([byte]) + raw[place + 1 :]).decode()
            read_text(json.dumps(whole | {"payload": {"transaction": made}}))
        read_text(json.dumps(whole | {"payload": {"transaction": base64.b64encode(raw[:place]).decode()}}))
