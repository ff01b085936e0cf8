"""Hunts: draws scripts, plays them, and makes those that break a promise short enough to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .broken import Broken
from .clock import real
from .events import Script
from .generate import THEMES, script, themes
from .play import World, world
from .shrink import shrunk

#: How often a failure is played once more to see that it is one.
_TRIES = 3
#: Scripts that are played however long they take: of fewer it cannot be said that most calls brought something.
_LEAST = 12


@dataclass(frozen=True)
class Failure:
    """A script that breaks a promise."""

    seed: int | None
    oracle: str
    text: str
    script: Script

    def __str__(self) -> str:
        seed = f"X402_ADVERSARY_SEED={self.seed} " if self.seed is not None else ""
        return f"{seed}{self.oracle}\n{self.text}\n{self.script.shown()}"


def finds(seed: int, ledger: str, alphabet: Iterable[str] | None = None, *, shrink: bool = False) -> Failure | None:
    """Return the promise that the script of a seed breaks on a ledger. None: it holds."""
    letters = themes(ledger) if alphabet is None else frozenset(alphabet)
    with world(ledger) as place:
        return one(place, seed, ledger, letters, shrink=shrink)


def replays(given: Script, alphabet: Iterable[str] | None = None) -> Failure | None:
    """Return the promise that a script breaks. None: it holds."""
    letters = frozenset(THEMES) if alphabet is None else frozenset(alphabet)
    with world(given.setting.ledger) as place:
        broken = place.play(given, letters)
        return None if broken is None else Failure(None, broken.oracle, str(broken), given)


def one(place: World, seed: int, ledger: str, alphabet: frozenset[str], *, shrink: bool = True) -> Failure | None:
    """Play one seed. A failure that does not come again is none, but for a call that never ends."""
    drawn = script(seed, ledger, alphabet)
    broken = place.play(drawn, alphabet)
    if broken is None or not _again(place, drawn, broken, alphabet):
        return None
    short = shrunk(place, drawn, broken.oracle, alphabet) if shrink else drawn
    text = place.play(short, alphabet) or broken
    return Failure(seed, broken.oracle, str(text), short)


def _again(place: World, drawn: Script, broken: Broken, alphabet: frozenset[str]) -> bool:
    for _ in range(_TRIES):
        found = place.play(drawn, alphabet)
        if found is not None and found.oracle == broken.oracle:
            return True
    return False


def hunt(
    ledger: str, seconds: float, alphabet: frozenset[str], first: int = 0, told: Callable[[str], object] | None = None
) -> Iterable[Failure]:
    """Yield failures, until the time is over and a few scripts were played."""
    until, seed, delivered = real() + seconds, first, 0
    with world(ledger) as place:
        while real() < until or seed - first < _LEAST:
            found = one(place, seed, ledger, alphabet)
            seed += 1
            if found is not None:
                yield found
            delivered += place.books.delivered
        if told is not None:
            told(f"{seed - first} scripts on {ledger}")
        assert delivered > seed - first, "most calls brought nothing: these scripts show nothing"
