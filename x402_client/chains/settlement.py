"""Lookup of a payment's settlement. There are four answers, and "unknown" is never read as "not settled".

"Live" means that the chain's own clock is before the expiry, even if the local clock is not. "Not settled" comes only
from states past the payment's expiry, by the chain's own clock, and only if every endpoint agrees. Answers that make no
sense, no answer, and contradictions are "unknown". Reads block; async callers use a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import ChainUnavailable
from ..model.holds import Authorization, Hold, Settled
from ..model.offers import Offer
from .families import FAMILIES, Look, ReadCharge, is_shipped
from .rpc import Endpoints, Rpc
from .rpc_answers import Garbage


def _by_family(offer: Offer) -> Look | None:
    return FAMILIES.look(offer.network)


class ChainReader:
    """Default SettlementReader: it asks every endpoint of the hold's network.

    ``look_for`` returns the function that asks one endpoint about a paid offer. With None the answer is "unknown".
    """

    def __init__(self, endpoints: Endpoints, look_for: Callable[[Offer], Look | None] = _by_family) -> None:
        self._endpoints, self._look_for = endpoints, look_for
        #: What endpoints failed at when they were asked last, by network and their place among the network's.
        self._failed: dict[tuple[str, int], str] = {}

    def read(self, hold: Hold) -> Settled:
        """Return what the chain says about a hold's authorization."""
        signed, look = hold.authorization, self._look_for(hold.offer)
        if signed is None or look is None:
            return "unknown"
        endpoints = enumerate(self._endpoints.each(hold.offer.network))
        return _agreed(self._one(look, number, rpc, hold, signed) for number, rpc in endpoints)

    def _one(self, look: Look, number: int, rpc: Rpc, hold: Hold, signed: Authorization) -> Settled:
        asked = (hold.offer.network, number)
        try:
            answer = look(rpc, hold, signed)
        except (ChainUnavailable, Garbage) as failure:
            self._failed[asked] = _first_sentence(failure)
            return "unknown"
        self._failed.pop(asked, None)
        return answer

    def failures(self, hold: Hold) -> list[str]:
        """Return which endpoints of a hold's network gave no answer when they were asked last, in a sentence each.

        The rule: "not settled" only if all of them say so. So each of them keeps a payment from being given back.
        """
        return [failed for (network, _), failed in [*self._failed.items()] if network == hold.offer.network]

    def charge(self, hold: Hold) -> int | None:
        """Return what the chain shows was taken of a ceiling. None: it cannot be told, or witnesses are missing."""
        signed = hold.authorization
        read = FAMILIES.charge(hold.offer.network)
        if signed is None or read is None:
            return None
        told = [_charge(read, rpc, hold, signed) for rpc in self._endpoints.each(hold.offer.network)]
        known = [units for units in told if units is not None]
        return max(known) if known and len(known) == len(told) else None

    def goes_by_the_chain(self, hold: Hold) -> bool:
        """Return True if its "not_settled" comes from the chain's own clock, so that it needs no margin."""
        look = self._look_for(hold.offer)
        return look is not None and is_shipped(look)

    def can_look(self, hold: Hold) -> bool:
        """Return True if there is an endpoint to ask about a hold, and a function that asks it."""
        return self._look_for(hold.offer) is not None and self._endpoints.reach(hold.offer.network)

    def is_one_witness(self, hold: Hold) -> bool:
        """Return True if only one operator's endpoint is asked about a hold."""
        return self._endpoints.witnesses(hold.offer.network) < 2


def transaction_of(endpoints: Endpoints, hold: Hold) -> str | None:
    """Return the transaction that settled a payment, by the first endpoint that finds one. None if none does."""
    signed, find = hold.authorization, FAMILIES.transaction(hold.offer.network)
    if signed is None or find is None:
        return None
    for rpc in endpoints.each(hold.offer.network):
        try:
            found = find(rpc, hold, signed)
        except (ChainUnavailable, Garbage):
            continue
        if found is not None:
            return found
    return None


def _first_sentence(failure: ChainUnavailable | Garbage) -> str:
    """Return what an endpoint failed at, without the advice that follows."""
    said = str(failure.args[0]).partition(". ")[0].removesuffix(".") if isinstance(failure, ChainUnavailable) else ""
    return f"{said or 'The answer of an endpoint makes no sense'}."


def _charge(read: ReadCharge, rpc: Rpc, hold: Hold, signed: Authorization) -> int | None:
    try:
        return read(rpc, hold, signed)
    except (ChainUnavailable, Garbage):
        return None


def _agreed(answers: Iterable[Settled]) -> Settled:
    """Return "settled" if one endpoint says so, and "not_settled" only if all of them do.

    If one says "live" and another "not settled", they contradict each other, or the first is behind. The rule: "no loss
    is accepted on it".
    """
    given = set()
    for answer in answers:
        if answer == "settled":
            return "settled"
        given.add(answer)
    if "live" in given:
        return "live"
    return "not_settled" if given == {"not_settled"} else "unknown"
