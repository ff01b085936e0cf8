"""Did a payment settle? Three answers; "unknown" is never read as "not settled".

"Not settled" comes only from states past the payment's expiry, by the chain's own clock, and only if every endpoint
that was named agrees. Garbage, silence and contradiction are "unknown". Reads block; async callers use a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import ChainUnavailable
from ..model.holds import Authorization, Hold, Settled
from . import evm_settlement, solana_settlement
from .rpc import Endpoints, Rpc
from .rpc_answers import Garbage


class ChainReader:
    """The default SettlementReader: asks every endpoint of the hold's network."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def read(self, hold: Hold) -> Settled:
        """What the chain says about a hold's authorization."""
        signed, network = hold.authorization, hold.offer.network
        if signed is None:
            return "unknown"
        look = evm_settlement.look if network.startswith("eip155:") else solana_settlement.look
        return _agreed(_one(look, rpc, hold, signed) for rpc in self._endpoints.each(network))


def _one(look: Callable[[Rpc, Hold, Authorization], Settled], rpc: Rpc, hold: Hold, signed: Authorization) -> Settled:
    try:
        return look(rpc, hold, signed)
    except (ChainUnavailable, Garbage):
        return "unknown"


def _agreed(answers: Iterable[Settled]) -> Settled:
    """One endpoint that saw it is enough to count it as paid; that it is not paid, all of them have to say."""
    given = set(answers)
    if "settled" in given:
        return "settled"
    return "not_settled" if given == {"not_settled"} else "unknown"
