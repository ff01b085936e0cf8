"""The questions that a quote asks of the ledger. They are looks: nothing is claimed or counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .asks import Ask

if TYPE_CHECKING:
    from ..model.holds import Hold as Hold
    from ..model.holds import Spending


class Past(Ask["tuple[Hold, ...]"]):
    """All resolved payments of the purse that the ledger remembers."""

    __slots__ = ()


class Freezes(Ask["tuple[str, ...]"]):
    """The host patterns to which payments are stopped; ``*`` stops all."""

    __slots__ = ()


class SpentIn(Ask[int]):
    """The millionths that are counted in a window of an account."""

    __slots__ = ("question",)

    def __init__(self, question: Spending) -> None:
        self.question: Spending = question
