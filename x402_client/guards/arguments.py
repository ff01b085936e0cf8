"""Tells before a payment that a user's function cannot take what it will be given in the middle of one."""

from __future__ import annotations

import inspect
from typing import Any


def takes(function: Any, count: int) -> bool:
    """Return True if ``function`` may be called with ``count`` arguments, as far as can be told without calling it."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # much that is written in C tells none
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True
