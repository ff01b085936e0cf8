"""Accounts: the names under which a ledger keeps sums. One function says which of them a payment enters."""

from __future__ import annotations

from ..model.holds import Order

#: The account of all payments of a purse.
OVERALL = ""


def accounts_of(order: Order) -> tuple[str, ...]:
    """Return every account in which a payment counts, each once.

    DESIGN.md: "Every matching entry of `hosts` counts". The order names those that set a budget; the purse and the
    host are counted in any case, for `spent()`. Another kind of budget is one more line here.
    """
    return tuple(
        dict.fromkeys(
            (
                OVERALL,
                order.purchase.origin.host,
                *(cap.account for cap in order.caps),
            )
        )
    )
