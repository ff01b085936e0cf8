"""Suggestions for mistyped words: keywords of our classes, fields of a policy file, names of networks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from ..errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., None])
Made = TypeVar("Made", bound=Callable[..., Any])


def near(word: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """Return the known word that is meant by a mistyped one, if one is near enough."""
    import difflib  # only mistakes need it

    names, typed = list(known), word.lower()
    found = difflib.get_close_matches(typed, names, n=1, cutoff=cutoff)
    swapped = [name for name in names if sorted(name) == sorted(typed)]  # of short words they are not near
    return next(iter(found or swapped), None)


#: What people write for limits on amounts.
_AMOUNT_WORDS = "max|most|limit|budget|price|amount|spend|daily|usd"


def meant(word: str, known: Iterable[str], cures: Iterable[tuple[str, str]] = ()) -> str:
    """Return a question about what a word may mean that is none of the known; "" if nothing is near.

    ``cures`` are patterns of words that people write, and what to say of each.
    """
    names = list(known)
    misspelled = near(word, names, 0.85)
    cure = next((said for words, said in cures if re.search(words, word.lower())), "")
    if cure and misspelled is None:
        return cure
    if misspelled is None and "per_request" in names and re.search(_AMOUNT_WORDS, word.lower()):
        return "did you mean per_request (the most for one payment) or per_day (a budget)?"
    found = misspelled or near(word, names)
    return f"did you mean {found}?" if found else ""


def unexpected(
    kind: str, given: Iterable[str], known: Iterable[str], cures: Iterable[tuple[str, str]] = ()
) -> TypeError:
    """Build the error for keywords that ``kind`` does not have. Values are not shown: one may be a key."""
    word, names = min(given), list(known)
    cure = meant(word, names, cures) or f"known are {', '.join(names)}."
    return TypeError(f"{kind}() got an unexpected keyword argument {word!r}; {cure}")


def keywords_only(example: str) -> Callable[[F], F]:
    """Make an ``__init__`` say what to write where it is given a value without a name. Its signature stays."""

    def decorate(init: F) -> F:
        @wraps(init)
        def checked(self: Any, *unnamed: Any, **keywords: Any) -> None:
            if unnamed:
                kind = type(unnamed[0]).__name__
                raise ConfigurationError(
                    f"{type(self).__name__} takes names with each value, and this {kind} has none; write {example}."
                )
            init(self, **keywords)

        return checked  # type: ignore[return-value]

    return decorate


def takes_nothing(cure: str) -> Callable[[Made], Made]:
    """Make a class method without arguments say what was meant where it is given one. Its signature stays."""

    def decorate(method: Made) -> Made:
        @wraps(method)
        def checked(kind: Any, *given: Any, **keywords: Any) -> Any:
            if given or keywords:
                raise TypeError(f"{method.__qualname__}() takes no arguments; {cure}")
            return method(kind)

        return checked  # type: ignore[return-value]

    return decorate
