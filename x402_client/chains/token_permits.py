"""Reads of a token by which a permit (EIP-2612) is signed: the owner's next nonce, and the token's own domain."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import ChainUnavailable
from .rpc import Rpc
from .rpc_answers import Garbage, number

_NONCES = "0x7ecebe00"  # nonces(address)
_SEPARATOR = "0x3644e515"  # DOMAIN_SEPARATOR()
_WORD = re.compile(r"0x[0-9a-f]{64}", re.ASCII)


class PermitFacts(NamedTuple):
    """The facts of a token and an owner, and the chain's time at which they were read."""

    nonce: int
    separator: bytes
    time: int


def permit_facts(rpc: Rpc, token: str, owner: str) -> PermitFacts:
    """Read what a permit of this owner needs. A token without permits is ``Reverted``, like any other revert."""
    separator = _word(rpc, token, _SEPARATOR)
    return PermitFacts(permit_nonce(rpc, token, owner), separator.to_bytes(32), chain_time(rpc))


def permit_nonce(rpc: Rpc, token: str, owner: str) -> int:
    """Read the nonce that the owner's next permit has. Each permit that a token takes raises it by one."""
    return _word(rpc, token, _NONCES + owner[2:].lower().zfill(64))


def chain_time(rpc: Rpc) -> int:
    """Read the time of the latest block. A token takes a permit while it is not past the deadline."""
    try:
        return number(rpc.call("eth_getBlockByNumber", "latest", False), "timestamp")
    except Garbage:
        raise ChainUnavailable("The endpoint's answer about the latest block makes no sense.") from None


def _word(rpc: Rpc, token: str, data: str) -> int:
    answer = rpc.call("eth_call", {"to": token, "data": data}, "latest")
    if not isinstance(answer, str) or not _WORD.fullmatch(answer):
        raise ChainUnavailable(f"The endpoint's answer about permits of {token} makes no sense.")
    return int(answer, 16)
