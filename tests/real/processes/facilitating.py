"""What facilitators of every chain family share: the official SDK's facilitator, behind HTTP."""

from __future__ import annotations

import json
from typing import Any

from serving import JsonServer, announce
from x402 import x402FacilitatorSync
from x402.schemas.helpers import parse_payment_payload, parse_payment_requirements


def answer(facilitator: x402FacilitatorSync, path: str, body: bytes | None) -> dict[str, Any]:
    if path == "/supported":
        return _dump(facilitator.get_supported())
    request = json.loads(body or b"")
    # Not every seller names the version beside the payment, and django-x402 has shorter names for both.
    payment = request.get("paymentPayload") or request["payment"]
    terms = request.get("paymentRequirements") or request["requirements"]
    payload, requirements = parse_payment_payload(payment), parse_payment_requirements(payment["x402Version"], terms)
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
