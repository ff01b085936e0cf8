"""What a caller asks for: each thing is one request, made anew for each call as a library would make it."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple


class Thing(NamedTuple):
    """A request. ``key``: the caller's own name for it; ``says``: what its body says, if not its path."""

    method: str
    host: str
    path: str
    kind: str = ""
    key: str | None = None
    says: str = ""

    def body(self) -> tuple[bytes | None, str]:
        """Return the body of one more such request, and its content type."""
        says = self.says or self.path
        if self.kind == "json":
            return json.dumps({"ask": says}).encode(), "application/json"
        if self.kind == "tool":
            return _rpc("tools/call", {"name": "search", "arguments": {"q": says}}), "application/json"
        if self.kind == "resource":
            return _rpc("resources/read", {"uri": says}), "application/json"
        if self.kind in ("form", "short form"):
            mark = "1" if self.kind == "short form" else os.urandom(8).hex()
            part = f'--{mark}\r\nContent-Disposition: form-data; name="a"\r\n\r\npay {says}\r\n--{mark}--\r\n'
            return part.encode(), f"multipart/form-data; boundary={mark}"
        return None, ""


def _rpc(method: str, params: dict[str, Any]) -> bytes:
    """Return a JSON-RPC request under an id and with a token that are drawn anew."""
    params = {**params, "_meta": {"progressToken": os.urandom(3).hex()}}
    return json.dumps({"jsonrpc": "2.0", "id": os.urandom(3).hex(), "method": method, "params": params}).encode()


THINGS = (
    Thing("GET", "a.shop.test", "/0"),
    Thing("GET", "127.0.0.1", "/1?q=1"),
    Thing("POST", "b.shop.test", "/2", "json"),
    Thing("GET", "b.shop.test", "/3", "", "order-3"),
    Thing("POST", "a.shop.test", "/4", "form"),
    Thing("POST", "127.0.0.1", "/5", "tool"),
    Thing("GET", "b.shop.test", "/6/%7Eme?tags=[1]"),
    Thing("POST", "a.shop.test", "/7", "short form", says="10"),
    Thing("POST", "a.shop.test", "/7", "short form", says="110"),
    Thing("POST", "127.0.0.1", "/5", "resource"),
    Thing("POST", "b.shop.test", "/2", "json", says="another"),
)
