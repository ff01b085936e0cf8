"""Names of functions for priced endpoints: two paths have two names, as far as a name can tell."""

from __future__ import annotations

import hashlib
import keyword
import re
import unicodedata
from urllib.parse import unquote, urlsplit

#: The most characters of a tool's name that all models' providers take.
_LONGEST = 64
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def is_name(given: object) -> bool:
    """Return True for what a function can be called, as code and as a model's tool."""
    return (
        isinstance(given, str)
        and len(given) <= _LONGEST
        and _NAME.fullmatch(given) is not None
        and not keyword.iskeyword(given)
    )


def name_of(url: str) -> str:
    """Return the name of the function that asks a URL: the words of its path, with the names of its places.

    The host's words come first where those alone are no name, as with ``/`` and ``/in``. What a name cannot tell, such
    as letters that are not ASCII, is told by a digest of the path.
    """
    parts = urlsplit(url)
    segments = [unicodedata.normalize("NFKD", unquote(one)) for one in parts.path.split("/") if one]
    name = "_".join(filter(None, map(_word, segments)))
    for first in (parts.hostname or "", "host"):
        if is_name(name[:1]) and not keyword.iskeyword(name):
            break
        name = f"{_word(first)}_{name}".strip("_")
    if len(name) <= _LONGEST and not any(map(_loses, segments)):
        return name
    digest = hashlib.sha256(parts.path.encode(errors="replace")).hexdigest()[:8]
    return f"{name[: _LONGEST - 9]}_{digest}"


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text.encode("ascii", "ignore").decode()).strip("_")


def _loses(segment: str) -> bool:
    """Return True if a part of a path has letters that its word has not, or makes no word at all."""
    return not _word(segment) or any(one.isalnum() for one in segment if not one.isascii())
