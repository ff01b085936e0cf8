"""The transaction that settled a payment: as the seller named it, else as the chain shows it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..buyer import settings
from ..chains.rpc import Endpoints
from ..chains.settlement import transaction_of
from ..model.holds import Hold
from ..model.offers import words
from .buying import Choices, endpoints, policy_of


class Transaction(NamedTuple):
    """A transaction, and who named it: "receipt", "answer", "chain" or, if none was asked, "offline"."""

    name: str = ""
    by: str = ""


def by_seller(hold: Hold) -> Transaction:
    """Return the transaction that the seller named, in its receipt or in an answer that brought no content."""
    if hold.receipt is not None and hold.receipt.transaction:
        return Transaction(words(hold.receipt.transaction, 200), "receipt")
    named = hold.last.transaction if hold.last is not None else ""
    return Transaction(words(named, 200), "answer") if named else Transaction()


def is_owed(hold: Hold) -> bool:
    """Return True if there has to be a transaction: the payment was signed, and its money is spent."""
    return hold.authorization is not None and hold.told.money == "spent"


def look_up(hold: Hold, rpc: tuple[str, ...], policy: Path | None, offline: bool) -> Transaction:
    """Return the transaction, asked of the chain where the seller named none.

    ``policy`` is the file that may allow endpoints over plain http.
    """
    named = by_seller(hold)
    if named.name or not is_owed(hold):
        return named
    if offline:
        return Transaction(by="offline")
    hosts = policy_of(Choices(policy)).http_hosts
    found = transaction_of(Endpoints(settings.endpoints(endpoints(rpc), hosts)), hold)
    return Transaction(words(found, 200), "chain") if found else named
