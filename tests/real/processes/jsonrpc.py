"""The JSON-RPC 2.0 envelope: single requests, batches, notifications, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class RpcError(Exception):
    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.body: dict[str, Any] = {"code": code, "message": message}
        if data is not None:
            self.body["data"] = data


PARSE_ERROR = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "parse error"}}


def answer(request: Any, run: Callable[[str, Any], Any]) -> Any:
    """None: nothing to say (only notifications). `run` takes a method's name and its parameters."""
    if not isinstance(request, list):
        return _answer_one(request, run)
    if not request:
        return _failed(None, RpcError(-32600, "empty batch"))
    answers = [answer for one in request if (answer := _answer_one(one, run)) is not None]
    return answers or None


def methods(request: Any) -> list[str]:
    """The names that are called, as far as the request makes sense."""
    calls = request if isinstance(request, list) else [request]
    return [one["method"] for one in calls if _readable(one)]


def _readable(request: Any) -> bool:
    return isinstance(request, dict) and isinstance(request.get("method"), str)


def _answer_one(request: Any, run: Callable[[str, Any], Any]) -> dict[str, Any] | None:
    if not _readable(request):
        return _failed(None, RpcError(-32600, "invalid request"))
    try:
        answer = {"jsonrpc": "2.0", "result": run(request["method"], request.get("params") or [])}
    except RpcError as error:
        answer = _failed(None, error)
    return answer | {"id": request["id"]} if "id" in request else None


def _failed(request_id: Any, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": error.body}
