"""Conformance classes that authors of adapters and schemes inherit, loaded when they are asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapter_conformance import AdapterConformance
    from .family_conformance import FamilyConformance
    from .reader_conformance import ReaderConformance
    from .scheme_conformance import SchemeConformance
    from .signer_conformance import EvmSignerConformance, SolanaSignerConformance

__all__ = [
    "AdapterConformance",
    "EvmSignerConformance",
    "FamilyConformance",
    "ReaderConformance",
    "SchemeConformance",
    "SolanaSignerConformance",
]

#: The module of each name.
_HOMES = {
    "AdapterConformance": "adapter_conformance",
    "EvmSignerConformance": "signer_conformance",
    "FamilyConformance": "family_conformance",
    "ReaderConformance": "reader_conformance",
    "SchemeConformance": "scheme_conformance",
    "SolanaSignerConformance": "signer_conformance",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
