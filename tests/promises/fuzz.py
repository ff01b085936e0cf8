"""Feeds broken 402s and receipts to their readers: nothing but our own errors, and no signature for a wrong offer.

python -m tests.promises.fuzz 60            mutates sound documents for 60 seconds, from a new seed each time
python -m tests.promises.fuzz 60 7          the same from seed 7
python -m tests.promises.fuzz 60 atheris    guided by coverage, where atheris is installed
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import random
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

from tests.adapters.cash_register import KEY, PAYER, Till
from x402_client import Buyer, Policy, Wallet
from x402_client.chains.tokens import KNOWN
from x402_client.core import asks
from x402_client.core.drive import run
from x402_client.errors import QuoteError
from x402_client.model.hosts import Origin
from x402_client.model.networks import caip2
from x402_client.model.offers import Offer, Quote
from x402_client.policy.choice import Mandate, choose, pick
from x402_client.wire.bounds import DEFAULT
from x402_client.wire.json_text import load_base64
from x402_client.wire.read import read_quote, read_receipt
from x402_client.wire.write import payment_header

URL, ORIGIN = "https://seller.example/", Origin("https", "seller.example", 443)
POLICY = Policy(per_request="0.05", per_day="5")
BUYER = Buyer(Wallet(evm=KEY), POLICY, ledger=":memory:")
MOST = 50_000
_PLAIN_NUMBER = re.compile(r"[1-9][0-9]*", re.ASCII)
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}", re.ASCII)

SOUND: list[Any] = [
    *({"x402Version": v, "error": "pay", "accepts": [Till(v).offer(), Till(v).offer()]} for v in (1, 2)),
    {
        "x402Version": 2,
        "accepts": [Till(2).offer()],
        "resource": {"url": URL, "description": "d"},
        "extensions": {"x": 1},
    },
    {"success": True, "transaction": "0x" + "ab" * 32, "network": "eip155:84532", "payer": PAYER, "amount": "10000"},
]
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2**53, 2**256, 10**400, 1.5, 1e308, "", "0", "1", "-1", "+1", "1e4", "010", "١٠",
    "0x" + "0" * 40, PAYER, PAYER.lower(), "0X" + PAYER[2:], [], {}, [[]], {"a": {"b": []}}, "x" * 300, "\ud83d\ude00",
    "\u202e", "\x00", "base", "eip155:8453", "eip155:84532", "solana", "USDC", "usdc", "EURC", "exact", "upto",
    "eip3009", "permit2", "GatewayWalletBatched", {"name": "GatewayWalletBatched"}, {"assetTransferMethod": "permit2"},
    {"paymentFlow": "escrow"}, "99999999", "50000", "50001", 50_001,
]  # fmt: skip
PIECES = [
    b'"amount":"1",', b'"x402Version":2', b"[[[[", b"{}", b'"', b"\\ud800", b"NaN", b"1e999", b"\xff", b"\x00",
    b"9" * 80,
    b"}", b"]", b",", b"\xef\xbb\xbf", b'"payTo":"0x0000000000000000000000000000000000000000",', b"-", b"_", b"=",
]  # fmt: skip


def look(data: bytes) -> None:
    """One input, in every place where a server may put it. Raises AssertionError where something is wrong."""
    text = data.decode("latin-1")
    packed = base64.b64encode(data).decode()
    for headers, body in (
        ({"payment-required": packed}, b"{}"),
        ({"x-payment-required": text}, b""),
        ({"payment-required": text[: len(text) // 2], "x-payment-required": packed}, data),
        ({"payment-required": packed}, None),
        ({}, data),
    ):
        found = _read(headers, body)
        if isinstance(found, Quote):
            _judge(found)
        if isinstance(found, QuoteError):
            assert str(found).isprintable()
            assert len(str(found)) < 2_000
    for name in ("payment-response", "x-payment-response"):
        for value in (text, packed):
            said = read_receipt({name: value}.get, DEFAULT)
            assert said is None or all(t.isprintable() and len(t) <= 200 for t in (said.transaction, said.error))
    with contextlib.suppress(QuoteError):
        load_base64(text, DEFAULT.depth)


def _read(headers: dict[str, str], body: bytes | None) -> Quote | QuoteError | None:
    try:
        return read_quote(headers.get, body, URL, DEFAULT)
    except QuoteError as fault:
        return fault


def _judge(quote: Quote) -> None:
    judged = choose(quote, POLICY, ORIGIN, BUYER.rules.means, Mandate(), DEFAULT)
    assert pick(quote, POLICY, ORIGIN, BUYER.rules.means, Mandate(), DEFAULT) == judged.choice
    assert all(reason.isprintable() for reason in judged.reasons)
    if judged.choice is not None:
        _check_offer(judged.choice)
        _check_signed(judged, judged.choice)


def _check_offer(offer: Offer) -> None:
    """By the text itself, and by nothing that the policy uses: whether this may be signed."""
    raw = offer.raw
    amounts = [raw[name] for name in ("amount", "maxAmountRequired") if raw.get(name) is not None]
    assert amounts
    assert all(type(amount) is int or _PLAIN_NUMBER.fullmatch(amount) for amount in amounts)
    assert {int(amount) for amount in amounts} == {offer.amount}
    assert 0 < offer.amount <= MOST
    assert raw["scheme"] == "exact"
    known = [token for token in KNOWN if token.network == caip2(raw["network"])]
    assert any(raw["asset"].lower() in (token.address.lower(), token.symbol.lower()) for token in known)
    to = raw["payTo"].lower()
    assert _ADDRESS.fullmatch(raw["payTo"])
    assert to not in (
        "0x" + "0" * 40,
        PAYER.lower(),
        *(token.address.lower() for token in known if token == offer.token),
    )
    extra = raw.get("extra") or {}
    assert extra.get("name") != "GatewayWalletBatched"
    assert (extra.get("assetTransferMethod") or "eip3009") == "eip3009"
    assert (extra.get("paymentFlow") or "authorization") in ("authorization", "upfront")


def _check_signed(quote: Quote, offer: Offer) -> None:
    signer: Any = BUYER.wallet.evm

    def answer(ask: Any) -> Any:
        assert isinstance(ask, asks.SignTyped)
        return asks.SignatureGiven(signer.sign(ask.data), trusted=True)

    signed = run(BUYER.rules.schemes["exact", "eip155"].sign(offer, POLICY.validity), answer)
    message = signed.payload["authorization"]
    assert (message["from"], message["to"], message["value"]) == (PAYER, offer.raw["payTo"], str(offer.amount))
    assert int(message["validAfter"]) < time.time() < int(message["validBefore"]) <= time.time() + 601
    _, value = payment_header(quote, offer, signed.payload, DEFAULT)
    assert len(value) <= DEFAULT.payment_header


def mutated(chance: random.Random) -> bytes:
    """A sound document with something wrong: in its structure, in its bytes, or in both."""
    document = copy.deepcopy(chance.choice(SOUND))
    for _ in range(chance.randrange(4)):
        _change(document, chance)
    data = bytearray(json.dumps(document).encode())
    for _ in range(chance.choice([0, 0, 0, 1, 2, 5])):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                data[at:at] = chance.choice(PIECES)
            case 1:
                del data[at : at + chance.randrange(1, 20)]
            case 2:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 3:
                data[at:at] = data[chance.randrange(len(data) + 1) :][:60]
            case _:
                del data[at:]
    return bytes(data)


def _change(document: Any, chance: random.Random) -> None:
    place = chance.choice(list(_containers(document)))
    if isinstance(place, list):
        place.insert(chance.randrange(len(place) + 1), copy.deepcopy(chance.choice(ODD)))
        return
    name = chance.choice([*place, "new", "amount", "payTo", "extra", "asset", "network", "maxTimeoutSeconds"])
    if chance.random() < 0.2:
        place.pop(name, None)
    else:
        place[name] = copy.deepcopy(chance.choice(ODD))


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _containers(inner)


def rounds(seed: int) -> Iterator[bytes]:
    """Inputs without end, the same for the same seed."""
    chance = random.Random(seed)
    while True:
        yield mutated(chance)


def _by_mutation(seconds: float, seed: int) -> None:
    until, count, slowest = time.monotonic() + seconds, 0, 0.0
    for data in rounds(seed):
        started = time.monotonic()
        if started > until:
            break
        try:
            look(data)
        except BaseException:
            print(f"seed {seed}, input {count}: {data!r}")
            raise
        count, slowest = count + 1, max(slowest, time.monotonic() - started)
    print(f"seed {seed}: {count} inputs, the slowest took {slowest * 1000:.1f} ms")


def _by_coverage(seconds: float) -> None:
    import atheris  # type: ignore[import-not-found]

    for module in ("wire.read", "wire.json_text", "wire.models", "wire.networks", "wire.write", "policy"):
        loaded = sys.modules[f"x402_client.{module}"]
        for name, function in list(vars(loaded).items()):
            if (
                callable(function)
                and getattr(function, "__module__", "") == loaded.__name__
                and hasattr(function, "__code__")
            ):
                setattr(loaded, name, atheris.instrument_func(function))
    atheris.Setup([sys.argv[0], f"-max_total_time={int(seconds)}", "-max_len=4096", *_corpus()], look)
    atheris.Fuzz()


def _corpus() -> list[str]:
    import tempfile
    from pathlib import Path

    folder = Path(tempfile.mkdtemp())
    for number, data in zip(range(200), rounds(1), strict=False):
        (folder / str(number)).write_bytes(data)
    return [str(folder)]


if __name__ == "__main__":
    given = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    how = sys.argv[2] if len(sys.argv) > 2 else str(random.randrange(10**9))
    _by_coverage(given) if how == "atheris" else _by_mutation(given, int(how))
