"""Lookup of a payment's settlement on an EVM chain."""

from __future__ import annotations

import re
from typing import Any

from ..errors import ChainUnavailable
from ..model.holds import Authorization, Hold, Settled
from .rpc import Rpc
from .rpc_answers import Garbage, number, text

_AUTHORIZATION_STATE = "e94a0102"  # authorizationState(address,bytes32)
#: Blocks behind the head that count as deep enough, if an endpoint does not know the tag "safe".
_DEEP = 64
#: The nonce of an EIP-3009 authorization. A token knows nothing of payments that are identified in another way.
_NONCE = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)


def look(rpc: Rpc, hold: Hold, signed: Authorization) -> Settled:
    """Ask an endpoint whether the token saw an EIP-3009 authorization.

    The rule: ""Not settled" counts only from a state past the expiry: on EVM a block, deep enough [...], whose own
    timestamp is later than `validBefore`".
    """
    if not _NONCE.fullmatch(signed.nonce):
        raise Garbage
    if _is_used(rpc, hold, signed, "latest"):
        return "settled"
    head = rpc.call("eth_getBlockByNumber", "latest", False)
    # EIP-3009: a token accepts an authorization while the block's own timestamp is before ``validBefore``.
    if number(head, "timestamp") < signed.expires:
        return "live"
    block = deep_block(rpc, head)
    if number(block, "timestamp") <= signed.expires:
        return "unknown"
    return "settled" if _is_used(rpc, hold, signed, text(block, "number")) else "not_settled"


def _is_used(rpc: Rpc, hold: Hold, signed: Authorization, block: str) -> bool:
    token = hold.offer.token
    contract = token.address if token else hold.offer.asset
    data = "0x" + _AUTHORIZATION_STATE + signed.payer[2:].lower().zfill(64) + signed.nonce[2:].zfill(64)
    answer = rpc.call("eth_call", {"to": contract, "data": data}, block)
    if answer == "0x" + "0" * 63 + "1":
        return True
    if answer == "0x" + "0" * 64:
        return False
    raise Garbage


def deep_block(rpc: Rpc, head: Any) -> Any:
    """Return the latest block that is not expected to be undone."""
    try:
        block = rpc.call("eth_getBlockByNumber", "safe", False)
    except ChainUnavailable:
        block = None
    if block is None:
        block = rpc.call("eth_getBlockByNumber", hex(max(0, number(head, "number") - _DEEP)), False)
    return block
