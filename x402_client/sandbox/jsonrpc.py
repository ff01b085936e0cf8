"""JSON-RPC, as far as a buyer's readers use it: single calls, each with one result or one error."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any


class RpcError(Exception):
    """Error: the node refuses a call."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def answer(methods: Mapping[str, Callable[..., Any]], request: bytes) -> bytes:
    """Answer one call."""
    number: Any = None
    try:
        asked = json.loads(request)
        number = asked.get("id")
        result = {"result": _run(methods, asked.get("method"), asked.get("params") or [])}
    except RpcError as error:
        result = {"error": {"code": error.code, "message": str(error)}}
    except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
        result = {"error": {"code": -32602, "message": f"Invalid params: {error}"}}
    return json.dumps({"jsonrpc": "2.0", "id": number, **result}).encode()


def _run(methods: Mapping[str, Callable[..., Any]], name: Any, params: Any) -> Any:
    method = methods.get(name) if isinstance(name, str) else None
    if method is None:
        raise RpcError(-32601, f"the method {name} does not exist in the sandbox")
    return method(*params)
