"""Fields of an endpoint's answers. An answer that makes no sense raises ``Garbage``."""

from __future__ import annotations

import re
from typing import Any

_HEX = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)


class Garbage(Exception):
    """Error: an endpoint's answer makes no sense."""


def number(block: Any, name: str) -> int:
    """Return a field that must be a number in hex."""
    written = text(block, name)
    if not _HEX.fullmatch(written) or len(written) > 20:
        raise Garbage
    return int(written, 16)


def text(found: Any, name: str) -> str:
    """Return a field that must be text."""
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, str):
        raise Garbage
    return value
