"""Readers of an offer and of a receipt as they look on the wire.

They raise a ValueError, in words, for what does not fit. They use pydantic's core alone. Its models are
not needed here, and take longer to import and more memory than the rest of the package.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import SchemaValidator, ValidationError
from pydantic_core.core_schema import (
    CoreSchema,
    any_schema,
    bool_schema,
    dict_schema,
    int_schema,
    no_info_before_validator_function,
    nullable_schema,
    str_schema,
    typed_dict_field,
    typed_dict_schema,
    with_default_schema,
)

from ..model.offers import words

_MAX_UINT256 = 2**256 - 1


def _amount(value: object) -> int:
    """Read token units: an ASCII decimal string or a JSON integer.

    Refuse all that could be read in two ways.
    """
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit()) or (value[0] == "0" and value != "0") or len(value) > 78:
            raise ValueError("is not a plain decimal number")
        value = int(value)
    if type(value) is not int:
        raise ValueError("is not a whole number")
    if not 0 <= value <= _MAX_UINT256:
        raise ValueError("is out of range")
    return value


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("is not a number")
    return value


def _shape(needed: dict[str, CoreSchema], optional: dict[str, CoreSchema]) -> SchemaValidator:
    """Return a reader of a dict with these fields.

    An optional field may be null or missing. Fields that are not named are left out.
    """
    fields = {name: typed_dict_field(kind) for name, kind in needed.items()}
    for name, kind in optional.items():
        fields[name] = typed_dict_field(with_default_schema(nullable_schema(kind), default=None))
    return SchemaValidator(typed_dict_schema(fields, extra_behavior="ignore"))


_TEXT = str_schema(min_length=1, max_length=200)
_ANY_TEXT = str_schema()
_UNITS = no_info_before_validator_function(_amount, int_schema())
_SECONDS = no_info_before_validator_function(_no_bool, int_schema(ge=0))

_OFFER = _shape(
    {"scheme": _TEXT, "network": _TEXT, "asset": _TEXT, "payTo": _TEXT},
    {
        "amount": _UNITS,
        "maxAmountRequired": _UNITS,
        "maxTimeoutSeconds": _SECONDS,
        "extra": dict_schema(_ANY_TEXT, any_schema()),
    },
)
_RECEIPT = _shape(
    {"success": bool_schema(strict=True)},
    {
        "transaction": _ANY_TEXT,
        "txHash": _ANY_TEXT,
        "network": _ANY_TEXT,
        "networkId": _ANY_TEXT,
        "payer": _ANY_TEXT,
        "amount": _UNITS,
        "errorReason": _ANY_TEXT,
        "error": _ANY_TEXT,
    },
)


def offer(raw: Any) -> dict[str, Any]:
    """Read one entry of ``accepts``: every field of the shape, None where it is missing."""
    return _read(_OFFER, raw)


def receipt(raw: Any) -> dict[str, Any]:
    """Read a receipt: every field of the shape, None where it is missing."""
    return _read(_RECEIPT, raw)


def _read(shape: SchemaValidator, raw: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = shape.validate_python(raw)
    except ValidationError as problem:
        raise ValueError(_first_problem(problem)) from None
    return found


def _first_problem(problem: ValidationError) -> str:
    first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return words(f"{place}: {first['msg']}" if place else first["msg"], 120)
