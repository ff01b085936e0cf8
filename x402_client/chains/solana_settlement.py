"""Lookup of a payment's settlement on Solana."""

from __future__ import annotations

from typing import Any, Literal

from ..errors import ChainUnavailable
from ..model.holds import Authorization, Hold, Settled
from .rpc import Rpc
from .rpc_answers import Garbage, text
from .solana import LIFE_SECONDS

#: Seconds past a payment's expiry, by the chain's clock, if only a bound on its last valid height is known.
_MARGIN = 60
#: Seconds before its expiry at which a payment was certainly not made yet, even if the local clock is wrong.
_WELL_BEFORE = 6 * 3600
#: Slots for which a blockhash is valid.
_LIFE_SLOTS = 150
#: The most entries in one page of an account's history, and the most pages and transactions that are looked through.
_PAGE, _PAGES, _LOOKUPS = 1000, 25, 1000


def look(rpc: Rpc, hold: Hold, signed: Authorization) -> Settled:
    """Ask an endpoint whether a payment's transaction landed, or can never land any more.

    The rule: ""Not settled" counts only from a state past the expiry: [...] on Solana a finalized height beyond the
    blockhash's last valid height".
    """
    if _landed(rpc, signed, {"commitment": "confirmed"}):
        return "settled"
    slot = rpc.call("getSlot", {"commitment": "finalized"})
    if type(slot) is not int:
        raise Garbage
    standing = _standing(rpc, signed, slot)
    if standing != "past":
        return standing
    final = {"commitment": "finalized", "minContextSlot": slot}
    if _landed(rpc, signed, final):
        return "settled"
    return "not_settled" if _remembers(rpc, signed) else "unknown"


def transaction(rpc: Rpc, signed: Authorization) -> str | None:
    """Return the transaction in which a payment landed. None if an endpoint shows none."""
    return _landed(rpc, signed, {"commitment": "confirmed"})


def _remembers(rpc: Rpc, signed: Authorization) -> bool:
    """Return True if an endpoint's history begins before the payment. In a shorter one, absence proves nothing."""
    first = rpc.call("getFirstAvailableBlock")
    if type(first) is not int:
        raise Garbage
    if first == 0:
        return True
    at = rpc.call("getBlockTime", first)
    if type(signed.evidence.get("slot")) is int:
        return _earlier(first, at, signed)
    return type(at) is int and at < signed.expires - _WELL_BEFORE


def _standing(rpc: Rpc, signed: Authorization, slot: int) -> Literal["past", "live", "unknown"]:
    """Return "past" if the chain's own clock is past the payment's expiry for good, or "live" if it is before."""
    last = signed.evidence.get("last_valid_height")
    highest = last if type(last) is int else signed.evidence.get("height_bound")
    if type(highest) is int:
        standing = _by_height(rpc, highest)
        if standing != "past":
            return standing
    # An endpoint that told a wrong height before the payment was signed is contradicted by one that has the blockhash.
    if _is_valid(rpc, signed, "processed", slot):
        return "live"
    # What landed in its last slots may not be final yet.
    if type(last) is int and _is_valid(rpc, signed, "finalized", slot):
        return "unknown"
    return "past" if type(last) is int else _of_a_hint(rpc, signed, slot, type(highest) is int)


def _is_valid(rpc: Rpc, signed: Authorization, commitment: str, slot: int) -> bool:
    options = {"commitment": commitment, "minContextSlot": slot}
    found = rpc.call("isBlockhashValid", signed.evidence.get("blockhash"), options)
    usable = found.get("value") if isinstance(found, dict) else None
    if type(usable) is not bool:
        raise Garbage
    return usable


def _of_a_hint(rpc: Rpc, signed: Authorization, slot: int, bounded: bool) -> Literal["past", "live", "unknown"]:
    """Return how a payment with a seller's hint stands, on a node that says that it has no such valid blockhash.

    A node that never saw it says so, too, and one that was far behind as the bound was made could be past that too
    early. So the chain's clock has to be well past the payment's expiry. That alone is never enough, as the expiry is
    of the local clock, which "decides when to ask, never the answer". Without a bound absence proves nothing.
    """
    at = rpc.call("getBlockTime", slot)
    if type(at) is not int:
        raise Garbage
    if at <= signed.expires:
        return "live"
    return "past" if bounded and at > signed.expires + _MARGIN else "unknown"


def _by_height(rpc: Rpc, last: int) -> Literal["past", "live", "unknown"]:
    """Return "past" if the last valid height is behind what is final."""
    if _height(rpc, "finalized") > last:
        return "past"
    return "unknown" if _height(rpc, "processed") > last else "live"


def _height(rpc: Rpc, commitment: str) -> int:
    height = rpc.call("getBlockHeight", {"commitment": commitment})
    if type(height) is not int:
        raise Garbage
    return height


def _landed(rpc: Rpc, signed: Authorization, options: dict[str, Any]) -> str | None:
    """Return the transaction of the payer's token account that has the payer's signature and did not fail.

    The search goes on page by page, until the entries are older than the payment or there are no more. A page that is
    not full is not the last: some endpoints give fewer entries than they are asked for.
    """
    account, own = signed.evidence.get("token_account"), signed.evidence.get("signature")
    if not isinstance(account, str) or not isinstance(own, str):
        raise Garbage
    before: dict[str, str] = {}
    lookups = 0
    for _ in range(_PAGES):
        page = rpc.call("getSignaturesForAddress", account, {**options, **before, "limit": _PAGE})
        if not isinstance(page, list):
            raise Garbage
        for entry in page:
            if not isinstance(entry, dict):
                raise Garbage
            memo = _memo(entry, signed, own)
            if entry.get("err") is not None or (_before(entry, signed) if memo is None else signed.nonce not in memo):
                continue
            lookups += 1
            if lookups > _LOOKUPS:
                raise Garbage
            if _carries(rpc, entry, own, memo is not None):
                return text(entry, "signature")
        if not page or _before(page[-1], signed):
            return None
        before = {"before": text(page[-1], "signature")}
    raise Garbage  # there is more traffic than is looked through, so absence is not proven


def _memo(entry: dict[str, Any], signed: Authorization, own: str) -> str | None:
    """Return the memo of an entry. None if the payment has none of its own, or none is shown."""
    memo = entry.get("memo")
    return memo if signed.nonce != own and isinstance(memo, str) else None


def _carries(rpc: Rpc, entry: dict[str, Any], own: str, named: bool) -> bool:
    """Return True if an entry's transaction has the payer's signature.

    A seller can send a transaction of its own with the payment's memo. So ``named``, an entry with that memo, decides
    only where the transaction cannot be read.
    """
    options = {"encoding": "json", "commitment": "confirmed", "maxSupportedTransactionVersion": 0}
    try:
        found = rpc.call("getTransaction", text(entry, "signature"), options)
        return own in found["transaction"]["signatures"]
    except (KeyError, TypeError):
        if named:
            return True
        raise Garbage from None
    except ChainUnavailable:
        if named:
            return True
        raise


def _before(entry: Any, signed: Authorization) -> bool:
    """Return True if an entry landed before the payment was made."""
    return isinstance(entry, dict) and _earlier(entry.get("slot"), entry.get("blockTime"), signed)


def _earlier(slot: Any, at: Any, signed: Authorization) -> bool:
    """Return True if a slot was before the payment was made, by what was known of slots then and by the chain's clock.

    Both have to say so: the slot is what one endpoint told, which others are not to follow, and our clock may be wrong.
    """
    made = signed.evidence.get("slot")
    if type(made) is not int or type(slot) is not int or type(at) is not int:
        return False
    return slot <= max(0, made - _LIFE_SLOTS) and at < signed.expires - LIFE_SECONDS - _MARGIN
