"""A ledger in PostgreSQL: for many machines, where money is written down."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ledger import AsyncPostgresLedger, PostgresLedger

__all__ = ["AsyncPostgresLedger", "PostgresLedger"]

#: Where each name lives. Loaded when it is asked for.
_HOMES = {"AsyncPostgresLedger": "ledger", "PostgresLedger": "ledger"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
