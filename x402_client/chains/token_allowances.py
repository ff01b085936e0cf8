"""Reads what an account has approved to Permit2: of one token, or of many of a network at once, by Multicall3."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..errors import ChainUnavailable
from .permit2_settlement import PERMIT2
from .rpc import Reverted, Rpc

#: Multicall3's contract: one address on most EVM chains (https://www.multicall3.com).
_MULTICALL = "0xcA11bde05977b3631167028862bE2a173976CA11"
_AGGREGATE = "0xbce38bd7"  # tryAggregate(bool,(address,bytes)[])
_ALLOWANCE = "dd62ed3e"  # allowance(address,address)
_WORD = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_HEX = re.compile(r"0x([0-9a-f]{64})*", re.ASCII)
#: Words of one call in the question: its head, the length of its data, and the data.
_CALL = 2 + 1 + 3


def permit2_allowance(rpc: Rpc, token: str, owner: str) -> int:
    """Read what an owner has approved to Permit2, in the token's smallest units."""
    found = _one(rpc, token, owner, None)
    if found is None:
        raise ChainUnavailable(f"The endpoint's answer about {owner}'s allowance to Permit2 makes no sense.")
    return found


def permit2_allowances(rpc: Rpc, tokens: Sequence[str], owner: str, seconds: float | None) -> dict[str, int]:
    """Read what an owner has approved to Permit2, by token. A token that does not tell is left out.

    They are read in one call. A chain without Multicall3 is asked about one after the other.
    """
    answer: Any = "0x"
    if len(tokens) > 1:
        with suppress(Reverted):
            asked = {"to": _MULTICALL, "data": _together(tokens, owner)}
            answer = rpc.call("eth_call", asked, "latest", seconds=seconds)
    found: dict[str, int | None] = {}
    if answer == "0x":
        for token in tokens:
            with suppress(Reverted):
                found[token] = _one(rpc, token, owner, seconds)
    else:
        found = dict(zip(tokens, _amounts(answer, len(tokens)), strict=True))
    return {token: amount for token, amount in found.items() if amount is not None}


def _one(rpc: Rpc, token: str, owner: str, seconds: float | None) -> int | None:
    """Return what a token tells. None: it tells no number."""
    answer = rpc.call("eth_call", {"to": token, "data": f"0x{_question(owner)}"}, "latest", seconds=seconds)
    return int(answer, 16) if isinstance(answer, str) and _WORD.fullmatch(answer) else None


def _question(owner: str) -> str:
    return _ALLOWANCE + owner[2:].lower().zfill(64) + PERMIT2[2:].lower().zfill(64)


def _together(tokens: Sequence[str], owner: str) -> str:
    """Return the calldata that asks about several tokens. One that fails does not fail the rest."""
    data = _question(owner)
    padded = data.ljust(3 * 64, "0")
    calls = [f"{token[2:].lower().zfill(64)}{2 * 32:064x}{len(data) // 2:064x}{padded}" for token in tokens]
    places = [f"{(len(tokens) + number * _CALL) * 32:064x}" for number in range(len(tokens))]
    return f"{_AGGREGATE}{0:064x}{2 * 32:064x}{len(tokens):064x}{''.join(places)}{''.join(calls)}"


def _amounts(answer: Any, number: int) -> list[int | None]:
    """Return the amount of each call, in their order. None: it failed, or brought no number."""
    if not isinstance(answer, str) or not _HEX.fullmatch(answer):
        raise _nonsense()
    words = [int(answer[at : at + 64], 16) for at in range(2, len(answer), 64)]
    try:
        begin = words[0] // 32
        if words[begin] != number:
            raise _nonsense()
        return [_amount(words, begin + 1 + words[begin + 1 + one] // 32) for one in range(number)]
    except IndexError:
        raise _nonsense() from None


def _amount(words: Sequence[int], at: int) -> int | None:
    """Return the number that a call brought: success, the place of its data, their length, and the data."""
    data = at + words[at + 1] // 32
    return words[data + 1] if words[at] == 1 and words[data] == 32 else None


def _nonsense() -> ChainUnavailable:
    return ChainUnavailable("The endpoint's answer about several allowances to Permit2 makes no sense.")
