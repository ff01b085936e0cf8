"""The least that a payment can take: no checks at all, no budget, no memory, but a signature that is right.

``python -m tests.soak.benchmarks.floor`` is its worker; the null payer, which sends one header for ever, is here too.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import coincurve
import httpx
from Crypto.Hash import keccak as _keccak
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.token.associated import get_associated_token_address
from solders.transaction import VersionedTransaction

from . import terms, wire
from .crew import serve
from .turnstile import HOST, Turnstile


def keccak(data: bytes) -> bytes:
    return _keccak.new(data=data, digest_bits=256).digest()


_KEY = coincurve.PrivateKey(bytes.fromhex(terms.KEY[2:]))
_TYPE = keccak(
    b"TransferWithAuthorization(address from,address to,uint256 value,"
    b"uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)
_DOMAIN = keccak(
    keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    + keccak(b"USDC")
    + keccak(b"2")
    + terms.CHAIN_ID.to_bytes(32)
    + bytes.fromhex(terms.USDC[2:]).rjust(32, b"\0")
)
_FROM = bytes.fromhex(terms.PAYER[2:]).rjust(32, b"\0")


def evm(offer: dict[str, Any], amount: str) -> dict[str, Any]:
    """One EIP-3009 payload."""
    nonce, expires = os.urandom(32), int(time.time()) + 60
    packed = (
        _TYPE
        + _FROM
        + bytes.fromhex(offer["payTo"][2:]).rjust(32, b"\0")
        + int(amount).to_bytes(32)
        + bytes(32)
        + expires.to_bytes(32)
        + nonce
    )
    signature = _KEY.sign_recoverable(keccak(b"\x19\x01" + _DOMAIN + keccak(packed)), hasher=None)
    authorization = {
        "from": terms.PAYER,
        "to": offer["payTo"],
        "value": amount,
        "validAfter": "0",
        "validBefore": str(expires),
        "nonce": "0x" + nonce.hex(),
    }
    return {"signature": "0x" + signature[:64].hex() + f"{signature[64] + 27:02x}", "authorization": authorization}


_KEYPAIR = Keypair.from_seed(terms.SEED)
_PROGRAM, _MINT = Pubkey.from_string(terms.TOKEN_PROGRAM), Pubkey.from_string(terms.MINT)
_MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
_SOURCE = get_associated_token_address(_KEYPAIR.pubkey(), _MINT, _PROGRAM)
_TARGETS: dict[str, Pubkey] = {}


def _target(owner: str) -> Pubkey:
    if owner not in _TARGETS:
        _TARGETS[owner] = get_associated_token_address(Pubkey.from_string(owner), _MINT, _PROGRAM)
    return _TARGETS[owner]


def solana(offer: dict[str, Any]) -> dict[str, Any]:
    """One transaction that the fee payer completes."""
    accounts = [
        AccountMeta(_SOURCE, False, True),
        AccountMeta(_MINT, False, False),
        AccountMeta(_target(offer["payTo"]), False, True),
        AccountMeta(_KEYPAIR.pubkey(), True, False),
    ]
    instructions = [
        set_compute_unit_limit(20_000),
        set_compute_unit_price(1),
        Instruction(_PROGRAM, bytes([12]) + int(offer["amount"]).to_bytes(8, "little") + bytes([6]), accounts),
        Instruction(_MEMO, os.urandom(16).hex().encode(), []),
    ]
    fee_payer = Pubkey.from_string(offer["extra"]["feePayer"])
    blockhash = Hash.from_string(offer["extra"].get("recentBlockhash", terms.BLOCKHASH))
    message = MessageV0.try_compile(fee_payer, instructions, [], blockhash)
    signatures = [Signature.default(), _KEYPAIR.sign_message(to_bytes_versioned(message))]
    return {"transaction": base64.b64encode(bytes(VersionedTransaction.populate(message, signatures))).decode()}


def pays(response: httpx.Response, body: bytes) -> tuple[bytes, bytes]:
    """The header that pays a 402."""
    header = response.headers.get("payment-required")
    if header is None:
        offer = json.loads(body)["accepts"][-1]
        paid = {"x402Version": 1, "scheme": "exact", "network": offer["network"]}
        return b"X-PAYMENT", _encoded(paid | {"payload": evm(offer, offer["maxAmountRequired"])})
    document = json.loads(base64.b64decode(header))
    offer = document["accepts"][0]
    payload = solana(offer) if offer["network"].startswith("solana:") else evm(offer, offer["amount"])
    paid = {"x402Version": 2, "payload": payload, "accepted": offer, "resource": document["resource"]}
    return b"PAYMENT-SIGNATURE", _encoded(paid)


def _encoded(document: dict[str, Any]) -> bytes:
    return base64.b64encode(json.dumps(document, separators=(",", ":")).encode())


def constant(response: httpx.Response, body: bytes) -> tuple[bytes, bytes]:
    """The null payer's."""
    return b"PAYMENT-SIGNATURE", b"bnVsbA=="


Pays = Callable[[httpx.Response, bytes], tuple[bytes, bytes]]


class Paying(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that sends every request once more, with a header."""

    def __init__(self, pays: Pays, inner: Any) -> None:
        self._pays, self._inner = pays, inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if response.status_code != 402:
            return response
        body = b"".join(response.stream)
        response.stream.close()
        return self._inner.handle_request(self._again(request, self._pays(response, body)))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if response.status_code != 402:
            return response
        body = b"".join([chunk async for chunk in response.stream])
        await response.stream.aclose()
        return await self._inner.handle_async_request(self._again(request, self._pays(response, body)))

    @staticmethod
    def _again(request: httpx.Request, header: tuple[bytes, bytes]) -> httpx.Request:
        return httpx.Request(
            request.method,
            request.url,
            headers=[*request.headers.raw, header],
            stream=request.stream,
            extensions=request.extensions,
        )

    def close(self) -> None:
        self._inner.close()

    async def aclose(self) -> None:
        await self._inner.aclose()


class Ahead(Paying):
    """Pays in the first request, under the terms of the first 402."""

    _known: httpx.Response | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._known is None:
            self._known = self._inner.handle_request(request)
            self._known.read()
        return self._inner.handle_request(self._again(request, pays(self._known, b"")))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._known is None:
            self._known = await self._inner.handle_async_request(request)
            await self._known.aread()
        return await self._inner.handle_async_request(self._again(request, pays(self._known, b"")))


PAYERS = {"floor": pays, "null": constant}
_TURNSTILE = Turnstile()
_RUNNER = asyncio.Runner()


def retry(kind: str, count: int, colour: str, payer: str = "floor") -> float:
    """Return the microseconds from a 402 to its payment: a median."""
    client = _client(PAYERS[payer], colour)
    wire.buy(client, [wire.paid(HOST + terms.PATHS[kind])] * count, _RUNNER)
    return median(_TURNSTILE.microseconds())


_CLIENTS: dict[tuple[Pays, str], Any] = {}


def _client(payer: Pays, colour: str) -> Any:
    kind = httpx.AsyncClient if colour == "async" else httpx.Client
    if (payer, colour) not in _CLIENTS:
        _CLIENTS[payer, colour] = kind(transport=Paying(payer, _TURNSTILE))
    return _CLIENTS[payer, colour]


def last_header() -> list[tuple[str, str]]:
    """Return what was sent last, to be verified."""
    return _TURNSTILE.headers


if __name__ == "__main__":
    serve({"retry": retry, "last_header": last_header})
