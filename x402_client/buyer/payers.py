"""Payers: a buyer, or an allowance of one. Each stands wherever the other may."""

from __future__ import annotations

from typing import TypeAlias, cast

from ..errors import ConfigurationError
from ..policy.allowances import AllowanceRules
from ..policy.policy import Policy
from .allowance import Allowance
from .buyer import Buyer
from .wallet import Wallet

Payer: TypeAlias = Buyer | Allowance


def root_of(given: object) -> Buyer:
    """Return the buyer that pays. Refuse what is no payer."""
    if isinstance(given, Allowance):
        return cast(Buyer, given.buyer)
    if not isinstance(given, Buyer):
        kind = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        raise ConfigurationError(f"buyer is a Buyer or an Allowance, not {kind}; write {payer_to_write(given)}.")
    return given


def is_payer(given: object) -> bool:
    """Return True for a buyer or an allowance."""
    return isinstance(given, (Buyer, Allowance))


def payer_to_write(*given: object) -> str:
    """Return what to write for the buyer, by what was given for it."""
    kinds = [kind for kind in (Buyer, Allowance, Wallet, Policy) for one in given if isinstance(one, kind)]
    if Buyer in kinds or Allowance in kinds:
        return "buyer"
    if Wallet in kinds:
        return "Buyer(wallet, policy)" if Policy in kinds else "Buyer(wallet)"
    return "Buyer.from_env(policy=policy)" if Policy in kinds else "Buyer.from_env()"


def path_of(given: Payer) -> tuple[AllowanceRules, ...]:
    """Return the allowances that a payer pays under, from the root down."""
    return given.path if isinstance(given, Allowance) else ()
