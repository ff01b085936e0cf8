"""Reads what an MCP tool answered: terms in a result or an error, and receipts in ``_meta``."""

from __future__ import annotations

import json
from typing import Any

from ...chains.tokens import Tokens
from ...wire.bounds import DEFAULT
from ...wire.tool_results import ToolTerms, receipt_in, terms_in_error, terms_in_result
from .findings import Reading
from .payments import read_receipt
from .terms import read_terms

_PLACES = {
    "content": "structuredContent",
    "meta": '_meta["x402/error"]',
    "text": "the text of the first content",
    "error": "the data of a JSON-RPC error",
    "old error": "the data of a JSON-RPC error of code -402",
}


def read_tool_answer(document: dict[str, Any], reading: Reading, known: Tokens) -> bool:
    """Read a JSON-RPC answer or its result. Return False if it has no terms and no receipt."""
    error, result = document.get("error"), document.get("result", document)
    terms = _in_error(error) if isinstance(error, dict) else _in_result(result)
    if terms is not None:
        read_terms(dict(terms.document), reading, known)
        reading.title = "payment terms of an MCP tool"
        reading.fact("stood in", _PLACES[terms.place])
        if not isinstance(error, dict) and result.get("isError") is not True:
            reading.wrong("isError", "it is not true; terms in a result that is no error are never paid")
        return True
    receipt = receipt_in([result.get("_meta")], DEFAULT) if isinstance(result, dict) else None
    if receipt is None or not receipt.startswith("{"):
        return False
    read_receipt(json.loads(receipt), reading)
    reading.title = "a receipt in the result of an MCP tool"
    return True


def _in_error(error: dict[str, Any]) -> ToolTerms | None:
    code = error.get("code")
    return terms_in_error(code if isinstance(code, int) else 0, error.get("data"), DEFAULT)


def _in_result(result: Any) -> ToolTerms | None:
    if not isinstance(result, dict):
        return None
    content, meta = result.get("content"), result.get("_meta")
    first = content[0] if isinstance(content, list) and content else {}
    text = first.get("text") if isinstance(first, dict) else None
    return terms_in_result(
        meta if isinstance(meta, dict) else None,
        result.get("structuredContent"),
        text if isinstance(text, str) else None,
        DEFAULT,
    )
