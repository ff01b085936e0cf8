"""Findings in a text from the wire: facts to show, and all that is wrong, not just the first thing."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from pydantic_core import from_json

from ...model.counts import counted
from ...model.offers import words

#: "wrong": such terms are refused, or such a payment fails. "tolerated": it departs from the specification, and is read
#: all the same. "note": worth knowing.
Level = Literal["wrong", "tolerated", "note"]
_MOST = 1024 * 1024
_MARKED = "it begins with a byte order mark"
#: How base64 of a JSON object begins.
_JSON_IN_BASE64 = ("ey", "ew")
#: As long as a signature or more, of its letters: hex, or base64 also as a URL writes it.
_HEX = re.compile(r"[0-9a-fA-F]{128,}", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_=%-]{100,}", re.ASCII)
_STANDARD = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about one place."""

    level: Level
    where: str
    text: str


@dataclass(slots=True)
class Reading:
    """A text, read: its facts and findings."""

    title: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def fact(self, name: str, value: object) -> None:
        """Add a fact to show. A stranger's text is made safe: some sellers repeat the payment that they refuse."""
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        self.facts.append((name, words(_without_payments(text), 300)))

    def wrong(self, where: str, text: str) -> None:
        """Add a finding for which the text is refused, or fails."""
        self.findings.append(Finding("wrong", where, text))

    def tolerated(self, where: str, text: str) -> None:
        """Add a finding of what is not as it should be, and is read all the same."""
        self.findings.append(Finding("tolerated", where, text))

    def note(self, where: str, text: str) -> None:
        """Add a finding that is worth knowing."""
        self.findings.append(Finding("note", where, text))

    @property
    def sound(self) -> bool:
        """Return True if nothing is wrong. What is tolerated does not count."""
        return all(finding.level != "wrong" for finding in self.findings)


def _without_payments(text: str) -> str:
    """Return a text without what may be a signature or a payment, which is worth money until it settles."""
    return _BASE64.sub(_not_shown, _HEX.sub(_not_shown, text))


def _not_shown(run: re.Match[str]) -> str:
    """Return what is shown in place of a long run of letters. A long word or path is no base64, and stays."""
    kinds = (str.isdigit, str.islower, str.isupper)
    mixed = run.re is _HEX or all(any(map(kind, run[0])) for kind in kinds)
    return f"({counted(len(run[0]), 'character')}, not shown)" if mixed else run[0]


def opened(text: str, reading: Reading) -> Any:
    """Return the JSON in a header or body, as far as it can be read, or None if it cannot."""
    text = text.strip()
    if len(text) > _MOST:
        reading.wrong("text", f"it has {counted(len(text), 'character')}; {_MOST} are looked at")
        return None
    if text.startswith("\ufeff"):
        reading.tolerated("encoding", _MARKED)
        text = text.removeprefix("\ufeff").lstrip()
    data = text.encode("utf-8", "surrogatepass")
    if text[:1] in ("{", "["):
        reading.facts.append(("encoding", "plain JSON"))
    else:
        found = _from_base64(text, reading)
        if found is None:
            return None
        data = found
    return _from_json(data, reading)


def _from_base64(text: str, reading: Reading) -> bytes | None:
    compact = "".join(text.split())
    if compact != text:
        reading.tolerated("encoding", "there is white space inside of the base64")
    if not _STANDARD.fullmatch(compact.replace("-", "+").replace("_", "/")):
        reading.wrong("encoding", "this is neither JSON nor base64")
        return None
    if "-" in compact or "_" in compact:
        reading.tolerated("encoding", "it is base64 in the alphabet for URLs; the specification has the standard one")
    plain = compact.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        is_json = plain.startswith(_JSON_IN_BASE64)
        reading.wrong("encoding", "the base64 is cut off" if is_json else "this is neither JSON nor base64")
        return None
    if len(compact) % 4:
        reading.tolerated("encoding", "the padding of the base64 is missing")
    return data


def _from_json(data: bytes, reading: Reading) -> Any:
    if data.startswith(b"\xef\xbb\xbf"):
        reading.tolerated("encoding", _MARKED)
        data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        from_json(data)  # bounds the nesting by itself, which the standard library's parser does not
        return json.loads(data, object_pairs_hook=partial(_once, reading), parse_constant=partial(_no_number, reading))
    except (ValueError, RecursionError) as problem:
        reading.wrong("JSON", words(f"it cannot be read: {problem}", 200))
        return None


def _once(reading: Reading, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    for name in made if len(made) < len(pairs) else ():
        if sum(name == other for other, _ in pairs) < 2:
            continue
        reading.wrong("JSON", f"the key {words(name, 60)!r} stands twice in one object, so it has two meanings")
    return made


def _no_number(reading: Reading, name: str) -> None:
    reading.wrong("JSON", f"{name} is no JSON")


def missing(document: Any, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the names that an object does not have."""
    return (name for name in names if name not in document)
