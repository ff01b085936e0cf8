"""Spells the target of a request in one way, for the name of its purchase. What is sent stays as it is.

The HTTP libraries write one URL in different ways: ``%7E`` or ``~``, ``[1]`` or ``%5B1%5D``, a ``?`` before nothing or
none. RFC 3986, 6.2.2, says which of these are the same. A reserved character and its encoding are not: ``/`` and
``%2F`` are two things to a seller, and so are ``+`` and ``%20``.
"""

from __future__ import annotations

import re

_UNRESERVED = r"A-Za-z0-9._~\-"
#: What may stand in a path as it is, by RFC 3986; in a query the question mark, too.
_IN_PATH = rf"{_UNRESERVED}!$&'()*+,;=:@/"
_PLAIN = re.compile(rf"[{_IN_PATH}]*(\?[{_IN_PATH}?]+)?")
_OTHER = re.compile(rf"%([0-9A-Fa-f]{{2}})|[^{_IN_PATH}?]")
_NEEDS_NO_ENCODING = re.compile(f"[{_UNRESERVED}]")


def one_spelling(target: str) -> str:
    """Return the one spelling of a path with its query."""
    if _PLAIN.fullmatch(target):
        return target
    path, _, query = target.partition("?")
    return _OTHER.sub(_spelled, f"{path}?{query}" if query else path)


def _spelled(found: re.Match[str]) -> str:
    """Return a character that needs no encoding as it is, and every other one encoded, in capitals."""
    if found[1] is None:  # a percent sign that encodes nothing is one of these
        return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))
    character = chr(int(found[1], 16))
    return character if _NEEDS_NO_ENCODING.match(character) else f"%{found[1].upper()}"
