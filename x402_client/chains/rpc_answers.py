"""Reads what an endpoint answers; what makes no sense is ``Garbage``."""

from __future__ import annotations

import re
from typing import Any, Literal

Settled = Literal["settled", "not_settled", "unknown"]
_HEX = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)


class _Garbage(Exception):
    """An endpoint's answer makes no sense."""


def _number(block: Any, name: str) -> int:
    text = _text(block, name)
    if not _HEX.fullmatch(text) or len(text) > 20:
        raise _Garbage
    return int(text, 16)


def _text(found: Any, name: str) -> str:
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, str):
        raise _Garbage
    return value
