"""``x402 decode`` reads what any stranger wrote: each value of each kind of text may be of any kind, or be missing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

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


def dresses(header: str, payment: dict[str, Any]) -> Iterator[Any]:
    """Give a payment in the ways in which a seller that refuses it may repeat it."""
    secret = payment["payload"].get("signature") or payment["payload"]["transaction"]
    yield from (
        payment,
        payment["payload"],
        [secret],
        {secret: 1},
        str(payment),
        header,
        quote(header, safe=""),
        secret,
    )
    yield from (json.dumps(payment), json.dumps(json.dumps(payment)), header.translate({43: "-", 47: "_"}).rstrip("="))
    yield from (f"bad PAYMENT-SIGNATURE={header}", "x " * 120 + secret, secret.upper(), secret.removeprefix("0x"))


def repeating(told: Any) -> Iterator[Any]:
    """Give what a seller may answer that has a text of its own choice in it, in each place that is shown."""
    text = told if isinstance(told, str) else json.dumps(told)
    yield document(entry(), error=told)
    yield document(entry(), resource={"url": text, "description": text})
    yield document(entry(), extensions={text: {}})
    yield {"jsonrpc": "2.0", "id": 1, "error": {"code": 402, "data": document(entry(), error=told)}}
    for field in ("errorReason", "error", "transaction", "network", "payer", "amount"):
        yield {"success": False, "errorReason": "no", "transaction": "", field: told}


def test_a_payment_that_a_seller_repeats_is_not_shown(heads: dict[str, Heads]) -> None:  # noqa: F811
    shown = []
    for path, seen in heads.items():
        header = seen.get("payment-signature") or seen["x-payment"]
        payment = opened(header)
        secret = payment["payload"].get("signature") or payment["payload"]["transaction"]
        # A transaction begins with the room for the signature of who pays the fee, which is empty.
        parts = {secret[-90:-40], secret[2:][-90:-40].upper(), header[60:110], header[-90:-40]}
        for dress in dresses(header, payment):
            for answer in repeating(dress):
                out = json.dumps(as_json(read_text(json.dumps(answer))))
                shown += [f"{path}: {answer!r:.80}" for part in parts if part in out or part in out.replace("%2B", "+")]
    assert shown == []


def test_long_words_that_are_no_payment_are_shown() -> None:
    for text in ("z" * 250, "/".join(["path"] * 40), "https://api.example.com/" + "v1/" * 40, "1" * 88, "x-" * 60):
        assert text in json.dumps(as_json(read_text(json.dumps(document(entry(), error=text)))))
