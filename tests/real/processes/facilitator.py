"""The official SDK's facilitator behind HTTP. Orders: {"rpc": url, "network": "eip155:...", "network_v1": name}."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from eth_account import Account
from serving import JsonServer, announce, read_orders
from x402 import x402FacilitatorSync
from x402.mechanisms.evm.exact.facilitator import ExactEvmScheme
from x402.mechanisms.evm.exact.v1.facilitator import ExactEvmSchemeV1
from x402.mechanisms.evm.signers import FacilitatorWeb3Signer
from x402.schemas.helpers import parse_payment_payload, parse_payment_requirements

GAS_MONEY = 10**21


def make_facilitator(orders: dict[str, Any]) -> x402FacilitatorSync:
    account = Account.create()
    _fund(orders["rpc"], account.address)
    signer = FacilitatorWeb3Signer(account.key.hex(), orders["rpc"], confirmation_timeout_seconds=20)
    facilitator = x402FacilitatorSync()
    facilitator.register([orders["network"]], ExactEvmScheme(signer))
    facilitator.register_v1([orders["network_v1"]], ExactEvmSchemeV1(signer))
    return facilitator


def _fund(rpc: str, address: str) -> None:
    order = {"jsonrpc": "2.0", "id": 1, "method": "test_fund", "params": [address, GAS_MONEY]}
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


def main() -> None:
    facilitator = make_facilitator(read_orders())

    def respond(path: str, body: bytes | None) -> tuple[int, Any]:
        try:
            return 200, answer(facilitator, path, body)
        except Exception as error:  # a facilitator answers what it cannot read; the seller decides what that means
            return 400, {"error": f"{type(error).__name__}: {error}"}

    server = JsonServer(respond)
    announce(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
