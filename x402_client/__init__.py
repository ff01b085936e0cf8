"""x402_client: the buyer's side of x402.

Wrap an HTTP client, and it pays within limits when a server answers 402.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors
    from .buyer.allowance import Allowance
    from .buyer.buyer import Buyer
    from .buyer.wallet import Wallet
    from .model.exposures import Exposure
    from .model.holds import Hold, Outcome
    from .model.money import Money, Token
    from .model.offers import Offer, Quote, Receipt, SignIn
    from .model.signing import Approval
    from .model.statements import Statement
    from .policy.limits import Limit
    from .policy.policy import Policy
    from .receipts import outcome, receipt

__version__ = "0.1.0"
__all__ = [
    "Allowance",
    "Approval",
    "Buyer",
    "Exposure",
    "Hold",
    "Limit",
    "Money",
    "Offer",
    "Outcome",
    "Policy",
    "Quote",
    "Receipt",
    "SignIn",
    "Statement",
    "Token",
    "Wallet",
    "errors",
    "outcome",
    "receipt",
]

#: The module of each name. It is loaded when the name is asked for: every test run imports the pytest plugin.
_HOMES = {
    "Allowance": "buyer.allowance", "Approval": "model.signing", "Buyer": "buyer.buyer",
    "Exposure": "model.exposures", "Hold": "model.holds",
    "Limit": "policy.limits", "Money": "model.money", "Offer": "model.offers", "Outcome": "model.holds",
    "Policy": "policy.policy", "Quote": "model.offers", "Receipt": "model.offers", "SignIn": "model.offers",
    "Statement": "model.statements", "Token": "model.money", "Wallet": "buyer.wallet", "outcome": "receipts",
    "receipt": "receipts",
}  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "errors":
            return import_module(".errors", __name__)
        if name not in _HOMES:
            said = f"module {__name__!r} has no attribute {name!r}"
            where = import_module(".model.elsewhere", __name__).where(name, __all__)
            # ``from x402_client import name`` drops the words of an AttributeError, and shows those of an ImportError.
            importing = where and sys._getframe(1).f_code.co_name == "_handle_fromlist"
            raise (ImportError if importing else AttributeError)(f"{said}; {where}" if where else said, name=name)
        found = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
