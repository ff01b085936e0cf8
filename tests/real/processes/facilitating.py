"""What facilitators of every chain family share: the official SDK's facilitator, behind HTTP."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from serving import JsonServer, announce
from x402 import x402FacilitatorSync
from x402.schemas.helpers import parse_payment_payload, parse_payment_requirements


def fund(rpc: str, address: str, amount: int) -> None:
    order = {"jsonrpc": "2.0", "id": 1, "method": "test_fund", "params": [address, amount]}
    request = urllib.request.Request(rpc, json.dumps(order).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        if "error" in json.load(answer):
            raise RuntimeError("the chain gave no gas money")


def answer(facilitator: x402FacilitatorSync, path: str, body: bytes | None) -> dict[str, Any]:
    if path == "/supported":
        return _dump(facilitator.get_supported())
    request = json.loads(body or b"")
    payload = parse_payment_payload(request["paymentPayload"])
    requirements = parse_payment_requirements(request["x402Version"], request["paymentRequirements"])
    judge = {"/verify": facilitator.verify, "/settle": facilitator.settle}[path]
    return _dump(judge(payload, requirements))


def _dump(model: Any) -> dict[str, Any]:
    # Empty fields stay in: the version 1 seller insists on "payer", even if null.
    found: dict[str, Any] = model.model_dump(by_alias=True, mode="json")
    return found


def serve(facilitator: x402FacilitatorSync) -> None:
    def respond(path: str, body: bytes | None) -> tuple[int, Any]:
        try:
            return 200, answer(facilitator, path, body)
        except Exception as error:  # a facilitator answers what it cannot read; the seller decides what that means
            return 400, {"error": f"{type(error).__name__}: {error}"}

    server = JsonServer(respond)
    announce(server.server_port)
    server.serve_forever()
