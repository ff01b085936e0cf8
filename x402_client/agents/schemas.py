"""Turns a JSON Schema into a function's signature and docstring, and a function into the schema of its arguments."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_type_hints

from ..errors import ConfigurationError
from ..model.offers import words

_TYPES: dict[str, Any] = {
    "string": str, "integer": int, "number": float, "boolean": bool, "array": list[Any], "object": dict[str, Any],
}  # fmt: skip
_NAMES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {6,}.*)*)", re.MULTILINE)
_TEXT = 300


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a priced endpoint: its name there, and the name that it has in Python."""

    name: str
    python: str
    annotation: Any
    required: bool
    told: str


def arguments_of(schema: Mapping[str, Any] | None) -> list[Argument]:
    """Return the arguments that a JSON Schema names, the required ones first."""
    if schema is None:
        return []
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        raise ConfigurationError('schema is a JSON Schema of an object, like {"properties": {"city": {...}}}.')
    properties, needed = schema.get("properties") or {}, schema.get("required") or ()
    if not isinstance(properties, Mapping) or not all(isinstance(one, Mapping) for one in properties.values()):
        raise ConfigurationError('schema has its arguments in "properties", each with a schema of its own.')
    taken: set[str] = set()
    found = [_argument(str(name), told, name in needed, taken) for name, told in properties.items()]
    return sorted(found, key=lambda argument: not argument.required)


def _argument(name: str, told: Mapping[str, Any], required: bool, taken: set[str]) -> Argument:
    python = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    python = f"_{python}" if python[0].isdigit() else f"{python}_" if keyword.iskeyword(python) else python
    while python in taken:
        python += "_"
    taken.add(python)
    return Argument(name, python, _annotation(told), required, words(told.get("description"), _TEXT) or "See the name.")


def _annotation(told: Mapping[str, Any]) -> Any:
    choices = told.get("enum")
    if isinstance(choices, list) and choices and all(isinstance(one, str) for one in choices):
        return Literal[tuple(choices)]
    kind = told.get("type")
    return _TYPES.get(kind, Any) if isinstance(kind, str) else Any


def shape(function: Any, name: str, description: str, arguments: Iterable[Argument]) -> None:
    """Give a function its name, signature, annotations and docstring."""
    listed = list(arguments)
    hints = {one.python: one.annotation if one.required else one.annotation | None for one in listed}
    returned = dict[str, Any]
    function.__name__ = function.__qualname__ = name
    function.__annotations__ = {**hints, "return": returned}
    function.__signature__ = inspect.Signature(
        [
            inspect.Parameter(
                one.python, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=hints[one.python],
                default=inspect.Parameter.empty if one.required else None,
            )
            for one in listed
        ],
        return_annotation=returned,
    )  # fmt: skip
    lines = [f"    {one.python}: {one.told}" for one in listed]
    section = ["", "Args:", *lines] if lines else []
    returns = ["", "Returns:", "    What came: ok, status, body, paid, left; or ok false with error, says and next."]
    function.__doc__ = "\n".join([description, *section, *returns])


def parameters_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON Schema of a function's arguments, from its annotations and the section ``Args:``."""
    hints, told = get_type_hints(function), dict(_ARGUMENT.findall(inspect.getdoc(function) or ""))
    found = inspect.signature(function).parameters.values()
    properties = {
        one.name: {**_schema_of(hints[one.name]), "description": " ".join(told.get(one.name, "").split())}
        for one in found
    }
    required = [one.name for one in found if one.default is one.empty]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def description_of(function: Callable[..., Any]) -> str:
    """Return a function's docstring without the part about its arguments, which its schema has."""
    return re.split(r"\n\n(?:Args|Returns):\n", inspect.getdoc(function) or "", maxsplit=1)[0]


def _schema_of(hint: Any) -> dict[str, Any]:
    if isinstance(hint, UnionType) or NoneType in get_args(hint):
        return _schema_of(next(one for one in get_args(hint) if one is not NoneType))
    if getattr(hint, "__origin__", None) is Literal:
        return {"type": "string", "enum": list(get_args(hint))}
    if hint in _NAMES:
        return {"type": _NAMES[hint]}
    origin = getattr(hint, "__origin__", None)
    return {"type": "array", "items": {}} if origin is list else {"type": "object"} if origin is dict else {}
