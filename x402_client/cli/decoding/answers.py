"""Compares the parts of one answer: what each header is for, and which of several terms would be paid."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ...errors import QuoteError
from ...model.offers import Quote
from ...wire.bounds import DEFAULT
from ...wire.read import read_quote
from .findings import Reading

#: Where terms are looked for, in this order. The first that can be read are paid.
PLACES = ("PAYMENT-REQUIRED", "X-PAYMENT-REQUIRED", "the body")
#: What stands in each header. Nothing else is read from it.
_MEANT: Mapping[str, str] = {
    "PAYMENT-REQUIRED": "payment terms",
    "X-PAYMENT-REQUIRED": "payment terms",
    "PAYMENT-SIGNATURE": "a payment",
    "X-PAYMENT": "a payment",
    "PAYMENT-RESPONSE": "a receipt",
    "X-PAYMENT-RESPONSE": "a receipt",
    "SIGN-IN-WITH-X": "a sign-in",
}
_NAME = re.compile(rf"^[ \t<]*({'|'.join(_MEANT)})[ \t]*:", re.MULTILINE | re.IGNORECASE | re.ASCII)
_STATUS = re.compile(r"^[ \t<]*HTTP/[0-9.]+[ \t]+([2-5][0-9]{2})\b", re.MULTILINE | re.ASCII)


def check_header(name: str, reading: Reading) -> None:
    """Add a finding if a header has something else than what stands there."""
    meant = _MEANT.get(name, reading.title)
    if reading.title not in (meant, "not x402"):
        reading.wrong(name, f"{meant} would stand there; {reading.title} would not be read from it")


def compare(text: str, parts: Sequence[tuple[str, str]], readings: Sequence[Reading]) -> None:
    """Add to each part of one answer what the others mean for it. A text of several answers is left as it is."""
    statuses = _STATUS.findall(text)
    if len(statuses) > 1:
        return
    times = Counter(name.upper() for name in _NAME.findall(text.replace("\r\n", "\n").partition("\n\n")[0]))
    twice = next((place for place in PLACES if times[place] > 1), None)
    first = _paid(parts) if sum(name in PLACES for name, _ in parts) > 1 else None
    for (name, _), reading in zip(parts, readings, strict=True):
        if times[name] > 1:
            reading.wrong(name, f"it stands {times[name]} times; what is read then depends on the HTTP library")
        if name not in PLACES or reading.title == "not x402":
            continue
        if statuses and statuses[0] != "402":
            said = f"{statuses[0]}: terms are read from a 402 alone, so nothing of this is paid"
            (reading.note if name == PLACES[-1] else reading.wrong)("status", said)
        elif twice is not None:
            reading.note("terms", f"if these are paid depends on the HTTP library: {twice} stands more than once")
        elif first not in (None, name):
            reading.note("terms", f"not these are paid, but those of {first}, which are read first")


def _paid(parts: Sequence[tuple[str, str]]) -> str | None:
    """Return the place whose terms would be paid, or None if none can be read."""
    return next((place for place in PLACES for name, text in parts if name == place and _quote(name, text)), None)


def _quote(name: str, text: str) -> Quote | None:
    in_body = name == PLACES[-1]
    try:
        return read_quote(
            lambda asked: text if asked.upper() == name else None,
            text.encode("utf-8", "surrogatepass") if in_body else b"",
            "https://seller.invalid/",
            DEFAULT,
        )
    except QuoteError:
        return None
