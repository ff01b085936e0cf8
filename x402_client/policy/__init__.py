"""The policy, its limits, and the choice among offers: they decide what may be paid."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .choice import Mandate
    from .limits import Limit
    from .policy import CAREFUL, Policy

__all__ = ["CAREFUL", "Limit", "Mandate", "Policy"]

#: The module of each name. It is loaded when the name is asked for.
_HOMES = {"CAREFUL": "policy", "Limit": "limits", "Mandate": "choice", "Policy": "policy"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
