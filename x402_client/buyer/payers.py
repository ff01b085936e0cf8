"""Payers: what stands wherever a buyer may stand."""

from __future__ import annotations

from ..errors import ConfigurationError
from .buyer import Buyer


def root_of(given: object) -> Buyer:
    """Return the buyer that pays. Refuse what is no payer."""
    root = given if isinstance(given, Buyer) else getattr(given, "buyer", None)
    if not isinstance(root, Buyer):
        raise ConfigurationError(f"buyer is a Buyer, not {type(given).__name__}.")
    return root
