"""Search for the transaction that used an EIP-3009 authorization, in the events of its token."""

from __future__ import annotations

import re
from typing import Any

from ..model.holds import Authorization, Hold
from .rpc import Rpc
from .rpc_answers import Garbage, number, text

#: AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)
_USED = "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5"
_WORD = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
#: Seconds before a payment was made at which the search begins, so that a clock which is a little off hides nothing.
_BEFORE = 90
#: Blocks over which the time of one block is measured.
_SAMPLE = 50
#: The most questions for the block to begin with.
_STEPS = 12
#: Blocks in one question for events, and the most such questions. Public endpoints answer a thousand or more.
_SPAN, _SPANS = 1_000, 10


def find(rpc: Rpc, hold: Hold, signed: Authorization) -> str | None:
    """Return the transaction in which the token saw an authorization. None if its events do not show one."""
    token = hold.offer.token
    if token is None or not _WORD.fullmatch(signed.nonce):
        return None
    head = _Block(rpc, "latest")
    is_young = head.number <= _SAMPLE
    first = _Block(rpc, hex(0)) if is_young else _near(rpc, int(hold.created) - _BEFORE, head)
    seconds = _pace(first, _Block(rpc, hex(min(first.number + _SAMPLE, head.number))))
    last = min(head.number, first.number + int(1.5 * max(0, signed.expires - first.time) / seconds) + _SAMPLE)
    topics = [_USED, "0x" + signed.payer[2:].lower().zfill(64), signed.nonce.lower()]
    for start in range(first.number, last + 1, _SPAN)[:_SPANS]:
        span = {"fromBlock": hex(start), "toBlock": hex(min(start + _SPAN - 1, last))}
        found = rpc.call("eth_getLogs", {"address": token.address, "topics": topics, **span})
        if not isinstance(found, list):
            raise Garbage
        for event in found:
            if _is_it(event, token.address, topics):
                return text(event, "transactionHash").lower()
    return None


class _Block:
    """Number and time of one block."""

    def __init__(self, rpc: Rpc, tag: str) -> None:
        found = rpc.call("eth_getBlockByNumber", tag, False)
        self.number, self.time = number(found, "number"), number(found, "timestamp")


def _near(rpc: Rpc, at: int, head: _Block) -> _Block:
    """Return a block that is not later than a time, and hardly earlier. The chain may have changed its pace since."""
    before, block = head, _Block(rpc, hex(head.number - _SAMPLE))
    for _ in range(_STEPS):
        if at - _BEFORE <= block.time <= at:
            return block
        wanted = block.number - int((block.time - at + _BEFORE // 2) / _pace(before, block))
        before, block = block, _Block(rpc, hex(min(max(0, wanted), head.number)))
    raise Garbage


def _pace(one: _Block, other: _Block) -> float:
    """Return the seconds of a block between two of them."""
    return max(0.01, (one.time - other.time) / ((one.number - other.number) or 1))


def _is_it(event: Any, token: str, topics: list[str]) -> bool:
    """Return True for the event that was asked for. An endpoint that filters by less would name another payment's."""
    if not isinstance(event, dict) or event.get("removed") is True:
        return False
    told = event.get("topics")
    if not isinstance(told, list) or [str(topic).lower() for topic in told] != topics:
        return False
    return text(event, "address").lower() == token.lower() and bool(_WORD.fullmatch(text(event, "transactionHash")))
