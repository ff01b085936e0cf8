"""A ledger in a SQLite file: for the threads and processes of one machine."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ledger import SqliteLedger
    from .place import check_usable, default_path, is_there

__all__ = ["SqliteLedger", "check_usable", "default_path", "is_there"]

#: Where each name lives. Loaded when it is asked for.
_HOMES = {"SqliteLedger": "ledger", "check_usable": "place", "default_path": "place", "is_there": "place"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
