"""What every ledger has to do, as tests: subclass ``LedgerConformance``, give it ``make()``, and run it with pytest."""

from .fixtures import RECEIPT, SECRET, Ground, at_once, cap, expect, order, purchase, signed
from .ledger import LedgerConformance

__all__ = [
    "RECEIPT",
    "SECRET",
    "Ground",
    "LedgerConformance",
    "at_once",
    "cap",
    "expect",
    "order",
    "purchase",
    "signed",
]
