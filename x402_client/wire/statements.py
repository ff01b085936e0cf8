"""Reads the signed offers of a 402 and the signed receipt of an answer, and compares them with what is paid.

Only the fields that the signature covers are kept. No signature is checked here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import MalformedQuote
from ..model.holds import Hold, payer_name
from ..model.networks import caip2_of_seller
from ..model.offers import Offer, brief, term, words
from ..model.statements import OFFER_RECEIPT, Statement
from .json_text import dump, load

#: The most characters of a statement, and of one field of it. The most signed offers of a 402 that are read.
_MOST, _FIELD, _OFFERS = 4_096, 2_048, 100
#: Levels of JSON in a JWS. Its payload is flat, and a key may stand in its header.
_DEPTH = 4
_VISIBLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_HEX = re.compile(r"0[xX]([0-9a-fA-F]{2})+", re.ASCII)
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
#: The fields of each statement, with the kind of each. The last one may be missing in a JWS.
OFFER: Mapping[str, type] = {
    "version": int, "resourceUrl": str, "scheme": str, "network": str, "asset": str, "payTo": str, "amount": str,
    "validUntil": int,
}  # fmt: skip
RECEIPT: Mapping[str, type] = {
    "version": int, "network": str, "resourceUrl": str, "payer": str, "issuedAt": int, "transaction": str,
}  # fmt: skip
_AGREE = ("scheme", "network", "asset", "payTo", "amount")
#: Seconds that a seller's clock may be behind.
_CLOCKS = 300


def read_statement(raw: Any, fields: Mapping[str, type]) -> Statement:
    """Return a signed statement. Raise a ValueError, in words, for what cannot be read."""
    if not isinstance(raw, dict):
        raise ValueError("it is no object")
    form, signature = raw.get("format"), raw.get("signature")
    if form not in ("eip712", "jws"):
        raise ValueError(f"its format is {term(str(form), 20)}; eip712 and jws are known")
    if not isinstance(signature, str) or not 0 < len(signature) <= _MOST or not _VISIBLE.fullmatch(signature):
        raise ValueError(f"its signature is missing, or no text of at most {_MOST} characters")
    payload = raw.get("payload") if form == "eip712" else jws_parts(signature)[1]
    if form == "eip712" and not _HEX.fullmatch(signature):
        raise ValueError("its signature is not hexadecimal")
    return Statement(form, _fields(payload, fields, optional=form == "jws"), signature)


def jws_parts(compact: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Return header, payload, the bytes that are signed and the signature of a JWS in its compact form."""
    if not _COMPACT.fullmatch(compact):
        raise ValueError("it is no compact JWS")
    signed, _, signature = compact.rpartition(".")
    try:
        header, payload = (load(_unpadded(part), _DEPTH) for part in signed.split("."))
    except MalformedQuote as fault:
        raise ValueError(f"its JWS cannot be read: {fault.args[0]}") from None
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise ValueError("the header or the payload of its JWS is no object")
    return header, payload, signed.encode(), _unpadded(signature)


def texts_of(statement: Statement) -> list[str]:
    """Return all that a statement says, and its signature. In base64, two texts may look alike that are not."""
    if statement.format == "eip712":
        return [statement.signature, dump(dict(statement.payload))]
    header, payload, _, _ = jws_parts(statement.signature)
    return [dump(header), dump(payload), statement.signature.rpartition(".")[2]]


def _unpadded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("its JWS is not base64") from None


def _fields(payload: Any, fields: Mapping[str, type], optional: bool) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise ValueError("it has no payload")
    found: dict[str, Any] = {}
    last = [*fields][-1]
    for name, kind in fields.items():
        value = payload.get(name)
        if value is None and name == last and optional:
            continue
        if type(value) is not kind:
            raise ValueError(f"its {name} is missing, or of another kind")
        if isinstance(value, str) and (len(value) > _FIELD or not value.isprintable()):
            raise ValueError(f"its {name} is too long, or cannot be shown")
        if isinstance(value, int) and not 0 <= value < 2**256:
            raise ValueError(f"its {name} is out of range")
        found[name] = value
    if sum(len(value) for value in found.values() if isinstance(value, str)) > _MOST:
        raise ValueError(f"it has more than {_MOST} characters")
    return found


def declared_offers(extensions: Mapping[str, Any]) -> list[Any]:
    """Return the signed offers of a 402, as they came. Those beyond a hundred are not read."""
    declared = extensions.get(OFFER_RECEIPT)
    info = declared.get("info") if isinstance(declared, dict) else None
    listed = info.get("offers") if isinstance(info, dict) else None
    return listed[:_OFFERS] if isinstance(listed, list) else []


def with_statements(
    extensions: Mapping[str, Any], offers: list[Offer], url: str, resource: object, is_whole: bool
) -> tuple[list[Offer], str]:
    """Return the offers with the statements that sign them, and how one contradicts the rest; "" if none does.

    ``is_whole`` is False if an entry of ``accepts`` could not be read. A statement that cannot be read says nothing.
    The rule: "an offer that contradicts its accepts entry is a tampered 402".
    """
    found = list(offers)
    for raw in declared_offers(extensions):
        try:
            statement = read_statement(raw, OFFER)
        except ValueError:
            continue
        problem = contradiction(raw, statement, found, url, resource, is_whole)
        if problem:
            return found, problem
        place = next((i for i, offer in enumerate(found) if offer.signed is None and _agrees(statement, offer)), None)
        if place is not None:
            found[place] = found[place].but(signed=statement)
    return found, ""


def contradiction(
    raw: Any, statement: Statement, offers: list[Offer], url: str, resource: object, is_whole: bool = True
) -> str:
    """Return how a signed offer contradicts the 402 it stands in, or "".

    ``acceptIndex`` is not signed and only a hint: a statement that fits another entry is about that one.
    """
    fitting = [offer for offer in offers if _agrees(statement, offer)]
    if not fitting:
        hint = raw.get("acceptIndex")
        meant = [offer for offer in offers if type(hint) is int and offer.position == hint + 1]
        if not meant and type(hint) is not int and len(offers) == 1:
            meant = offers
        if meant:
            return _differs(statement, meant[0])
        return _not_offered(statement) if is_whole else ""
    named = statement.payload["resourceUrl"]
    places = [url, _address(resource), *(_address(offer.raw.get("resource")) for offer in fitting)]
    if not any(_same_place(named, place) for place in places):
        return f"its signed offer is for {_shown(named)}, not for this URL"
    return ""


def _shown(url: str) -> str:
    return term(url.partition("?")[0], 100)


def _not_offered(statement: Statement) -> str:
    said = statement.payload
    return (
        f"its signed offer is of {term(said['amount'], 40)} units of {term(brief(said['asset']), 20)} to "
        f"{term(brief(said['payTo']), 20)}, and no entry of accepts says the same"
    )


def _differs(statement: Statement, offer: Offer) -> str:
    theirs, ours = _signed_terms(statement), _terms(offer)
    name = next(name for name in _AGREE if theirs[name] != ours[name])
    said, entry = statement.payload[name], {**ours, "asset": offer.asset, "payTo": offer.pay_to}[name]
    return f"its signed offer says {name} {term(said, 60)}, and entry {offer.position} of accepts {term(entry, 60)}"


def _agrees(statement: Statement, offer: Offer) -> bool:
    return _signed_terms(statement) == _terms(offer)


def _signed_terms(statement: Statement) -> dict[str, str]:
    said = {name: statement.payload[name] for name in _AGREE}
    network = caip2_of_seller(said["network"]) or said["network"]
    return {**said, "network": network, "asset": payer_name(said["asset"]), "payTo": payer_name(said["payTo"])}


def _terms(offer: Offer) -> dict[str, str]:
    return {
        "scheme": offer.scheme,
        "network": offer.network,
        "asset": payer_name(offer.asset),
        "payTo": payer_name(offer.pay_to),
        "amount": str(offer.amount),
    }


def _address(resource: object) -> str:
    """Return the URL of a resource: an object in version 2 of the protocol, text in version 1."""
    found = resource.get("url") if isinstance(resource, dict) else resource
    return found if isinstance(found, str) else ""


def _same_place(one: str, other: str) -> bool:
    """Return True for one host and path. A proxy in front of a seller changes scheme and port, and clients a query."""
    mine, theirs = _place(one), _place(other)
    return mine is not None and mine == theirs


def _place(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
        return ((parts.hostname or "").lower(), parts.path.rstrip("/")) if url else None
    except ValueError:
        return None


def read_signed_receipt(raw: Mapping[str, Any]) -> Statement | None:
    """Return the signed receipt in a settle response. None: there is none that can be read."""
    try:
        found = declared_receipt(raw)
        return None if found is None else read_statement(found, RECEIPT)
    except ValueError:
        return None


def declared_receipt(raw: Mapping[str, Any]) -> Any:
    """Return the signed receipt in a settle response, as it came. None: there is none."""
    place: Any = raw
    for name in ("extensions", OFFER_RECEIPT, "info", "receipt"):
        place = place.get(name) if isinstance(place, dict) else None
    return place


def receipt_doubts(
    signed: Statement, hold: Hold, transaction: str, urls: Iterable[str], payers: Iterable[str]
) -> Iterator[str]:
    """Yield the disagreements between a signed receipt and the payment it came with.

    ``urls`` are names of what was bought, ``payers`` those of the account that paid.
    """
    said = signed.payload
    if (caip2_of_seller(said["network"]) or said["network"]) != hold.offer.network:
        yield f"it names network {term(said['network'], 60)}; the payment is on {hold.offer.network}"
    if payer_name(said["payer"]) not in [payer_name(one) for one in payers]:
        yield f"it names payer {term(said['payer'], 60)}; another account paid"
    if not any(_same_place(said["resourceUrl"], one) for one in urls):
        yield f"it is for {_shown(said['resourceUrl'])}; {words(hold.url, 100)} was paid"
    named = said.get("transaction") or ""
    if named and transaction and named.lower() != transaction.lower():
        yield f"it names transaction {term(brief(named), 20)}; the receipt around it {term(brief(transaction), 20)}"
    if hold.created and said["issuedAt"] < hold.created - _CLOCKS:
        yield "it was issued before this payment was made"
    if hold.offer.signed is not None and hold.offer.signed.signer not in ("", signed.signer) and signed.signer:
        yield "another key signed the offer"
