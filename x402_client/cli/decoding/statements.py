"""Reads what a seller signed: the offers of a 402, and a receipt, with who signed it and what it contradicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core import run
from ...model.holds import moment
from ...model.offers import Offer, words
from ...model.statements import OFFER_RECEIPT, Statement
from ...schemes.offer_receipt import OfferReceipts
from ...wire.read import read_offers
from ...wire.statements import OFFER, RECEIPT, contradiction, declared_offers, declared_receipt, read_statement
from ..one_payment import signer_of
from .findings import Reading

_PLACE = f"extensions.{OFFER_RECEIPT}"
_NO_PROOF = "it is the signer's word: only the chain proves a payment"


def read_signed_offers(document: dict[str, Any], reading: Reading, asked_url: str) -> None:
    """Read the signed offers of a 402, and compare each with the entry that it is about."""
    extensions, entries = document.get("extensions"), document.get("accepts")
    if not isinstance(extensions, dict) or not isinstance(entries, list):
        return
    offers, faults = read_offers(entries, 1 if document.get("x402Version") == 1 else 2)
    for number, raw in enumerate(declared_offers(extensions), start=1):
        where = f"{_PLACE} {number}"
        try:
            statement = read_statement(raw, OFFER)
        except ValueError as fault:
            reading.tolerated(where, f"{fault}, so it is passed over")
            continue
        url = asked_url or str(statement.payload["resourceUrl"])
        problem = contradiction(raw, statement, offers, url, document.get("resource"), is_whole=not faults)
        if problem:
            reading.wrong(where, f"{problem}: nothing of such a 402 is paid")
        _signer(f"signed offer {number}", statement, _payee(statement, offers), where, reading)
        until = statement.payload.get("validUntil")
        if isinstance(until, int) and 0 < until < 2**35:
            reading.fact(f"signed offer {number}, good until", f"{moment(until):%Y-%m-%d %H:%M:%S} UTC")


def is_statement(document: Mapping[str, Any]) -> bool:
    """Return True for a signed offer or receipt by itself, as ``ledger export`` writes them."""
    return "signature" in document and document.get("format") in ("eip712", "jws")


def read_one_statement(document: dict[str, Any], reading: Reading) -> None:
    """Read a signed offer or receipt by itself. What it was signed for is not here, so it is compared with nothing."""
    reading.title, statement = "a signed offer", _statement(document, OFFER)
    if isinstance(statement, str):
        reading.title, statement = "a signed receipt", _statement(document, RECEIPT)
    if isinstance(statement, str):
        reading.title = "what a seller signed"
        reading.wrong("statement", f"it is neither an offer nor a receipt: {statement}")
        return
    for name, value in statement.payload.items():
        reading.fact(name, words(str(value), 200) or "none named")
    _signer("signed", statement, "", "statement", reading)
    reading.note("statement", _NO_PROOF)


def _statement(raw: Mapping[str, Any], fields: Mapping[str, type]) -> Statement | str:
    """Return a statement, or why it is none with these fields."""
    try:
        return read_statement(raw, fields)
    except ValueError as problem:
        return str(problem)


def _payee(statement: Statement, offers: list[Offer]) -> str:
    """Return the account that is paid. That of the statement is not believed where no entry says the same."""
    said = str(statement.payload["payTo"])
    return next((offer.pay_to for offer in offers if offer.pay_to.lower() == said.lower()), "")


def read_signed_receipt(document: Mapping[str, Any], reading: Reading) -> None:
    """Read the signed receipt in a settle response, if there is one."""
    raw, where = declared_receipt(document), f"{_PLACE} receipt"
    if raw is None:
        return
    try:
        statement = read_statement(raw, RECEIPT)
    except ValueError as problem:
        reading.tolerated(where, f"{problem}, so it is passed over")
        return
    for name in ("resourceUrl", "payer", "network", "transaction"):
        reading.fact(f"signed receipt, {name}", statement.payload.get(name) or "none named")
    issued = statement.payload["issuedAt"]
    if issued < 2**35:
        reading.fact("signed receipt, issued", f"{moment(issued):%Y-%m-%d %H:%M:%S} UTC")
    for name in ("payer", "network", "transaction"):
        said, around = statement.payload.get(name), document.get(name)
        if said and around and str(said).lower() != str(around).lower():
            reading.wrong(where, f"its {name} is {words(str(said), 80)}, and that around it {words(str(around), 80)}")
    _signer("signed receipt", statement, "", where, reading)
    reading.note(where, _NO_PROOF)


def _signer(name: str, statement: Statement, pay_to: str, where: str, reading: Reading) -> None:
    """Add who signed. No request is sent, so the document of a ``did:web`` is not fetched."""
    found = run(OfferReceipts(()).checked(statement, pay_to), lambda ask: ask.read())  # type: ignore[attr-defined]
    if found.signed_by == "forged":
        reading.wrong(where, signer_of(found))
        return
    reading.fact(name, signer_of(found))
    for problem in found.problems:
        reading.note(where, problem)
