"""What an offer and a receipt look like on the wire. Raises ValueError, in words, for what does not."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .models import words

_MAX_UINT256 = 2**256 - 1


def _amount(value: object) -> int:
    """Token units: an ASCII decimal string or a JSON integer, nothing that could be read in two ways."""
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


_Text = Annotated[str, Field(min_length=1, max_length=200)]
_Units = Annotated[int, BeforeValidator(_amount)]


class Offer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    scheme: _Text
    network: _Text
    asset: _Text
    payTo: _Text
    amount: _Units | None = None
    maxAmountRequired: _Units | None = None
    maxTimeoutSeconds: Annotated[int, BeforeValidator(_no_bool), Field(ge=0)] | None = None
    extra: dict[str, Any] | None = None


class Receipt(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    success: Annotated[bool, Field(strict=True)]
    transaction: str | None = None
    txHash: str | None = None
    network: str | None = None
    networkId: str | None = None
    payer: str | None = None
    amount: _Units | None = None
    errorReason: str | None = None
    error: str | None = None


def offer(raw: Any) -> Offer:
    """One entry of ``accepts``."""
    try:
        return Offer.model_validate(raw)
    except ValidationError as problem:
        raise ValueError(_first_problem(problem)) from None


def receipt(raw: Any) -> Receipt:
    """A receipt."""
    try:
        return Receipt.model_validate(raw)
    except ValidationError as problem:
        raise ValueError(_first_problem(problem)) from None


def _first_problem(problem: ValidationError) -> str:
    first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return words(f"{place}: {first['msg']}" if place else first["msg"], 120)
