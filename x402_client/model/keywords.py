"""Suggestions for mistyped words: keywords of our classes, fields of a policy file, names of networks."""

from __future__ import annotations

from collections.abc import Iterable


def near(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is meant by a mistyped one, if one is near enough."""
    import difflib  # only mistakes need it

    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.7)
    return found[0] if found else None


def unexpected(kind: str, given: Iterable[str], known: Iterable[str]) -> TypeError:
    """Build the error for keywords that ``kind`` does not have. Values are not shown: one may be a key."""
    word, names = min(given), list(known)
    meant = near(word, names)
    cure = f"did you mean {meant!r}?" if meant else f"known are {', '.join(names)}."
    return TypeError(f"{kind}() got an unexpected keyword argument {word!r}; {cure}")
