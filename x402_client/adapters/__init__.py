"""The parts of the HTTP faces: the exchange that all share, and what each library needs of its own."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .exchange import Exchange
    from .hops import Hops

__all__ = ["Exchange", "Hops"]

#: The module of each name. It is loaded when the name is asked for.
_HOMES = {"Exchange": "exchange", "Hops": "hops"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
