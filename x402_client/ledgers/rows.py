"""Conversion of holds to rows of a table, and back.

Rows never have query strings or keys. They have the payment header only until the purchase is resolved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..model.holds import CHARGED, Authorization, Hold, HoldState, LastAnswer, Order, Purchase
from ..model.hosts import Origin
from ..model.money import UNITS_PER_ONE, Money, Token
from ..model.offers import Offer, Receipt
from ..model.statements import Statement, facts_of, statement_of

#: Characters of JSON. A seller's additions to an offer or a receipt are kept up to this length.
_EXTRA = 1_024
#: Characters of a URL that are kept. It is only shown, and a seller may choose it by a redirect.
_URL = 1_024

#: The columns of a hold, in the order in which ``hold_of`` reads them.
COLUMNS = (
    "purse", "purchase", "request", "keyed", "method", "url", "scheme", "host", "port", "offer", "currency", "units",
    "created", "state", "money", "tries", "nonce", "payer", "expires", "evidence", "kind", "ceiling", "proof",
)  # fmt: skip


def name_of(number: int) -> str:
    """Return the id of the hold with this number."""
    return f"{number:016x}"


def number_of(name: str) -> int:
    """Return the number of the hold with this id. Return -1, which no hold has, for any other text."""
    try:
        number = int(name, 16)
    except ValueError:
        return -1
    return number if 0 <= number < 2**63 and name == name_of(number) else -1


#: Number of columns that a hold has before it is signed: the first of ``COLUMNS``.
UNSIGNED = 16


def new_hold(order: Order, name: str, now: float) -> Hold:
    """Return the new hold that a ledger makes for an order, signed if the order is."""
    state: HoldState = "reserved" if order.signed is None else "signed"
    facts = (name, order.purchase, order.offer, order.price, now, state)
    return Hold(*facts, authorization=order.signed, payer=order.payer, path=order.path)


def reserved_row(order: Order, created: float) -> tuple[Any, ...]:
    """Return the values of the first ``COLUMNS`` for a new hold."""
    purchase, origin = order.purchase, order.purchase.origin
    return (
        purchase.purse, purchase.id, purchase.request, purchase.keyed, purchase.method, shortened(purchase.url),
        origin.scheme, origin.host, origin.port, offer_text(order.offer), order.price.currency, order.price.units,
        created, "reserved" if order.signed is None else "signed", "held", 0,
    )  # fmt: skip


def hold_of(
    number: int,
    row: tuple[Any, ...],
    header: str | None = None,
    receipt: str | None = None,
    payer: str = "",
    last: str | None = None,
    path: str | None = None,
) -> Hold:
    """Read a hold from a row: the values of ``COLUMNS``."""
    purse, purchase, request, keyed, method, url, scheme, host, port, offer, currency, units = row[:12]
    created, state, money, tries = row[12:UNSIGNED]
    named = tuple(json.loads(header)) if header else ("", "")
    bought = Purchase(purchase, request, bool(keyed), method, url, Origin(scheme, host, port), purse)
    price = Money.of_units(units, currency)
    got = None if receipt is None else receipt_of(receipt)
    signed = _signed(row[UNSIGNED:], named)
    heard, under = last_of(last), path_of(path)
    return with_charged(Hold(
        name_of(number), bought, offer_of(offer), price, created, state, money, signed, got, tries, payer, heard,
        None, under,
    ))  # fmt: skip


def with_charged(hold: Hold) -> Hold:
    """Return a hold with what the chain showed to be taken of its ceiling. A ledger keeps that as its price alone."""
    token, signed = hold.offer.token, hold.authorization
    if signed is None or signed.kind != CHARGED or token is None:
        return hold
    most = hold.price.units * 10**token.decimals // UNITS_PER_ONE
    return hold.but(charged=min(most, hold.offer.amount))


def _signed(facts: tuple[Any, ...], header: tuple[str, str]) -> Authorization | None:
    nonce, payer, expires, evidence, kind, ceiling, proof = facts
    if nonce is None:
        return None
    most = None if ceiling is None else int(ceiling)
    return Authorization(nonce, payer, expires, header, json.loads(evidence), kind, most, proof)


def offer_text(offer: Offer) -> str:
    """Return an offer as JSON, without its raw form."""
    global _last_written
    known, text = _last_written
    if known is not offer:
        text = _offer_text(offer)
        _last_written = (offer, text)
    return text


#: The last offer, with its JSON. Each offer is written twice: when it is reserved and when it is signed.
_last_written: tuple[Offer | None, str] = (None, "")
_FACTS = ("position", "version", "scheme", "network", "amount", "asset", "pay_to", "timeout", "written_network")


def _offer_text(offer: Offer) -> str:
    token = offer.token
    known = None if token is None else [getattr(token, part) for part in Token.__slots__]
    price = None if offer.price is None else [offer.price.units, offer.price.currency]
    return _with(offer.signed, _bounded([[getattr(offer, fact) for fact in _FACTS], known, price], offer.extra))


def offer_of(text: str) -> Offer:
    """Read what ``offer_text`` wrote."""
    facts, known, price, extra, *signed = json.loads(text)
    token = None if known is None else Token(*known)
    worth = None if price is None else Money.of_units(*price)
    statement = statement_of(signed[0]) if signed else None
    return Offer(token=token, price=worth, extra=extra, signed=statement, **dict(zip(_FACTS, facts, strict=True)))


def authorization_row(authorization: Authorization) -> tuple[Any, ...]:
    """Return the values of the last ``COLUMNS``, and the header. A ceiling is text: it may have 256 bits."""
    return (
        authorization.nonce,
        authorization.payer,
        authorization.expires,
        _json(authorization.evidence),
        authorization.kind,
        None if authorization.ceiling is None else str(authorization.ceiling),
        authorization.proof,
        # Two strings encoded one by one take a fraction of the time that a list of them takes.
        "[" + ",".join(map(_json, authorization.header)) + "]",
    )


def path_text(path: tuple[str, ...]) -> str | None:
    """Write the accounts of a hold's allowances as they are kept. None: it is under none."""
    return _json(path) if path else None


def path_of(text: str | None) -> tuple[str, ...]:
    """Read what ``path_text`` wrote."""
    return tuple(json.loads(text)) if text else ()


def last_text(last: LastAnswer) -> str:
    """Return the last answer to a payment as JSON."""
    return _json([*last])


def last_of(text: str | None) -> LastAnswer | None:
    """Read what ``last_text`` wrote."""
    return LastAnswer(*json.loads(text)) if text else None


def receipt_text(receipt: Receipt | None) -> str | None:
    """Return a receipt as JSON."""
    if receipt is None:
        return None
    facts = (receipt.success, receipt.transaction, receipt.network, receipt.payer, receipt.amount, receipt.error)
    raw = receipt.raw if receipt.signed is None else {k: v for k, v in receipt.raw.items() if k != "extensions"}
    return _with(receipt.signed, _bounded([*facts], raw))


def receipt_of(text: str) -> Receipt:
    """Read what ``receipt_text`` wrote."""
    facts = json.loads(text)
    signed = [statement_of(one) for one in facts[_RECEIPT:]]
    return Receipt(*facts[:_RECEIPT], *signed)


#: The number of a receipt's own facts, its additions included. A signed statement stands after them.
_RECEIPT = 7


def _with(signed: Statement | None, text: str) -> str:
    """Return JSON with what the seller signed at its end. It is kept whole: a part of it proves nothing."""
    return text if signed is None else f"{text[:-1]},{_json(facts_of(signed))}]"


def _bounded(facts: list[Any], words: Mapping[str, Any]) -> str:
    """Return facts and then the seller's additions as JSON. Additions that are too long are left out as a whole."""
    text = _json([*facts, words])
    if len(text) > _EXTRA and words and len(_json(words)) > _EXTRA:
        return _json([*facts, {}])
    return text


def shortened(url: str) -> str:
    """Return a URL as it is kept."""
    return url if len(url) <= _URL else url[: _URL - 1] + "…"


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


_json = json.JSONEncoder(separators=(",", ":"), default=_plain).encode
