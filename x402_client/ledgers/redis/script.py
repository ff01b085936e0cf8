"""The ledger's one Lua script: its source, its digest, and the key that a step names."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from urllib.parse import quote

from ...model.budgets import WINDOWS
from ..served.protocol import MICROSECONDS, Request
from ..windows import BUCKETS

#: The parts of the script, in their order: sums, claims, checks of programs, allowances, holds, steps.
_PARTS = ("windows.lua", "claims.lua", "programs.lua", "allowances.lua", "holds.lua", "steps.lua")


@cache
def source() -> str:
    """Return the script, headed by the windows and buckets that all ledgers share."""
    lengths = {name: (length or 0) * MICROSECONDS for name, length in WINDOWS.items()}
    windows = ", ".join(f'{{ "{name}", {length} }}' for name, length in lengths.items())
    written = " ".join(f"{name}={lengths[name]}" for name in sorted(lengths))
    here = files(__name__.rpartition(".")[0])
    parts = [here.joinpath(name).read_text("utf-8") for name in _PARTS]
    first = f'local WINDOWS, BUCKETS, WRITTEN_WINDOWS = {{ {windows} }}, {BUCKETS}, "{written}"'
    return "\n".join([first, *parts])


@cache
def digest() -> str:
    """Return the SHA-1 by which the server knows the script."""
    return hashlib.sha1(source().encode(), usedforsecurity=False).hexdigest()


def key_of(asked: Request) -> str:
    """Return the key that a step names. All keys of a purse live in one slot of a cluster."""
    return "{x402}:state" if asked.purse is None else f"{{x402:{quote(asked.purse, safe='')}}}:state"
