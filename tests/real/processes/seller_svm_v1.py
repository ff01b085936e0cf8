"""A seller of our own that speaks version 1 on Solana, in Flask.

It is ours because there is no other: x402 1.0, the version 1 package whose middleware the EVM sellers use, knows no
Solana at all, and in 2.25 only the facilitator and the client still speak version 1. So all that decides about money
is official (the facilitator's version 1 scheme, over HTTP); what is here is the protocol around it: terms in the body
of a 402, X-PAYMENT in, X-PAYMENT-RESPONSE out, verify before the work and settle after it.
"""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any

import shop
from flask import Flask, Response, g, jsonify, request
from serving import read_orders
from storefronts import flask_pages, serve_flask

UNITS = {"GET": "10000", "POST": "20000"}
PAID = ("/paid", "/stream", "/token2022")


class Till:
    def __init__(self, orders: dict[str, Any]) -> None:
        self._orders = orders
        self._fee_payer = ""

    def offer(self) -> dict[str, Any]:
        token = self._orders["token2022" if request.path == "/token2022" else "usdc"]
        return {
            "scheme": "exact",
            "network": self._orders["network"],
            "maxAmountRequired": UNITS[request.method],
            "resource": request.base_url,
            "description": "a test",
            "mimeType": "application/json",
            "outputSchema": None,
            "payTo": self._orders["pay_to"],
            "maxTimeoutSeconds": shop.VALID_SECONDS,
            "asset": token,
            "extra": {"feePayer": self.fee_payer()},
        }

    def fee_payer(self) -> str:
        if not self._fee_payer:
            kinds = self._ask("/supported")["kinds"]
            mine = [one for one in kinds if (one["x402Version"], one["network"]) == (1, self._orders["network"])]
            self._fee_payer = mine[0]["extra"]["feePayer"]
        return self._fee_payer

    def judge(self, path: str, payment: dict[str, Any]) -> dict[str, Any]:
        return self._ask(path, {"x402Version": 1, "paymentPayload": payment, "paymentRequirements": self.offer()})

    def _ask(self, path: str, question: Any = None) -> dict[str, Any]:
        body = None if question is None else json.dumps(question).encode()
        asked = urllib.request.Request(self._orders["facilitator"] + path, body, {"content-type": "application/json"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def refuse(self, reason: str) -> Response:
        answer = jsonify({"x402Version": 1, "error": reason, "accepts": [self.offer()]})
        answer.status_code = 402
        return answer


def guard(app: Flask, till: Till) -> None:
    @app.before_request
    def verify() -> Response | None:
        if request.path not in PAID:
            return None
        if not (header := request.headers.get("X-PAYMENT")):
            return till.refuse("X-PAYMENT header is required")
        payment = json.loads(base64.b64decode(header))
        verdict = till.judge("/verify", payment)
        if not verdict["isValid"]:
            return till.refuse(verdict["invalidReason"])
        g.payment = payment
        return None

    @app.after_request
    def settle(answer: Response) -> Response:
        if "payment" not in g or answer.status_code >= 400:
            return answer
        settled = till.judge("/settle", g.payment)
        if not settled["success"]:
            return till.refuse(settled["errorReason"])
        answer.headers["X-PAYMENT-RESPONSE"] = base64.b64encode(json.dumps(settled).encode()).decode()
        return answer


def main() -> None:
    orders = read_orders()
    app = flask_pages()
    app.get("/token2022", endpoint="token2022")(shop.goods)
    guard(app, Till(orders))
    serve_flask(app)


if __name__ == "__main__":
    main()
