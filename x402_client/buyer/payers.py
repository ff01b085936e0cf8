"""Payers: a buyer, or an allowance of one. Each stands wherever the other may."""

from __future__ import annotations

from typing import TypeAlias, cast

from ..errors import ConfigurationError
from ..policy.allowances import AllowanceRules
from .allowance import Allowance
from .buyer import Buyer

Payer: TypeAlias = Buyer | Allowance


def root_of(given: object) -> Buyer:
    """Return the buyer that pays. Refuse what is no payer."""
    if isinstance(given, Allowance):
        return cast(Buyer, given.buyer)
    if not isinstance(given, Buyer):
        raise ConfigurationError(f"buyer is a Buyer or an Allowance, not {type(given).__name__}.")
    return given


def path_of(given: Payer) -> tuple[AllowanceRules, ...]:
    """Return the allowances that a payer pays under, from the root down."""
    return given.path if isinstance(given, Allowance) else ()
