"""Did a payment settle? Three answers; "unknown" is never read as "not settled".

"Not settled" comes only from states past the payment's expiry, by the chain's own clock, and only if every endpoint
that was named agrees. Garbage, silence and contradiction are "unknown". Reads block; async callers use a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

from ..errors import ChainUnavailable
from ..ports import Authorization, Hold
from .rpc import Endpoints, Rpc

Settled = Literal["settled", "not_settled", "unknown"]

_AUTHORIZATION_STATE = "e94a0102"  # authorizationState(address,bytes32)
#: Blocks behind the head that are taken for deep where an endpoint does not know the tag "safe".
_DEEP = 64
#: Seconds past a Solana payment's expiry, on the chain's clock, where its last valid height is not known.
_MARGIN = 60
#: Slots that a Solana blockhash lives.
_LIFE_SLOTS = 150
_PAGE, _PAGES = 200, 5
_HEX = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)


class ChainReader:
    """The default SettlementReader: asks every endpoint of the hold's network."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def read(self, hold: Hold) -> Settled:
        """What the chain says about a hold's authorization."""
        signed, network = hold.authorization, hold.offer.network
        if signed is None:
            return "unknown"
        look = _look_evm if network.startswith("eip155:") else _look_solana
        return _agreed(_one(look, rpc, hold, signed) for rpc in self._endpoints.each(network))


def _one(look: Callable[[Rpc, Hold, Authorization], Settled], rpc: Rpc, hold: Hold, signed: Authorization) -> Settled:
    try:
        return look(rpc, hold, signed)
    except (ChainUnavailable, _Garbage):
        return "unknown"


def _agreed(answers: Iterable[Settled]) -> Settled:
    """One endpoint that saw it is enough to count it as paid; that it is not paid, all of them have to say."""
    given = set(answers)
    if "settled" in given:
        return "settled"
    return "not_settled" if given == {"not_settled"} else "unknown"


def _look_evm(rpc: Rpc, hold: Hold, signed: Authorization) -> Settled:
    if _evm_used(rpc, hold, signed, "latest"):
        return "settled"
    block = _deep_block(rpc)
    if _number(block, "timestamp") <= signed.expires:
        return "unknown"
    return "settled" if _evm_used(rpc, hold, signed, _text(block, "number")) else "not_settled"


def _evm_used(rpc: Rpc, hold: Hold, signed: Authorization, block: str) -> bool:
    token = hold.offer.token
    contract = token.address if token else hold.offer.asset
    data = "0x" + _AUTHORIZATION_STATE + signed.payer[2:].lower().zfill(64) + signed.nonce[2:].zfill(64)
    answer = rpc.call("eth_call", {"to": contract, "data": data}, block)
    if answer == "0x" + "0" * 63 + "1":
        return True
    if answer == "0x" + "0" * 64:
        return False
    raise _Garbage


def _deep_block(rpc: Rpc) -> Any:
    """The latest block that is not expected to be undone."""
    try:
        block = rpc.call("eth_getBlockByNumber", "safe", False)
    except ChainUnavailable:
        block = None
    if block is None:
        head = rpc.call("eth_getBlockByNumber", "latest", False)
        block = rpc.call("eth_getBlockByNumber", hex(max(0, _number(head, "number") - _DEEP)), False)
    return block


def _look_solana(rpc: Rpc, hold: Hold, signed: Authorization) -> Settled:
    if _solana_landed(rpc, signed, {"commitment": "confirmed"}):
        return "settled"
    slot = rpc.call("getSlot", {"commitment": "finalized"})
    if type(slot) is not int or not _past_expiry(rpc, signed, slot):
        return "unknown"
    final = {"commitment": "finalized", "minContextSlot": slot}
    return "settled" if _solana_landed(rpc, signed, final) else "not_settled"


def _past_expiry(rpc: Rpc, signed: Authorization, slot: int) -> bool:
    last = signed.evidence.get("last_valid_height")
    if isinstance(last, int):
        height = rpc.call("getBlockHeight", {"commitment": "finalized"})
        return type(height) is int and height > last
    # A seller's hint does not say how long it lives. The chain says whether it does; and since a node that never saw
    # it says no as well, the chain's clock has to be well past the payment's expiry too.
    options = {"commitment": "processed", "minContextSlot": slot}
    found = rpc.call("isBlockhashValid", signed.evidence.get("blockhash"), options)
    if not isinstance(found, dict) or found.get("value") is not False:
        return False
    at = rpc.call("getBlockTime", slot)
    return type(at) is int and at > signed.expires + _MARGIN


def _solana_landed(rpc: Rpc, signed: Authorization, options: dict[str, Any]) -> bool:
    """Whether a transaction of our token account carries our signature, and did not fail."""
    account, own = signed.evidence.get("token_account"), signed.evidence.get("signature")
    if not isinstance(account, str) or not isinstance(own, str):
        raise _Garbage
    before: dict[str, str] = {}
    for _ in range(_PAGES):
        page = rpc.call("getSignaturesForAddress", account, {**options, **before, "limit": _PAGE})
        if not isinstance(page, list):
            raise _Garbage
        for entry in page:
            if _is_ours(rpc, entry, signed, own):
                return True
        if len(page) < _PAGE or _before(page[-1], signed):
            return False
        before = {"before": _text(page[-1], "signature")}
    raise _Garbage  # more traffic than is looked through: that is no proof of absence


def _is_ours(rpc: Rpc, entry: Any, signed: Authorization, own: str) -> bool:
    if not isinstance(entry, dict):
        raise _Garbage
    if entry.get("err") is not None or _before(entry, signed):
        return False
    memo = entry.get("memo")
    if signed.nonce != own and isinstance(memo, str):
        return signed.nonce in memo
    options = {"encoding": "json", "commitment": "confirmed", "maxSupportedTransactionVersion": 0}
    found = rpc.call("getTransaction", _text(entry, "signature"), options)
    try:
        return own in found["transaction"]["signatures"]
    except (KeyError, TypeError):
        raise _Garbage from None


def _before(entry: Any, signed: Authorization) -> bool:
    """Whether this landed before the payment was made, by the chain's own count of slots; our clock may be wrong."""
    made, slot = signed.evidence.get("slot"), entry.get("slot") if isinstance(entry, dict) else None
    return type(made) is int and type(slot) is int and slot < made - _LIFE_SLOTS


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
