"""The seller: an HTTP server in a thread that speaks both versions and settles with the engine."""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from ..chains.tokens import Tokens
from ..errors import ConfigurationError
from ..money import Amount, Money
from ..signers.local import LocalEvmSigner
from ..wallet import Wallet
from .engine import Engine, Settlement

_NETWORK, _NETWORK_V1 = "eip155:84532", "base-sepolia"
_PRICES: Mapping[str, Amount] = {"/weather": "0.01", "/report": "0.05", "/yacht": "250000"}


class Sandbox:
    """A seller on a loopback port.

    ``prices`` maps paths to US dollars, ``content`` to the JSON that is sold there; the same paths under ``/v1``
    speak version 1. Every other path is free.
    """

    def __init__(
        self, prices: Mapping[str, Amount] = _PRICES, content: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        token = Tokens().find(_NETWORK, "USDC")
        assert token is not None
        self.engine = Engine(token)
        self.pay_to = LocalEvmSigner.generate().address
        self.prices = {path: Money(price) for path, price in prices.items()}
        self.content = dict(content or {})
        if any(not path.startswith("/") for path in self.prices):
            raise ConfigurationError("Sandbox prices are by path, and a path starts with a slash.")
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where the seller listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def settlements(self) -> list[Settlement]:
        """Every transfer that happened, in order."""
        return list(self.engine.settlements)

    def wallet(self, dollars: Amount = "100") -> Wallet:
        """A wallet with a new key and this much invented money."""
        signer = LocalEvmSigner.generate()
        self.engine.fund(signer.address, Money(dollars).units)
        return Wallet(evm=signer)

    def __enter__(self) -> Sandbox:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # agents come with many connections at once


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    sandbox: Sandbox

    def do_GET(self) -> None:
        self._body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        version = 1 if path.startswith("/v1/") else 2
        price = self.sandbox.prices.get(path.removeprefix("/v1") if version == 1 else path)
        if price is None:
            self._answer(200, {"free": True, "received": len(self._body)})
        elif version == 1:
            self._sell_v1(path, price.units)
        else:
            self._sell_v2(path, price.units)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

    def _sell_v2(self, path: str, amount: int) -> None:
        offer = self._offer(_NETWORK) | {"amount": str(amount)}
        payment = _opened(self.headers.get("PAYMENT-SIGNATURE"))
        done = self._settled(payment, amount) if payment and payment.get("accepted") == offer else "payment required"
        if isinstance(done, Settlement):
            self._deliver("PAYMENT-RESPONSE", done, path, _NETWORK)
            return
        url = f"{self.sandbox.url}{path}"
        terms = {"x402Version": 2, "error": done, "resource": {"url": url}, "accepts": [offer], "extensions": {}}
        self._answer(402, {}, {"PAYMENT-REQUIRED": _sealed(terms)})

    def _sell_v1(self, path: str, amount: int) -> None:
        payment = _opened(self.headers.get("X-PAYMENT"))
        right = payment is not None and payment.get("network") == _NETWORK_V1
        done = self._settled(payment, amount) if payment and right else "payment required"
        if isinstance(done, Settlement):
            self._deliver("X-PAYMENT-RESPONSE", done, path.removeprefix("/v1"), _NETWORK_V1)
            return
        offer = self._offer(_NETWORK_V1) | {
            "maxAmountRequired": str(amount),
            "resource": f"{self.sandbox.url}{path}",
            "description": "",
            "mimeType": "application/json",
        }
        self._answer(402, {"x402Version": 1, "error": done, "accepts": [offer]})

    def _offer(self, network: str) -> dict[str, Any]:
        token = self.sandbox.engine.token
        return {
            "scheme": "exact",
            "network": network,
            "asset": token.address,
            "payTo": self.sandbox.pay_to,
            "maxTimeoutSeconds": 60,
            "extra": {"name": token.name, "version": token.version},
        }

    def _settled(self, payment: dict[str, Any], amount: int) -> Settlement | str:
        payload = payment.get("payload")
        return self.sandbox.engine.settle(payload if isinstance(payload, dict) else {}, self.sandbox.pay_to, amount)

    def _deliver(self, header: str, done: Settlement, path: str, network: str) -> None:
        receipt = {"success": True, "transaction": done.transaction, "network": network, "payer": done.payer}
        plain = {"paid": str(Money.of_units(done.amount)), "received": len(self._body), "content": "worth it"}
        self._answer(200, self.sandbox.content.get(path, plain), {header: _sealed(receipt)})

    def _answer(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Only the command prints."""


def _handler(sandbox: Sandbox) -> type[_Handler]:
    return type("Handler", (_Handler,), {"sandbox": sandbox})


def _sealed(document: Any) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def _opened(header: str | None) -> dict[str, Any] | None:
    try:
        document = json.loads(base64.b64decode(header or "", validate=True))
    except (binascii.Error, ValueError):
        return None
    return document if isinstance(document, dict) else None
