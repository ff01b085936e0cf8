"""When a paid answer counts as delivered: its body was read to the end, or the caller closed it."""

from __future__ import annotations

import sys
from typing import Any

from ..errors import X402Error
from ..model.holds import Attempt, Hold, Outcome
from .asks import Claim
from .call import Call
from .drive import Flow
from .flow import deliver

#: A delivery only speaks to the ledger and the log.
NO_COURIER: Any = None


def delivers(status: int, outcome: Outcome) -> bool:
    """Whether an answer can be the content: a 2xx, or a redirect to it by a seller that proves the settlement.

    Such a redirect is delivered where it leads, when the same call reads that to its end. Without a proof it may lead
    anywhere. Whatever did not arrive, the same request presents the same payment again.
    """
    proof = outcome.receipt
    proven = proof is not None and proof.success and not outcome.mismatches and outcome.money == "spent"
    return 200 <= status < 300 or (300 <= status < 400 and proven)


class Delivery:
    """One paid answer on its way to the caller. Happens once; a body that broke off is not delivered."""

    __slots__ = ("_call", "_outcome", "buyer", "over")

    def __init__(self, call: Call, outcome: Outcome, buyer: Any) -> None:
        #: Whose it is: where a redirect leads, another buyer may be the one that pays.
        self.buyer = buyer
        self._call, self._outcome = call, outcome
        self.over = False

    def led_here(self) -> Flow[None]:
        """The content is where a redirect led: while it is read, nobody else presents the payment again."""
        hold, self._call.attempt = self._outcome.hold, Attempt()
        try:
            found = yield from Claim(hold.purchase, self._call.attempt)
        except X402Error:
            found = None
        if not isinstance(found, Hold) or found.id != hold.id:
            self._call.attempt.end()

    def done(self) -> Flow[None]:
        """The end of the body was read."""
        if not self.over:
            self.over = True
            yield from deliver(self._call, self._outcome)

    def closed(self, unreadable: type[Exception] | tuple[()] = ()) -> Flow[None]:
        """The caller closed the answer. Where a cancellation or an interrupt closes it, nobody has decided that;

        nor where the library does, because it cannot make sense of the body.
        """
        cause = sys.exc_info()[1]
        if cause is not None and (not isinstance(cause, Exception) or isinstance(cause, unreadable)):
            self.broke(cause)
        yield from self.done()

    def dropped(self) -> None:
        """The answer was forgotten, neither read nor closed: the purchase stays unresolved."""
        if not self.over:
            self.over = True
            self._call.attempt.end()

    def broke(self, failure: BaseException) -> None:
        """Reading failed or was cancelled: the purchase stays unresolved. Leaving a loop early is no failure."""
        if not isinstance(failure, GeneratorExit):
            self.dropped()
