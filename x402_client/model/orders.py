"""Orders to the ledger, questions to it, and its answers that are no hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .budgets import Cap
    from .holds import Hold, Purchase
    from .money import Money
    from .offers import Offer


class Order(NamedTuple):
    """An order to the ledger: reserve this price for this purchase, under every cap that it has to fit."""

    purchase: Purchase
    offer: Offer
    price: Money
    caps: tuple[Cap, ...]
    #: The account that will pay, as ``payer_name`` writes it.
    payer: str = ""
    #: The accounts of the allowances in which it counts, from the root down.
    path: tuple[str, ...] = ()


class Busy(NamedTuple):
    """The ledger's answer while another attempt under the same key is running."""

    hold: Hold


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
