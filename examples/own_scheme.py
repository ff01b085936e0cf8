"""A payment scheme of your own, on a chain that the package does not know, at a seller that checks every signature.

The family says what an address is. The scheme looks at offers and makes payments; it is written once, for sync and
async clients. The key stays with a signer in the wallet. Budgets, holds and receipts work as for every other payment.

Run it: python examples/own_scheme.py
"""

import base64
import json
import secrets
import threading
import time
from collections.abc import Generator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from x402_client import Buyer, Policy, Token, Wallet, errors
from x402_client.core import Ask, Sign, Signed
from x402_client.httpx import wrap
from x402_client.model.offers import Offer

SELLER, GOLD = "5e" * 32, "60" * 32


class Demo:
    """The family of the networks ``demo:1``, ``demo:2`` and so on: an address is an Ed25519 key in hex."""

    name = "demo"

    def is_address(self, text: str) -> bool:
        return len(text) == 64 and all(digit in "0123456789abcdefABCDEF" for digit in text)

    def canonical(self, address: str) -> str:
        return address.lower()


class Key:
    """A signer for that family: an address, and ``sign``, sync or async."""

    blocking = False

    def __init__(self, keypair: Keypair) -> None:
        self._keypair = keypair
        self.address = bytes(keypair.pubkey()).hex()

    def sign(self, data: bytes) -> bytes:
        return bytes(self._keypair.sign_message(data))


class Voucher:
    """Pays with a signed voucher that names the seller, the amount, and when it expires."""

    name, family = "voucher", Demo()

    def __init__(self, payer: str) -> None:
        self.payer = payer

    def objection(self, offer: Offer) -> str | None:
        if not self.family.is_address(offer.pay_to):
            return "payTo is not an address"
        return "payTo is the buyer itself" if self.family.canonical(offer.pay_to) == self.payer else None

    def remark(self, offer: Offer) -> str | None:
        return None

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        assert offer.token is not None
        nonce, expires = secrets.token_hex(16), int(time.time()) + min(offer.timeout or 60, validity)
        voucher = {
            "network": offer.network,
            "asset": offer.token.address,
            "from": self.payer,
            "to": offer.pay_to,
            "amount": str(offer.amount),
            "nonce": nonce,
            "expires": expires,
        }
        given = yield from Sign("demo", signed_bytes(voucher))
        if not is_by(self.payer, given.signature, voucher):
            raise errors.SigningError("The signature that came back is not by the payer. Nothing was sent.")
        return Signed({"voucher": voucher, "signature": given.signature.hex()}, nonce, self.payer, expires)


def signed_bytes(voucher: Mapping[str, Any]) -> bytes:
    return json.dumps(voucher, sort_keys=True).encode()


def is_by(payer: str, signature: bytes, voucher: Mapping[str, Any]) -> bool:
    key = Pubkey.from_bytes(bytes.fromhex(payer))
    return len(signature) == 64 and Signature.from_bytes(signature).verify(key, signed_bytes(voucher))


class Seller(BaseHTTPRequestHandler):
    """Asks five units of gold for a page, and takes each voucher once."""

    offer: ClassVar[Mapping[str, Any]] = {
        "scheme": "voucher",
        "network": "demo:1",
        "amount": "5",
        "asset": GOLD,
        "payTo": SELLER,
        "maxTimeoutSeconds": 60,
        "extra": {},
    }
    taken: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        payment = self.headers.get("PAYMENT-SIGNATURE")
        if payment is None or not self.takes(json.loads(base64.b64decode(payment))["payload"]):
            terms = {"x402Version": 2, "error": "pay first", "accepts": [self.offer], "resource": {"url": self.path}}
            self.answer(402, "PAYMENT-REQUIRED", terms, b"")
            return
        settled = {"success": True, "transaction": f"voucher {len(self.taken)}", "network": "demo:1"}
        self.answer(200, "PAYMENT-RESPONSE", settled, b"worth it")

    def takes(self, payload: Mapping[str, Any]) -> bool:
        voucher = payload["voucher"]
        agreed = (voucher["asset"], voucher["to"], voucher["amount"]) == (GOLD, SELLER, "5")
        fresh = voucher["expires"] > time.time() and voucher["nonce"] not in self.taken
        if not (agreed and fresh and is_by(voucher["from"], bytes.fromhex(payload["signature"]), voucher)):
            return False
        self.taken.add(voucher["nonce"])
        print("The seller checked a voucher for", voucher["amount"], "units by", voucher["from"][:8])
        return True

    def answer(self, status: int, header: str, value: Mapping[str, Any], body: bytes) -> None:
        self.send_response(status)
        self.send_header(header, base64.b64encode(json.dumps(value).encode()).decode())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


key = Key(Keypair.from_seed(bytes(range(32))))
policy = Policy(per_request="0.10", per_day="0.12", tokens=[Token("demo:1", GOLD, "GOLD", decimals=2)])
buyer = Buyer(Wallet(further={"demo": key}), policy, ledger=":memory:", schemes=[Voucher(key.address)])

with ThreadingHTTPServer(("127.0.0.1", 0), Seller) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/page"
    with wrap(httpx.Client(), buyer) as client:
        for name in ("one", "two", "three"):
            try:
                response = client.get(f"{url}/{name}")
                outcome = response.extensions["x402"]
                print(f"Got {response.text} for {outcome.hold.price}; the money is {outcome.money}")
            except errors.OverLimit as refusal:
                print(f"Not {name}: {refusal.spent} of {refusal.limit} is spent")
    server.shutdown()
print("Spent", buyer.spent(), "in", len(Seller.taken), "vouchers")
