"""Reads how a listed thing is asked for: its method, and the JSON Schema of its arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..model.offers import words

_METHOD = re.compile(r"[A-Za-z]{1,16}", re.ASCII)
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
#: Where arguments stand, in the words of version 2 first and of version 1 after.
_IN_QUERY = ("queryParams", "query_params", "query", "params")
_IN_BODY = ("body", "bodyFields", "body_fields", "bodyParams", "data", "properties")
_IN_PATH = ("pathParams", "path_params")
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
#: Bounds of what is kept of a stranger's schema.
_DEPTH, _MANY, _TEXT, _NAME, _NODES = 8, 50, 300, 100, 1_000


@dataclass(frozen=True, slots=True)
class Input:
    """The way in which a thing is asked for, as far as a list says. Schemas and examples are bounded copies."""

    kind: str = ""
    method: str = ""
    tool: str = ""
    schema: Mapping[str, Any] | None = None
    example: Mapping[str, Any] | None = None


def read_input(record: Mapping[str, Any]) -> Input:
    """Return what a record says about its input. What it does not say stays empty."""
    extension = _at(record, "extensions", "bazaar")
    told = next((one for one in _inputs(record, extension) if one), {})
    method = told.get("method")
    declared = _at(extension, "schema", "properties", "input", "properties")
    made = Input(
        kind=words(told.get("type"), 10),
        method=method.upper() if isinstance(method, str) and _METHOD.fullmatch(method) else "",
        tool=words(told.get("tool") or told.get("toolName"), 128).strip(),
    )
    if made.tool:
        return _with(made, told.get("inputSchema"), told.get("example"))
    places = (*_IN_PATH, *(_IN_BODY if made.method in _WITH_BODY else _IN_QUERY))
    fields = [value for place in places if isinstance(value := told.get(place), dict)]
    schemas = [_at(declared, place) for place in places if isinstance(_at(declared, place).get("properties"), dict)]
    example = {name: value for one in fields for name, value in one.items()}
    if schemas:
        return _with(made, _joined(schemas), example)
    if not example:
        return made
    return _with(made, _described(example), None if any(map(_describes, example.values())) else example)


def _inputs(record: Mapping[str, Any], extension: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the places where the input may be told: version 2's, that of older lists, and version 1's."""
    yield _at(extension, "info", "input")
    yield _at(record, "discoveryInfo", "input")
    offers = record.get("accepts")
    for offer in offers[:1] if isinstance(offers, list) else ():
        yield _at(offer, "outputSchema", "input")


def _at(value: Any, *path: str) -> dict[str, Any]:
    """Return the object at a path of keys, or an empty one."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _with(made: Input, schema: Any, example: Any) -> Input:
    return Input(made.kind, made.method, made.tool, _kept(schema), _kept(example))


def _kept(value: Any) -> Mapping[str, Any] | None:
    copy = _Copy().of(value) if isinstance(value, dict) else None
    return copy or None


def _joined(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one schema for arguments in the path and in the query or the body."""
    required = [name for one in schemas if isinstance(given := one.get("required"), list) for name in given]
    properties = {name: value for one in schemas for name, value in one["properties"].items()}
    return {"type": "object", "properties": properties, "required": [n for n in required if isinstance(n, str)]}


def _described(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Make a schema of fields that are described, as version 1 does it, or shown by an example."""
    required = [name for name, told in fields.items() if isinstance(told, dict) and told.get("required") is True]
    return {
        "type": "object",
        "properties": {name: _property(told) for name, told in fields.items()},
        "required": required,
    }


def _describes(told: Any) -> bool:
    return (isinstance(told, str) and told in _TYPES) or (isinstance(told, dict) and "type" in told)


def _property(told: Any) -> dict[str, Any]:
    if isinstance(told, dict) and "type" in told:
        return {name: value for name, value in told.items() if name != "required" or isinstance(value, list)}
    if isinstance(told, str) and told in _TYPES:
        return {"type": told}
    kinds: dict[type, str] = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return {"type": kinds.get(type(told), "string"), "examples": [told]}


class _Copy:
    """A copy of a stranger's JSON with bounds: short printable texts, few entries, little nesting."""

    def __init__(self) -> None:
        self._left = _NODES

    def of(self, value: Any, depth: int = _DEPTH) -> Any:
        """Return the copy of a value. What is too deep, or one too many, is None."""
        self._left -= 1
        if depth < 0 or self._left < 0:
            return None
        if isinstance(value, dict):
            kept = list(value.items())[:_MANY]
            return {words(name, _NAME): self.of(inner, depth - 1) for name, inner in kept}
        if isinstance(value, list):
            return [self.of(inner, depth - 1) for inner in value[:_MANY]]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return words(value, _TEXT) if isinstance(value, str) else value if isinstance(value, int | float) else None
