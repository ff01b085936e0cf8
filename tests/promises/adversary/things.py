"""What a caller asks for: each thing is one request, made anew for each call as a library would make it."""

from __future__ import annotations

import json
import os
from typing import NamedTuple


class Thing(NamedTuple):
    """A request. ``key``: the caller's own name for it."""

    method: str
    host: str
    path: str
    kind: str = ""
    key: str | None = None

    def body(self) -> tuple[bytes | None, str]:
        """Return the body of one more such request, and its content type."""
        if self.kind == "json":
            return json.dumps({"ask": self.path}).encode(), "application/json"
        if self.kind == "jsonrpc":
            meta = {"progressToken": os.urandom(3).hex()}
            params = {"name": "search", "arguments": {"q": self.path}, "_meta": meta}
            said = {"jsonrpc": "2.0", "id": os.urandom(3).hex(), "method": "tools/call", "params": params}
            return json.dumps(said).encode(), "application/json"
        if self.kind == "multipart":
            mark = os.urandom(8).hex()
            part = f'--{mark}\r\nContent-Disposition: form-data; name="a"\r\n\r\npay {self.path}\r\n--{mark}--\r\n'
            return part.encode(), f"multipart/form-data; boundary={mark}"
        return None, ""


THINGS = (
    Thing("GET", "a.shop.test", "/0"),
    Thing("GET", "127.0.0.1", "/1?q=1"),
    Thing("POST", "b.shop.test", "/2", "json"),
    Thing("GET", "b.shop.test", "/3", "", "order-3"),
    Thing("POST", "a.shop.test", "/4", "multipart"),
    Thing("POST", "127.0.0.1", "/5", "jsonrpc"),
    Thing("GET", "b.shop.test", "/6/%7Eme?tags=[1]"),
)
