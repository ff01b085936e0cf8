"""A Solana node for tests, on one port. Orders: {"slot_seconds": 0.4, "mints": [{address, program, decimals}]}.

Every path is the same node, seen through a door of its own: see svm_faults.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonrpc
from serving import JsonServer, announce, read_orders
from svm_faults import Doors
from svm_ledger import Ledger
from svm_rpc import Node

ORDERS_DOOR = "/test"


def make_node(orders: dict[str, Any]) -> Node:
    node = Node(Ledger(orders["slot_seconds"]))
    for mint in orders["mints"]:
        node.answer(_order("test_placeMint", [mint["address"], mint["program"], mint["decimals"]]))
    return node


def _order(method: str, params: list[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 0, "method": method, "params": params}


def main() -> None:
    orders = read_orders()
    engine = ThreadPoolExecutor(max_workers=1)  # litesvm wants every call on the thread that made it
    node = engine.submit(make_node, orders).result()
    doors = Doors()
    faults = doors.orders()

    def arrange(request: Any) -> Any:
        """Orders for the doors; anything else is for the node."""
        if request.get("method") not in faults:
            return engine.submit(node.answer, request).result()
        return jsonrpc.answer(request, lambda name, params: faults[name](*params))

    def respond(path: str, body: bytes | None) -> tuple[int, Any]:
        try:
            request = json.loads(body or b"")
        except ValueError:
            return 200, jsonrpc.PARSE_ERROR
        if path == ORDERS_DOOR:
            return 200, arrange(request)
        delay, fault = doors.knock(path, jsonrpc.methods(request))
        time.sleep(delay)
        if fault == "too many":
            return 429, {"jsonrpc": "2.0", "id": None, "error": {"code": 429, "message": "Too many requests"}}
        if fault == "garbage":
            return 200, b"<html><body>upstream connect error</body></html>"
        return 200, engine.submit(node.answer, request, doors.at(path).lag).result()

    server = JsonServer(respond)
    announce(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
