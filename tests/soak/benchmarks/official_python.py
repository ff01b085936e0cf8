"""Where the official client lives: the environment that the real sellers of the tests live in too."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.real.environments import environment


@cache
def official_python() -> Path:
    """Made on first use, which takes a minute."""
    return environment("v2")
