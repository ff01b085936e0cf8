"""The chain as a process: an Ethereum node for tests, on one port. Orders: {"chain_id": 84532, "tokens": [...]}."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from blocks import Chain
from jsonrpc import PARSE_ERROR
from rpc import Node
from serving import JsonServer, announce, read_orders


def make_node(orders: dict[str, Any]) -> Node:
    node = Node(Chain(orders["chain_id"]))
    for token in orders["tokens"]:
        node.chain.place_token(token["address"], token["name"], token["version"], token["decimals"])
    return node


def main() -> None:
    orders = read_orders()
    engine = ThreadPoolExecutor(max_workers=1)  # pyrevm wants every call on the thread that made the EVM
    node = engine.submit(make_node, orders).result()

    def respond(path: str, body: bytes | None) -> tuple[int, Any]:
        try:
            request = json.loads(body or b"")
        except ValueError:
            return 200, PARSE_ERROR
        return 200, engine.submit(node.answer, request).result()

    server = JsonServer(respond)
    announce(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
