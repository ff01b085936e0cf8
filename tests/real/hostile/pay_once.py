"""Makes one purchase, for the battery: a seller that settles where FACILITATOR_URL says, and a buyer that pays it.

The buyer learns what settled from the facilitator's own ``/reconcile``, through a reader.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

import x402_client.httpx
from x402_client import Buyer, Hold, Policy, Wallet, errors

FACILITATOR = os.environ.get("FACILITATOR_URL", "")
TIMEOUT = float(os.environ.get("HOSTILE_CLIENT_TIMEOUT", "3"))
TERMS = {
    "x402Version": 2,
    "error": "payment required",
    "accepts": [
        {
            "scheme": "exact", "network": "eip155:84532", "amount": "10000", "maxTimeoutSeconds": 60,
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "payTo": "0x" + "5e11e7" * 6 + "5e11",
            "extra": {"name": "USDC", "version": "2"},
        }
    ],
}  # fmt: skip
#: More than a record takes: an answer beyond it is none.
MOST = 64 * 1024


class Seller(BaseHTTPRequestHandler):
    """A seller that settles before it delivers, and passes on what goes wrong there."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        paid = self.headers.get("PAYMENT-SIGNATURE")
        if paid is None:
            return self._answer(402, TERMS, ("PAYMENT-REQUIRED", TERMS))
        status, receipt = settle(json.loads(base64.b64decode(paid)))
        if status == 200:
            return self._answer(200, {"forecast": "sun"}, ("PAYMENT-RESPONSE", receipt))
        return self._answer(402, TERMS, ("PAYMENT-REQUIRED", TERMS)) if status == 402 else self._answer(502, {}, None)

    def _answer(self, status: int, body: Any, header: tuple[str, Any] | None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        if header is not None:
            self.send_header(header[0], base64.b64encode(json.dumps(header[1]).encode()).decode())
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None: ...


def settle(payment: dict[str, Any]) -> tuple[int, Any]:
    """Return the facilitator's status and answer; 504 if none came in time."""
    body = {"paymentPayload": payment, "paymentRequirements": TERMS["accepts"][0]}  # type: ignore[index]
    data = json.dumps(body).encode()
    asked = urllib.request.Request(f"{FACILITATOR}/settle", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, None
    except OSError:
        return 504, None


class Reconciles:
    """A reader that asks the facilitator. What is no whole, small record is "unknown", as is an absent one."""

    def read(self, hold: Hold) -> str:
        """Say what became of a payment."""
        with httpx.stream("GET", f"{FACILITATOR}/reconcile", params={"nonce": hold.nonce or ""}, timeout=1) as answer:
            body = b""
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > MOST:
                    return "unknown"
        record = json.loads(body) if answer.status_code == 200 else {}
        return "settled" if record.get("found") is True and record.get("nonce") == hold.nonce else "unknown"


def main() -> int:
    """Buy once. A caller that got no content asks for the same twice more, as callers do."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Seller)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    buyer = Buyer(Wallet(evm="11" * 32), Policy(per_request="0.05"), ledger=":memory:", reader=Reconciles())
    ends: list[Any] = []
    with x402_client.httpx.wrap(httpx.Client(timeout=TIMEOUT), buyer) as client:
        while len(ends) < 3 and 200 not in ends:
            try:
                ends.append(client.post(f"http://127.0.0.1:{server.server_port}/weather").status_code)
            except (errors.X402Error, httpx.HTTPError) as failure:
                ends.append(type(failure).__name__)
    print(ends)
    return 0 if ends[-1] == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
