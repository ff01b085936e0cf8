"""Reads a 402 into a Quote and a receipt header into a Receipt. All input is hostile until it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from ..errors import MalformedQuote, QuoteError, UnsupportedVersion
from ..guards.remembered import Remembered
from ..model.networks import caip2_of_seller
from ..model.offers import Offer, Quote, Receipt, term, words
from ..model.statements import OFFER_RECEIPT
from .bounds import Bounds
from .json_text import glimpse, load, load_base64
from .sign_in import read_sign_in

Header = Callable[[str], str | None]
#: Texts in a header that was meant to be x402, however broken the rest is.
_MARKS = (b'"x402Version"', b'"accepts"')
_HEADERS = ("payment-required", "x-payment-required")
#: Extensions by which a seller pays the gas of an approval to Permit2: by a permit (EIP-2612), or by a transaction.
SPONSORING = ("eip2612GasSponsoring", "erc20ApprovalGasSponsoring")
#: The most bytes of a page beside terms in a header.
_PAGE = 16 * 1024 * 1024
_Texts = tuple[tuple[str, str], ...]
#: The most characters of brief terms. Those are kept by their number, in case they come again.
_BRIEF = 8_192
#: The most characters of all longer terms that are kept. Read, they take some ten times as much memory.
LONG_TERMS = 1024 * 1024


@cache
def _shapes() -> Any:
    """Import the shapes late: pydantic's core takes as long to import as the flow.

    So it is not imported before there is a buyer.
    """
    from . import shapes

    return shapes


@cache
def _statements() -> Any:
    """Import what reads signed statements. Few sellers send any."""
    from . import statements

    return statements


def get_ready() -> None:
    """Import what reading needs. Otherwise an event loop would wait for it at its first 402."""
    _shapes()


def read_quote(header: Header, body: bytes | None, url: str, bounds: Bounds) -> Quote | None:
    """Return the terms of a 402, or None if it is not x402. Headers win over the body.

    ``body`` is None if it is too large. A broken place does not hide a sound one. If no place is sound, the first fault
    is raised.
    """
    texts = tuple([(name, text) for name in _HEADERS if (text := header(name)) is not None])
    size = len(body or b"") + sum([len(text) for _, text in texts])
    if size <= _BRIEF:
        return _read_cached(texts, body, url, bounds, 0)
    return _read_remembered(size, texts, body, url, bounds, size)


def is_page(header: Header) -> bool:
    """Return True for a body that is too large to read, and may be let be where a header has the terms.

    Sellers answer browsers with terms in the header and a page of some megabytes. A body without an end, or one that
    unfolds into too much, goes on being a fault.
    """
    length = header("content-length") or ""
    told = length.isascii() and length.isdigit() and len(length) <= len(str(_PAGE))
    return told and int(length) <= _PAGE and not header("content-encoding")


def _read(texts: _Texts, body: bytes | None, url: str, bounds: Bounds, size: int) -> Quote | None:
    fault: QuoteError | None = None
    for document in _places(texts, body, bounds):
        try:
            found = document()
            if found is not None:
                return _quote(found, url, bounds, size)
        except QuoteError as exc:
            fault = fault or exc
    if fault is not None:
        raise fault
    return None


#: Cached: most sellers ask in the same words each time, and the same words mean the same.
_read_cached = lru_cache(maxsize=64)(_read)
_read_remembered = Remembered(_read, LONG_TERMS)


def read_receipt(header: Header, bounds: Bounds) -> Receipt | None:
    """Return the receipt that a seller attached, or None if there is none that can be read."""
    found = (_receipt(header(name), bounds) for name in ("payment-response", "x-payment-response"))
    return next((receipt for receipt in found if receipt is not None), None)


def _receipt(text: str | None, bounds: Bounds) -> Receipt | None:
    if text is None or len(text) > bounds.receipt:
        return None
    try:
        raw = load_base64(text, bounds.depth)
        wire = _shapes().receipt(raw)
    except (QuoteError, ValueError):
        return None
    return Receipt(
        success=wire["success"],
        transaction=words(wire["transaction"] or wire["txHash"], bounds.words),
        network=words(wire["network"] or wire["networkId"], bounds.words),
        payer=words(wire["payer"], bounds.words) or None,
        amount=wire["amount"],
        error=words(wire["errorReason"] or wire["error"], bounds.words),
        raw=raw,
        signed=_statements().read_signed_receipt(raw) if raw.get("extensions") else None,
    )


def _places(texts: _Texts, body: bytes | None, bounds: Bounds) -> Iterator[Callable[[], Mapping[str, Any] | None]]:
    for name, text in texts:
        yield lambda text=text, name=name: _from_header(text, name, body, bounds)  # type: ignore[misc]
    if body is not None:
        yield lambda: _from_body(body, bounds)


def _from_header(text: str, name: str, body: bytes | None, bounds: Bounds) -> Mapping[str, Any] | None:
    """Read terms from a header.

    Return None if the text does not claim to be x402: it belongs to another protocol, even under this header's name.
    """
    try:
        document = _document(text, bounds)
    except MalformedQuote as fault:
        if not any(mark in glimpse(text[: bounds.terms_header]) for mark in _MARKS):
            return None
        raise MalformedQuote(f"The {name} header cannot be read. {fault} Nothing was paid.") from None
    if not isinstance(document, dict) or not ("x402Version" in document or "accepts" in document):
        return None
    if body is None:
        raise MalformedQuote(
            f"The 402 has terms in its {name} header and a body of more than {bounds.terms_body} bytes, whose "
            "length is not told or too large. Nothing was paid."
        )
    return document


def _document(text: str, bounds: Bounds) -> Any:
    if len(text) > bounds.terms_header:
        raise MalformedQuote(f"It has {len(text)} characters; {bounds.terms_header} are read.")
    return load_base64(text, bounds.depth)


def _from_body(body: bytes, bounds: Bounds) -> Mapping[str, Any] | None:
    """Read terms from the body.

    Return None if it does not claim to be x402: it is another protocol's 402.
    """
    if b'"x402Version"' not in body or not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return None
    try:
        document = load(body, bounds.depth)
    except MalformedQuote as fault:
        raise MalformedQuote(f"The body of the 402 cannot be read. {fault} Nothing was paid.") from None
    return document if isinstance(document, dict) and "x402Version" in document else None


def _quote(document: Mapping[str, Any], url: str, bounds: Bounds, size: int) -> Quote:
    version = _version(document)
    entries, extensions = document.get("accepts"), document.get("extensions")
    extensions = extensions if isinstance(extensions, dict) else {}
    sign_in = read_sign_in(extensions) if extensions else None
    # "accepts: [] is a legal quote, not a malformed one", where a sign-in is asked for.
    if not isinstance(entries, list) or not (entries or sign_in):
        raise MalformedQuote("The 402 names no offers: `accepts` is missing or empty. Nothing was paid.")
    if len(entries) > bounds.offers:
        raise MalformedQuote(f"The 402 has {len(entries)} offers; {bounds.offers} are read. Nothing was paid.")
    offers, faults = read_offers(entries, version)
    if entries and not offers:
        raise MalformedQuote("The 402 has no offer that can be read. " + "; ".join(faults[:5]) + ". Nothing was paid.")
    if extensions:
        offers = _with_sponsoring(offers, extensions)
    resource, contradiction = document.get("resource"), ""
    if OFFER_RECEIPT in extensions:
        is_whole = len(offers) == len(entries)
        offers, contradiction = _statements().with_statements(extensions, offers, url, resource, is_whole)
    return Quote(
        url=url,
        version=version,
        offers=tuple(offers),
        faults=tuple(faults),
        description=words(_description(resource, entries), bounds.words),
        error=words(document.get("error"), bounds.words),
        resource=resource if isinstance(resource, dict) else None,
        extensions=extensions,
        brief=not size,
        size=size,
        sign_in=sign_in,
        contradiction=contradiction,
    )


def _with_sponsoring(offers: list[Offer], extensions: Mapping[str, Any]) -> list[Offer]:
    """Return the offers, those by Permit2 with the ways in which the seller pays the gas of an approval to it."""
    found = {name: extensions[name] for name in SPONSORING if name in extensions}
    return [offer.but(sponsoring=found) if offer.by_permit2 else offer for offer in offers] if found else offers


def _version(document: Mapping[str, Any]) -> int:
    version = document.get("x402Version")
    if type(version) is not int:
        raise MalformedQuote("The 402 does not say which version of x402 it speaks. Nothing was paid.")
    if version not in (1, 2):
        raise UnsupportedVersion(
            f"The 402 speaks version {term(str(version), 20)} of x402; 1 and 2 are known. Nothing was paid."
        )
    return version


def _description(resource: object, entries: list[Any]) -> object:
    place = resource if isinstance(resource, dict) else next((e for e in entries if isinstance(e, dict)), {})
    return place.get("description")


def read_offers(entries: list[Any], version: int) -> tuple[list[Offer], list[str]]:
    """Return the offers that can be read, and a line about each entry that cannot."""
    offers: list[Offer] = []
    faults: list[str] = []
    for position, raw in enumerate(entries, start=1):
        try:
            offers.append(_offer(raw, position, version))
        except ValueError as problem:
            faults.append(f"offer {position} cannot be read: {problem}")
    return offers, faults


def _offer(raw: Any, position: int, version: int) -> Offer:
    wire = _shapes().offer(raw)
    amounts = {a for a in (wire["amount"], wire["maxAmountRequired"]) if a is not None}
    if len(amounts) != 1:
        raise ValueError("it names two different amounts" if amounts else "it names no amount")
    return Offer(
        position=position,
        version=version,
        scheme=wire["scheme"],
        network=caip2_of_seller(wire["network"]) or wire["network"],
        amount=amounts.pop(),
        asset=wire["asset"],
        pay_to=wire["payTo"],
        timeout=wire["maxTimeoutSeconds"],
        written_network=wire["network"],
        extra=wire["extra"] or {},
        raw=raw,
    )
