"""x402_client: the buyer's side of x402.

Wrap an HTTP client, and it pays within limits when a server answers 402.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors
    from .buyer.buyer import Buyer
    from .buyer.wallet import Wallet
    from .model.money import Money, Token
    from .policy.limits import Limit
    from .policy.policy import Policy
    from .receipts import receipt

__version__ = "0.1.0"
__all__ = ["Buyer", "Limit", "Money", "Policy", "Token", "Wallet", "errors", "receipt"]

#: The module of each name. It is loaded when the name is asked for: every test run imports the pytest plugin.
_HOMES = {
    "Buyer": "buyer.buyer", "Limit": "policy.limits", "Money": "model.money", "Policy": "policy.policy",
    "Token": "model.money", "Wallet": "buyer.wallet", "receipt": "receipts",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module(".errors", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
