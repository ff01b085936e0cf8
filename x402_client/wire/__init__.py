"""The wire: version 1 and 2 texts to our words and back. No room above knows the protocol's names.

``Bounds`` is public: how much is read and sent, for ``Buyer(bounds=...)``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bounds import Bounds

__all__ = ["Bounds"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(".bounds", __name__), name)
