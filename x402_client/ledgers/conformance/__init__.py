"""The ledger's contract as tests: subclass ``LedgerConformance``, give it ``make()``, and run it with pytest."""

from .fixtures import RECEIPT, SECRET, LedgerTestCase, at_once, cap, expect, order, purchase, signed
from .ledger import LedgerConformance

__all__ = [
    "RECEIPT",
    "SECRET",
    "LedgerConformance",
    "LedgerTestCase",
    "at_once",
    "cap",
    "expect",
    "order",
    "purchase",
    "signed",
]
