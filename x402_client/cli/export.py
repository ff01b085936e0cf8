"""Writes the ledger as CSV or JSON, in columns that do not change.

Query strings, keys and payment headers are left out.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from typing import IO, Any

from ..model.holds import Hold, moment
from ..model.offers import words
from ..model.statements import Statement
from .balances import whole_tokens
from .buying import number
from .spending import symbol
from .transactions import by_seller
from .vocabulary import answer_of, is_test, state_of

#: New columns are added at the end.
COLUMNS = (
    "time", "hold", "state", "money", "method", "url", "host", "price", "currency", "token_amount", "token", "network",
    "asset", "pay_to", "payer", "nonce", "expires", "transaction", "purse", "answer", "test_money",
    "allowance", "signed_offer", "signed_receipt", "ceiling", "charged",
)  # fmt: skip
#: A spreadsheet takes a cell that begins like this for a formula, and sellers choose the text of some cells.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def row(hold: Hold) -> dict[str, Any]:
    """Return one payment for a program. Times are UTC, amounts are exact, states are the words of every command."""
    offer, signed = hold.offer, hold.authorization
    return {
        "time": _time(hold.created),
        "hold": hold.id,
        "state": state_of(hold),
        "money": hold.told.money,
        "method": hold.purchase.method,
        "url": hold.url,
        "host": hold.host,
        "price": number(hold.price),
        "currency": hold.price.currency,
        "token_amount": whole_tokens(offer.amount, offer.token) if offer.token else str(offer.amount),
        "token": symbol(hold),
        "network": offer.network,
        "asset": offer.asset,
        "pay_to": offer.pay_to,
        "payer": signed.payer if signed else "",
        "nonce": signed.nonce if signed else "",
        "expires": _time(signed.expires) if signed else "",
        "transaction": by_seller(hold).name,
        "purse": hold.purchase.purse,
        "answer": answer_of(hold),
        "test_money": is_test(hold),
        "allowance": words(hold.allowance or "", 200),
        "signed_offer": evidence(offer.signed),
        "signed_receipt": evidence(hold.receipt.signed if hold.receipt else None),
        "ceiling": number(offer.price) if offer.is_ceiling and offer.price is not None else "",
        "charged": number(hold.charge) if hold.charge is not None else "",
    }


def evidence(signed: Statement | None) -> str:
    """Return what a seller signed as JSON, with all that others need to check it; "" if it signed nothing."""
    if signed is None:
        return ""
    said = {"format": signed.format, "payload": dict(signed.payload), "signature": signed.signature}
    found = {"signer": signed.signer, "signed_by": signed.signed_by, "problems": list(signed.problems)}
    return json.dumps(said | found)


def as_csv(holds: Iterable[Hold], file: IO[str]) -> None:
    """Write CSV with a line of names first.

    A cell that a spreadsheet would calculate gets an apostrophe in front.
    """
    writer: csv.DictWriter[str] = csv.DictWriter(file, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for hold in holds:
        writer.writerow({name: _safe(cell) for name, cell in row(hold).items()})


def as_json(holds: Iterable[Hold], file: IO[str]) -> None:
    """Write a JSON list, one purchase a line."""
    separator = "[\n"
    for hold in holds:
        file.write(separator + json.dumps(row(hold)))
        separator = ",\n"
    file.write("[]\n" if separator == "[\n" else "\n]\n")


def _safe(cell: str | bool) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _time(seconds: float) -> str:
    at: Any = moment(seconds)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
