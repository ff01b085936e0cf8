"""Conformance classes that authors of adapters and schemes inherit, loaded when they are asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapter_conformance import AdapterConformance

__all__ = ["AdapterConformance"]

#: Where each name lives.
_HOMES = {
    "AdapterConformance": "adapter_conformance",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
