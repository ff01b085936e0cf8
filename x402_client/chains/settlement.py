"""Looks up whether a payment settled. Four answers; "unknown" is never read as "not settled".

"Live" is what a chain's own clock before the expiry says, against ours too. "Not settled" comes only from states past
the payment's expiry, by the chain's own clock, and only if every endpoint that was named agrees. Garbage, silence and
contradiction are "unknown". Reads block; async callers use a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import ChainUnavailable
from ..model.holds import Authorization, Hold, Settled
from ..model.offers import Offer
from .families import FAMILIES, Look, is_shipped
from .rpc import Endpoints, Rpc
from .rpc_answers import Garbage


def _by_family(offer: Offer) -> Look | None:
    return FAMILIES.look(offer.network)


class ChainReader:
    """The default SettlementReader: asks every endpoint of the hold's network.

    ``look_for`` gives, for an offer that was paid, what asks one endpoint about it. None: nothing can, so "unknown".
    """

    def __init__(self, endpoints: Endpoints, look_for: Callable[[Offer], Look | None] = _by_family) -> None:
        self._endpoints, self._look_for = endpoints, look_for

    def read(self, hold: Hold) -> Settled:
        """Return what the chain says about a hold's authorization."""
        signed, look = hold.authorization, self._look_for(hold.offer)
        if signed is None or look is None:
            return "unknown"
        return _agreed(_one(look, rpc, hold, signed) for rpc in self._endpoints.each(hold.offer.network))

    def goes_by_the_chain(self, hold: Hold) -> bool:
        """Return True if its "not_settled" comes from the chain's own clock, so that it needs no margin."""
        look = self._look_for(hold.offer)
        return look is not None and is_shipped(look)

    def can_look(self, hold: Hold) -> bool:
        """Return True if there is an endpoint to ask about a hold, and something that asks it."""
        return self._look_for(hold.offer) is not None and self._endpoints.reach(hold.offer.network)

    def is_one_witness(self, hold: Hold) -> bool:
        """Return True if a single operator's endpoint is asked about a hold."""
        return self._endpoints.witnesses(hold.offer.network) < 2


def _one(look: Look, rpc: Rpc, hold: Hold, signed: Authorization) -> Settled:
    try:
        return look(rpc, hold, signed)
    except (ChainUnavailable, Garbage):
        return "unknown"


def _agreed(answers: Iterable[Settled]) -> Settled:
    """Count it as paid if one endpoint saw it, and as not paid only if all of them say so.

    Where one says that it lives still, another one's "not settled" is a contradiction, or that one is behind: no loss
    is accepted on it.
    """
    given = set()
    for answer in answers:
        if answer == "settled":
            return "settled"
        given.add(answer)
    if "live" in given:
        return "live"
    return "not_settled" if given == {"not_settled"} else "unknown"
