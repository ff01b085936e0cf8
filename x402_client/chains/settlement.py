"""Did a payment settle? Three answers; "unknown" is never read as "not settled".

"Not settled" comes only from states past the payment's expiry, by the chain's own clock, and only if every endpoint
that was named agrees. Garbage, silence and contradiction are "unknown". Reads block; async callers use a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import ChainUnavailable
from ..model.holds import Authorization, Hold
from .evm_settlement import _look_evm
from .rpc import Endpoints, Rpc
from .rpc_answers import Settled, _Garbage
from .solana_settlement import (
    _look_solana,
)


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
