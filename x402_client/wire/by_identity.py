"""A cache key that stands for one object, where equal objects must not share an entry."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class ByIdentity(Generic[T]):
    """A wrapper that equals only a wrapper of the same object.

    To Python 1, 1.0 and true are equal, and each has to be echoed as it came.
    """

    __slots__ = ("it",)

    def __init__(self, it: T) -> None:
        self.it: T = it

    def __hash__(self) -> int:
        return id(self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and self.it is other.it
