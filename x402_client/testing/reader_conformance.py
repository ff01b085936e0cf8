"""Tests that every settlement reader has to pass: subclass ``ReaderConformance`` and run it with pytest."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ..model.holds import Hold

_ANSWERS = ("settled", "not_settled", "live", "unknown")


class ReaderConformance(ABC):
    """Tests of a reader, given holds of which the truth is known. ``self.reader`` is new in every test."""

    @abstractmethod
    def make(self) -> Any:
        """Return the reader."""

    @abstractmethod
    def settled(self) -> Sequence[Hold]:
        """Return holds whose payments settled."""

    @abstractmethod
    def dead(self) -> Sequence[Hold]:
        """Return holds whose payments expired unused."""

    @abstractmethod
    def alive(self) -> Sequence[Hold]:
        """Return holds whose payments are unused and can still settle."""

    def strangers(self) -> Sequence[Hold]:
        """Return holds of which the reader knows nothing: other networks, other wallets, nothing signed."""
        return [hold.but(authorization=None) for hold in self.settled()]

    def setup_method(self) -> None:
        """Make the reader that is tested."""
        self.reader: Any = self.make()

    def read(self, hold: Hold) -> str:
        """Ask the reader. Await it if it is async."""
        found: Any = self.reader.read(hold)
        if inspect.isawaitable(found):
            import anyio

            async def awaited(coming: Any = found) -> Any:
                return await coming

            found = anyio.run(awaited)
        assert found in _ANSWERS, f"read() returned {found!r}; it may return one of {', '.join(_ANSWERS)}"
        return str(found)

    def test_what_settled_is_said_to_have_settled(self) -> None:
        assert self.settled()
        assert {self.read(hold) for hold in self.settled()} == {"settled"}

    def test_what_expired_unused_is_said_not_to_have_settled(self) -> None:
        assert self.dead()
        assert {self.read(hold) for hold in self.dead()} == {"not_settled"}

    def test_what_can_settle_yet_is_never_said_not_to_have_settled(self) -> None:
        """Check payments that can still settle.

        If the money of one were given back, and it settled after that, it would be paid and not counted.
        """
        assert {self.read(hold) for hold in self.alive()} <= {"unknown", "live"}

    def test_of_what_it_does_not_know_it_says_so(self) -> None:
        assert {self.read(hold) for hold in self.strangers()} <= {"unknown"}

    def test_it_says_the_same_again(self) -> None:
        for hold in (*self.settled(), *self.dead()):
            assert self.read(hold) == self.read(hold)
