"""One call of the application, as its seller sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .events import Plan


@dataclass
class Visit:
    """One call, as the seller sees it."""

    number: int
    thing: tuple[int, int]
    plan: Plan
    #: The program that makes it, or the call itself where none is left behind.
    program: Any = None
    unpaid: int = 0
    paid: int = 0
    presented: list[str] = field(default_factory=list)
    #: Kinds of the 402s that it got, challenges in them, answers to its sign-ins, and True once one brought all.
    asked: list[str] = field(default_factory=list)
    challenged: int = 0
    answered: list[str] = field(default_factory=list)
    opened: bool = False
    #: When the head of an answer to a payment was written, and when the whole content was, in real seconds.
    headed: float | None = None
    complete: float | None = None
    #: It was sent an odd 2xx, which some libraries hand over and others refuse; one without a body has been read.
    odd: bool = False
    empty: bool = False
    #: When the ledger, busy since the content was on its way, was let go, though the caller had not got it.
    outlasted: float | None = None
