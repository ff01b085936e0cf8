"""Turns a JSON Schema into a function's signature and docstring, and a function into the schema of its arguments."""

from __future__ import annotations

import inspect
import keyword
import operator
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
#: The words of a JSON Schema of an object that names no arguments.
_WORDS = frozenset({
    "$schema", "$id", "$comment", "$defs", "definitions", "type", "title", "description", "required",
    "additionalProperties", "unevaluatedProperties", "examples", "example", "default", "deprecated",
})  # fmt: skip
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": operator.ge, "maximum": operator.le, "exclusiveMinimum": operator.gt, "exclusiveMaximum": operator.lt,
}  # fmt: skip
_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {6,}.*)*)", re.MULTILINE)
_TEXT = 300


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_same(one: Any, other: Any) -> bool:
    """Return True if two values are the same in JSON, where true is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


#: What a value of each type of JSON Schema is in Python.
_TESTS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list | tuple),
    "object": lambda value: isinstance(value, Mapping),
    "null": lambda value: value is None,
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a priced endpoint: its name there, and the name that it has in Python."""

    name: str
    python: str
    annotation: Any
    required: bool
    told: str
    #: Its own schema, of which a call's value is checked before anything is sent.
    schema: Mapping[str, Any]

    def problem(self, value: Any) -> str:
        """Return why a value is none for this argument: type, choices, least or greatest number. "": it is one."""
        kinds = self.schema.get("type")
        named = [one for one in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(one, str)]
        if named and all(one in _TESTS for one in named) and not any(_TESTS[one](value) for one in named):
            return f"{self.name} is of the type {' or '.join(named)}, not {words(repr(value), 40)}."
        choices = self.schema.get("enum")
        if isinstance(choices, list) and not any(_is_same(value, one) for one in choices):
            return f"{self.name} is one of {words(', '.join(map(repr, choices)), 200)}, not {words(repr(value), 40)}."
        if _is_number(value):
            for word, fits in _BOUNDS.items():
                bound = self.schema.get(word)
                if _is_number(bound) and not fits(value, bound):
                    return f"{self.name} is {words(repr(value), 40)}, and its {word} is {bound}."
        return ""


def arguments_of(schema: Mapping[str, Any] | None) -> list[Argument]:
    """Return the arguments that a JSON Schema names, the required ones first."""
    if schema is None:
        return []
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        raise ConfigurationError('schema is a JSON Schema of an object, like {"properties": {"city": {...}}}.')
    if "properties" not in schema and not schema.keys() <= _WORDS:
        listed = words(", ".join(map(str, schema)), 80)
        raise ConfigurationError(
            f'schema has its arguments in "properties", and this one has none, but {listed}. Write '
            'schema={"properties": {"city": {"type": "string"}}, "required": ["city"]}, for example.'
        )
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
    return Argument(
        name, python, _annotation(told), required, words(told.get("description"), _TEXT) or "See the name.", told
    )


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
