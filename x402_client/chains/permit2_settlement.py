"""Lookup of a Permit2 payment's settlement on an EVM chain, and of what was taken of a ceiling.

A nonce is one bit. It is set by the settlement, or by the owner who cancels it: only the token's transfer tells which.
Nothing on the chain ties a transfer to a nonce but the calldata of its transaction. So a charge is believed if one of
the transfers from payer to payee since the signature names the nonce, and the largest that the ceiling allows counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..model.holds import Authorization, Hold, Settled
from .evm_settlement import deep_block
from .rpc import Rpc
from .rpc_answers import Garbage, number, text

#: Permit2's contract: one address on every EVM chain.
PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3"
#: In the evidence: the first block in which the payment can have been settled.
FIRST_BLOCK = "first_block"
#: In the evidence: the time at which that was known, in seconds since 1970, by the local clock.
KNOWN_AT = "first_block_known_at"
_BITMAP = "0x4fe02b44"  # nonceBitmap(address,uint256)
_TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
_NONCE = re.compile(r"[0-9]{1,78}", re.ASCII)
_WORD = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}", re.ASCII)
#: Blocks of one question about logs, and the most such questions. Public endpoints refuse longer ranges.
_BLOCKS, _QUESTIONS = 1_000, 50
#: Transfers whose transactions are looked at, the latest first.
_TRANSACTIONS = 20
#: The most steps by which the search begins earlier, each twice as long as the last, where a chain's clock is ahead.
_STEPS = 20


def look(rpc: Rpc, hold: Hold, signed: Authorization) -> Settled:
    """Ask an endpoint what became of a Permit2 payment.

    The rule: "'Not settled' counts only from a state past the expiry", by a block deep enough. Permit2 takes a
    signature while the block's own timestamp is not later than the deadline.
    """
    used = is_used(rpc, signed)
    head = rpc.call("eth_getBlockByNumber", "latest", False)
    first = _first(rpc, signed) if used else None
    if first is not None and any(_transfers(rpc, hold, signed, first, number(head, "number"))):
        return "settled"
    return _dead(rpc, signed, head, used, first)


def charge(rpc: Rpc, hold: Hold, signed: Authorization) -> int | None:
    """Return what an endpoint shows was taken of a ceiling, never less than that. None: it cannot be told."""
    if not is_used(rpc, signed):
        return None
    head, first = rpc.call("eth_getBlockByNumber", "latest", False), _first(rpc, signed)
    if first is None:
        return None
    found = list(_transfers(rpc, hold, signed, first, number(head, "number")))
    named = any(_names_nonce(rpc, transaction, signed) for _, transaction in found[-_TRANSACTIONS:][::-1])
    return max(value for value, _ in found) if named else None


def head_number(rpc: Rpc) -> int:
    """Return the number of the latest block."""
    written = rpc.call("eth_blockNumber")
    if not isinstance(written, str) or not _HEX.fullmatch(written):
        raise Garbage
    return int(written, 16)


def is_used(rpc: Rpc, signed: Authorization, block: str = "latest") -> bool:
    """Return True if the bit of a payment's nonce is set: its signature can take nothing any more."""
    if not _NONCE.fullmatch(signed.nonce) or int(signed.nonce) >= 2**256:
        raise Garbage
    word, bit = int(signed.nonce) >> 8, int(signed.nonce) & 0xFF
    data = _BITMAP + signed.payer[2:].lower().zfill(64) + f"{word:064x}"
    answer = rpc.call("eth_call", {"to": PERMIT2, "data": data}, block)
    if not isinstance(answer, str) or not _WORD.fullmatch(answer):
        raise Garbage
    return bool(int(answer, 16) >> bit & 1)


def _first(rpc: Rpc, signed: Authorization) -> int | None:
    """Return a block before which the payment was not settled. None: none was known as it was signed.

    One endpoint told it then, and others are not to follow: by a later block it would hide the transfer. So the block
    before it has to be of an earlier second than ours was. Where our clock was slow, the search begins too early.
    """
    first, known_at = signed.evidence.get(FIRST_BLOCK), signed.evidence.get(KNOWN_AT)
    if not isinstance(first, int) or not isinstance(known_at, int):
        return None
    for step in range(_STEPS):
        if first <= 0 or number(rpc.call("eth_getBlockByNumber", hex(first - 1), False), "timestamp") < known_at:
            return max(0, first)
        first -= 1 << step
    raise Garbage


def _dead(rpc: Rpc, signed: Authorization, head: Any, used: bool, first: int | None) -> Settled:
    """Return "not_settled" if a deep block past the deadline shows the same bit, which then stays as it is.

    A bit that is set without a transfer was cancelled by the owner. The transfers were looked for up to ``head``.
    """
    if number(head, "timestamp") <= signed.expires:
        return "unknown" if used else "live"
    block = deep_block(rpc, head)
    if number(block, "timestamp") <= signed.expires:
        return "unknown"
    if used and not (first is not None and first <= number(block, "number") <= number(head, "number")):
        return "unknown"
    return "not_settled" if is_used(rpc, signed, text(block, "number")) == used else "unknown"


def _transfers(rpc: Rpc, hold: Hold, signed: Authorization, first: int, head: int) -> Iterator[tuple[int, str]]:
    """Give amount and transaction of each transfer that may be this payment's, oldest first."""
    for log in _logs(rpc, hold, signed, first, head):
        value = log.get("data")
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise Garbage
        if _may_be(int(value, 16), hold, signed):
            yield int(value, 16), text(log, "transactionHash")


def _may_be(value: int, hold: Hold, signed: Authorization) -> bool:
    return value == hold.offer.amount if signed.ceiling is None else 0 < value <= signed.ceiling


def _logs(rpc: Rpc, hold: Hold, signed: Authorization, first: int, head: int) -> Iterator[Mapping[str, Any]]:
    """Give the token's transfers from payer to payee, from a block until the deadline has passed."""
    token = hold.offer.token
    topics = [_TRANSFER, *("0x" + one[2:].lower().zfill(64) for one in (signed.payer, hold.offer.pay_to))]
    asked = {"address": token.address if token else hold.offer.asset, "topics": topics}
    for _ in range(_QUESTIONS):
        if first > head:
            return
        last = min(first + _BLOCKS - 1, head)
        found = rpc.call("eth_getLogs", asked | {"fromBlock": hex(first), "toBlock": hex(last)})
        if not isinstance(found, list) or not all(isinstance(log, dict) for log in found):
            raise Garbage
        yield from found
        if last < head and number(rpc.call("eth_getBlockByNumber", hex(last), False), "timestamp") > signed.expires:
            return
        first = last + 1
    raise Garbage  # too many blocks: what is there cannot be told from here


def _names_nonce(rpc: Rpc, transaction: str, signed: Authorization) -> bool:
    found = rpc.call("eth_getTransactionByHash", transaction)
    return f"{int(signed.nonce):064x}" in text(found, "input").lower()
