"""A payment scheme and a family of chains of somebody else's, and a seller that checks what they sign."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from x402_client import Token
from x402_client.core import Ask, Sign, Signed
from x402_client.errors import SigningError
from x402_client.model.offers import Offer

NETWORK = "demo:1"
SELLER, GOLD = "5e" * 32, "6a" * 32
TOKEN = Token(NETWORK, GOLD, "GOLD", decimals=2)
KEYPAIR = Keypair.from_seed(b"not worth anything to anybody...")
PAYER = bytes(KEYPAIR.pubkey()).hex()
#: As the key itself would show.
SECRET = bytes(KEYPAIR.secret()).hex()


class Demo:
    """An address is an Ed25519 key in hex, in small letters or capitals."""

    name = "demo"

    def is_address(self, text: str) -> bool:
        return len(text) == 64 and not set(text) - set("0123456789abcdefABCDEF")

    def canonical(self, address: str) -> str:
        return address.lower()


class Key:
    """Signs at once, in a thread, or asynchronously."""

    def __init__(self, blocking: bool = True) -> None:
        self.address, self.blocking = PAYER, blocking
        self.threads: list[str] = []

    def sign(self, data: bytes) -> bytes:
        self.threads.append(threading.current_thread().name)
        return bytes(KEYPAIR.sign_message(data))


class AsyncKey:
    """Has to be awaited."""

    address = PAYER

    async def sign(self, data: bytes) -> bytes:
        return bytes(KEYPAIR.sign_message(data))


class Voucher:
    """Pays with a signed voucher."""

    name: str = "voucher"
    family: Any = Demo()

    def __init__(self, payer: str = PAYER) -> None:
        self.payer = payer

    def objection(self, offer: Offer) -> str | None:
        if not Demo().is_address(offer.pay_to):
            return "payTo is not an address"
        return "payTo is the buyer itself" if offer.pay_to.lower() == self.payer else None

    def remark(self, offer: Offer) -> str | None:
        return None

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        nonce, expires = secrets.token_hex(16), int(time.time()) + max(1, min(offer.timeout or 60, validity))
        voucher = {
            "to": offer.pay_to,
            "amount": str(offer.amount),
            "from": self.payer,
            "nonce": nonce,
            "until": expires,
        }
        given = yield from Sign("demo", signed_bytes(voucher))
        if not is_by(self.payer, given.signature, voucher):
            raise SigningError("The signature that came back is not by the payer. Nothing was sent.")
        return Signed({"voucher": voucher, "signature": given.signature.hex()}, nonce, self.payer, expires)


def signed_bytes(voucher: Mapping[str, Any]) -> bytes:
    return json.dumps(voucher, sort_keys=True).encode()


def is_by(payer: str, signature: bytes, voucher: Mapping[str, Any]) -> bool:
    if len(signature) != 64:
        return False
    return Signature.from_bytes(signature).verify(Pubkey.from_bytes(bytes.fromhex(payer)), signed_bytes(voucher))


def entry(**changes: Any) -> dict[str, Any]:
    """One offer, as the seller writes it."""
    plain = {"scheme": "voucher", "network": NETWORK, "amount": "5", "asset": GOLD, "payTo": SELLER}
    return {**plain, "maxTimeoutSeconds": 60, "extra": {"kind": "gold"}, **changes}


def offer(**changes: Any) -> Offer:
    """One offer, as a scheme sees it."""
    plain: dict[str, Any] = {
        "position": 1,
        "version": 2,
        "scheme": "voucher",
        "network": NETWORK,
        "amount": 5,
        "asset": GOLD,
    }
    more = {"pay_to": SELLER, "timeout": 60, "token": TOKEN, "price": TOKEN.price(5), "extra": {"kind": "gold"}}
    return Offer(**(plain | more | changes))


class Till:
    """Asks for vouchers and takes each once. ``payer`` is what its receipts name."""

    def __init__(self, *entries: Mapping[str, Any], payer: str | None = None, status: int = 200) -> None:
        self.entries, self.payer, self.status = entries or (entry(),), payer, status
        self.taken: list[Mapping[str, Any]] = []
        self.url = ""

    def takes(self, payload: Mapping[str, Any]) -> bool:
        voucher = payload["voucher"]
        fresh = voucher["until"] > time.time() and voucher["nonce"] not in [one["nonce"] for one in self.taken]
        if not fresh or not is_by(voucher["from"], bytes.fromhex(payload["signature"]), voucher):
            return False
        self.taken.append(voucher)
        return True

    @contextmanager
    def open(self) -> Iterator[Till]:
        with ThreadingHTTPServer(("127.0.0.1", 0), _handler(self)) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_port}/page"
            try:
                yield self
            finally:
                server.shutdown()


def _handler(till: Till) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            payment = self.headers.get("PAYMENT-SIGNATURE")
            if payment is not None and till.takes(json.loads(base64.b64decode(payment))["payload"]):
                settled = {"success": True, "transaction": "v1", "network": NETWORK, "payer": till.payer}
                self._say(till.status, "PAYMENT-RESPONSE", settled)
            else:
                resource = {"url": till.url}
                self._say(402, "PAYMENT-REQUIRED", {"x402Version": 2, "accepts": till.entries, "resource": resource})

        def _say(self, status: int, header: str, value: Mapping[str, Any]) -> None:
            self.send_response(status)
            self.send_header(header, base64.b64encode(json.dumps(value).encode()).decode())
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
