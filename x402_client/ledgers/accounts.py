"""Accounts: the names under which a ledger keeps sums. One function says which of them a payment enters."""

from __future__ import annotations

from functools import lru_cache

from ..model.budgets import Cap
from ..model.holds import Order

#: The account of all payments of a purse.
OVERALL = ""


def accounts_of(order: Order) -> tuple[str, ...]:
    """Return every account in which a payment counts, each once. Hot path: called once per payment.

    The rule: "Every matching entry of `hosts` counts". The order names those that set a budget; the purse and the
    host are counted in any case, for `spent()`.
    """
    return _accounts(order.purchase.origin.host, order.caps, order.path)


@lru_cache(maxsize=256)
def _accounts(host: str, caps: tuple[Cap, ...], path: tuple[str, ...]) -> tuple[str, ...]:
    names = [OVERALL, host]
    names += [cap.account for cap in caps]
    names += path  # "a child's spending counts at every ancestor, in the same step"
    # Another kind of budget is one more line here.
    return tuple(dict.fromkeys(names))
