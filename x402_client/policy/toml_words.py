"""Says in TOML's words what errors and remarks say in Python's: a user of a policy file writes no Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

#: ``Policy(per_day="5")``, with keywords whose values are text, lists of text, numbers, or true and false.
_VALUE = r"""(?:"[^"]*"|\[(?:"[^"]*"(?:, )?)*\]|True|False|\d+\b)"""
_CALL = re.compile(rf"(?:Policy|Limit)\((\w+={_VALUE}(?:, \w+={_VALUE})*)\)")
_KEYWORD = re.compile(rf"\b(\w+)=({_VALUE})")
_TOKENS = re.compile(r"Policy\(tokens=(?:\[Token\(\.\.\.\)\]|\.\.\.)\)")
_HOST = re.compile(r"""\bhosts\[(['"])(.*?)\1\]""")
_EMPTY = re.compile(r"\bLimit\(\)")
_NONE = re.compile(r" \(None\)")


def in_words(remarks: Iterable[str], of_toml: bool) -> Iterator[str]:
    """Yield remarks on a policy in the words that it is written in."""
    yield from map(in_toml, remarks) if of_toml else remarks


def in_toml(said: str) -> str:
    """Return a message with the fields of a policy file in place of Python's calls and keywords."""
    said = _NONE.sub("", _TOKENS.sub("a table [[tokens]]", said))
    said = _EMPTY.sub("an empty table", _HOST.sub(r'[hosts."\2"]', said))
    said = _CALL.sub(lambda call: call[1].replace(", ", " and ") if "[" not in call[1] else call[1], said)
    return _KEYWORD.sub(_field, said)


def _field(found: re.Match[str]) -> str:
    value = found[2].lower() if found[2] in ("True", "False") else found[2]
    return f"{found[1]} = {value}"
