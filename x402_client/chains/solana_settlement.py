"""Looks up whether a payment settled on Solana."""

from __future__ import annotations

from typing import Any

from ..model.holds import Authorization, Hold, Settled
from .rpc import Rpc
from .rpc_answers import Garbage, text

#: Seconds past a Solana payment's expiry, on the chain's clock, where its last valid height is not known.
_MARGIN = 60
#: Slots that a Solana blockhash lives.
_LIFE_SLOTS = 150
_PAGE, _PAGES = 200, 5


def look(rpc: Rpc, hold: Hold, signed: Authorization) -> Settled:
    """Ask an endpoint whether a payment's transaction landed, or never can any more."""
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
    """Return True if a transaction of our token account carries our signature and did not fail."""
    account, own = signed.evidence.get("token_account"), signed.evidence.get("signature")
    if not isinstance(account, str) or not isinstance(own, str):
        raise Garbage
    before: dict[str, str] = {}
    for _ in range(_PAGES):
        page = rpc.call("getSignaturesForAddress", account, {**options, **before, "limit": _PAGE})
        if not isinstance(page, list):
            raise Garbage
        for entry in page:
            if _is_ours(rpc, entry, signed, own):
                return True
        if len(page) < _PAGE or _before(page[-1], signed):
            return False
        before = {"before": text(page[-1], "signature")}
    raise Garbage  # more traffic than is looked through: that is no proof of absence


def _is_ours(rpc: Rpc, entry: Any, signed: Authorization, own: str) -> bool:
    if not isinstance(entry, dict):
        raise Garbage
    if entry.get("err") is not None or _before(entry, signed):
        return False
    memo = entry.get("memo")
    if signed.nonce != own and isinstance(memo, str):
        return signed.nonce in memo
    options = {"encoding": "json", "commitment": "confirmed", "maxSupportedTransactionVersion": 0}
    found = rpc.call("getTransaction", text(entry, "signature"), options)
    try:
        return own in found["transaction"]["signatures"]
    except (KeyError, TypeError):
        raise Garbage from None


def _before(entry: Any, signed: Authorization) -> bool:
    """Return True if this landed before the payment was made. The chain's slots tell; our clock may be wrong."""
    made, slot = signed.evidence.get("slot"), entry.get("slot") if isinstance(entry, dict) else None
    return type(made) is int and type(slot) is int and slot < made - _LIFE_SLOTS
