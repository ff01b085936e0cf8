"""Lets an object begin anew in a forked child. Threads stay with the parent, and their locks and answers with them."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_begin: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()


def in_each_child(owner: T, begin: Callable[[T], None]) -> None:
    """Have ``begin(owner)`` called in each forked child, while the owner lives. Call it now, too.

    A thread of the parent may have had a lock of the owner, or may have been about to bring an answer. In the child
    there is no such thread, so a wait for either would never end.
    """
    begin(owner)
    _begin[owner] = begin


def generation() -> int:
    """Return how many forks lie between this process and the one that began. So a copy in a child is told apart."""
    return _forks


_forks = 0


def _forked() -> None:
    global _forks
    _forks += 1
    for owner, begin in list(_begin.items()):
        begin(owner)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
