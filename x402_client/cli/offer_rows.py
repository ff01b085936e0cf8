"""Shows one offer of a 402: as a row of a table, and as JSON."""

from __future__ import annotations

from typing import Any

from ..model.counts import counted
from ..model.offers import Offer, words
from ..signers.play_keys import takes_play_keys
from .buying import number
from .money_labels import network_name
from .own_words import in_own_words


def is_play_money(offer: Offer) -> bool:
    """Return True for test money whose price does not say so itself."""
    named = offer.price is not None and "(test)" in offer.price.currency
    return takes_play_keys(offer.network) and not named


def add_row(rows: Any, offer: Offer, chosen: bool, obstacle: str) -> None:
    """Add an offer to a table. ``obstacle``: why the chosen one would not be paid after all, in short."""
    from rich.text import Text

    token = offer.token.symbol if offer.token else words(offer.asset, 60)
    price = str(offer.price) if offer.price is not None else counted(offer.amount, "unit")
    price = f"up to {price}" if offer.is_ceiling else price
    reason = in_own_words(words(offer.reason, 300))
    pays = Text("yes", "green") if chosen else Text(f"no: {reason}" if reason else "no", "dim")
    if chosen and obstacle:
        pays = Text(f"no: {obstacle}", "yellow")
    scheme = words(offer.scheme, 40) + (", upfront" if offer.upfront else "")
    cells = (f"{offer.position}.", scheme, price, token, network_name(offer.network, offer.price))
    arrow = Text("→" if chosen and not obstacle else "", "green")
    rows.add_row(arrow, Text(" ".join(cells[:2])), *map(Text, cells[2:]), Text(words(offer.pay_to, 60)), pays)


def offer_document(offer: Offer) -> dict[str, Any]:
    """Return an offer as JSON."""
    return {
        "position": offer.position,
        "scheme": offer.scheme,
        "network": offer.network,
        "asset": offer.asset,
        "token": offer.token.symbol if offer.token else None,
        "amount": str(offer.amount),
        "price": number(offer.price) if offer.price else None,
        "currency": offer.price.currency if offer.price else None,
        "pay_to": offer.pay_to,
        "upfront": offer.upfront,
        "ceiling": offer.is_ceiling,
        "permit2": offer.by_permit2,
        "sponsoring": sorted(offer.sponsoring),
        "test_money": takes_play_keys(offer.network),
        "reason": None if offer.reason is None else in_own_words(offer.reason),
    }
