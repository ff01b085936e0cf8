"""Ledgers in memory that a fork copied. Each copy could spend the whole budget, so every copy refuses."""

from __future__ import annotations

import os
import weakref
from typing import Any

from ..errors import LedgerUnavailable


class CopiedLock:
    """Lock of a ledger that a fork copied. It refuses every call."""

    def __enter__(self) -> None:
        raise LedgerUnavailable(
            "This ledger is in memory and was copied by a fork, and each copy could spend the whole budget. "
            'Make the Buyer after the fork, or name a file: Buyer(ledger="spend.db"). Nothing is paid from a copy.',
            wrote_nothing=True,
        )

    def __exit__(self, *failure: object) -> None:
        """Do nothing."""


def refuse_in_child(ledger: Any) -> None:
    """Let the copy of a ledger in each later child process refuse."""
    _LEDGERS.add(ledger)


def _forked_child() -> None:
    for ledger in list(_LEDGERS):
        ledger._lock = CopiedLock()


_LEDGERS: weakref.WeakSet[Any] = weakref.WeakSet()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked_child)
