"""The objects that an application holds: the buyer, its wallet, and the scope of one purchase."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .allowance import Allowance, AllowanceBalance
    from .buyer import Buyer
    from .payers import Payer
    from .reconciled import Reconciled
    from .scopes import Scope
    from .wallet import Wallet

__all__ = ["Allowance", "AllowanceBalance", "Buyer", "Payer", "Reconciled", "Scope", "Wallet"]

#: The module of each name. It is loaded when the name is asked for.
_HOMES = {
    "Allowance": "allowance", "AllowanceBalance": "allowance", "Buyer": "buyer", "Payer": "payers",
    "Reconciled": "reconciled", "Scope": "scopes", "Wallet": "wallet",
}  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
