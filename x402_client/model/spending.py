"""A question to a ledger, and the error of one that would have to wait for its answer."""

from __future__ import annotations

from typing import NamedTuple


class Spending(NamedTuple):
    """A question about money spent: by one host pattern or by all, in one window and currency."""

    account: str
    window: str
    currency: str
    purse: str = "default"


class LedgerBusy(Exception):
    """The error of a store that another writer holds, raised if the caller asked not to wait.

    It never reaches an application.
    """
