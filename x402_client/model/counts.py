"""Numbers in messages, each with its noun."""

from __future__ import annotations


def counted(number: float, noun: str, nouns: str = "") -> str:
    """Return ``1 payment`` or ``2 payments``, and ``1.5 seconds``.

    Args:
        number: How many there are.
        noun: What one of them is called.
        nouns: What several are called. "": with an s at the end.
    """
    shown = number if isinstance(number, int) else f"{number:g}"
    return f"{shown} {noun if number == 1 else nouns or f'{noun}s'}"
