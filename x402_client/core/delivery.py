"""Delivery of a paid answer: its body was read to the end, or the caller closed it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from .. import events
from ..errors import X402Error
from ..model.holds import Attempt, Hold, Outcome
from .asks import Ask, Claim, Close, Tell
from .call import Call
from .drive import Flow, arun, begin, run

#: A delivery only speaks to the ledger and the log.
NO_COURIER: Any = None


def delivers(status: int, outcome: Outcome) -> bool:
    """Return True if an answer can be the content: a 2xx, or a redirect to it by a seller that proves the settlement.

    Such a redirect is delivered where it leads, when the same call reads that to its end. Without a proof it may lead
    anywhere. If nothing arrived, the same request presents the same payment again.
    """
    proof = outcome.receipt
    proven = proof is not None and proof.success and not outcome.mismatches and outcome.money == "spent"
    return 200 <= status < 300 or (300 <= status < 400 and proven)


def deliver(call: Call, outcome: Outcome) -> Flow[None]:
    """Resolve the purchase: the answer reached the caller. A ledger that fails here never loses the answer."""
    if call.running is not None:
        call.running.delivered(outcome)
    if call.memory is not None:
        call.memory.learn(call.place, call.terms if outcome.money == "spent" else None)
    try:
        yield from Close(outcome.hold, outcome.money, outcome.receipt)
        yield from Tell(events.Delivered(call.method, call.url, outcome.hold))
    except X402Error as failure:
        yield from Tell(events.Warned(call.method, call.url, f"A delivered purchase could not be closed: {failure}"))
    finally:
        call.attempt.end()


def tell_of_the_money(failure: Exception, outcome: Outcome) -> None:
    """Put the outcome on a library's own error in the middle of a paid body, for ``outcome(error)``, and a note."""
    with contextlib.suppress(AttributeError, TypeError):  # an exception may have slots
        failure.outcome = outcome  # type: ignore[attr-defined]
    price, host = outcome.hold.price, outcome.hold.host
    known = "was paid" if outcome.money == "spent" else "was presented, and may be paid,"
    then = "The same request presents the same payment again, never a second one."
    failure.add_note(f"{price} {known} to {host} for this answer. {then}")


class Delivery:
    """One paid answer on its way to the caller. An HTTP client tells it what becomes of the body.

    ``done``: it was read to its end. ``closed``: the caller closed it. ``broke``: reading failed. ``dropped``: it was
    forgotten. The first of them counts; ``adone`` and ``aclosed`` are for async clients.
    """

    __slots__ = ("_answer", "_call", "_outcome", "over")

    def __init__(self, call: Call, outcome: Outcome, answer: Callable[[Ask[Any]], Any]) -> None:
        #: Answers for the buyer that paid: where a redirect leads, another one may be at work.
        self._answer = answer
        self._call, self._outcome = call, outcome
        self.over = False

    def done(self) -> None:
        """Resolve the purchase: the end of the body was read."""
        if not self.over:
            run(self.resolved(), self._answer)

    async def adone(self) -> None:
        """Await ``done``."""
        if not self.over:
            await arun(self.resolved(), self._answer)

    def closed(self, unreadable: type[Exception] | tuple[()] = ()) -> None:
        """Resolve the purchase if the caller closed the answer. A cancellation or an interrupt that closes it does not.

        ``unreadable``: what a library raises while it closes a body that it cannot make sense of. That does not either.
        """
        self._judge_close(unreadable)
        self.done()

    def begin_done(self) -> Coroutine[Any, Any, None] | None:
        """``done`` where an async client cannot await. Returns the rest of it, to be awaited; None: it is done."""
        return None if self.over else begin(self.resolved(), self._answer)

    def begin_closed(self, unreadable: type[Exception] | tuple[()] = ()) -> Coroutine[Any, Any, None] | None:
        """``closed`` where an async client cannot await. Returns as ``begin_done`` does."""
        self._judge_close(unreadable)
        return self.begin_done()

    async def aclosed(self, unreadable: type[Exception] | tuple[()] = ()) -> None:
        """Await ``closed``."""
        self._judge_close(unreadable)
        await self.adone()

    def dropped(self) -> None:
        """Leave the purchase unresolved: the answer was forgotten, neither read nor closed."""
        if not self.over:
            self.over = True
            self._call.attempt.end()

    def broke(self, failure: BaseException) -> None:
        """Leave the purchase unresolved: reading failed or was cancelled. Leaving a loop early is no failure."""
        if isinstance(failure, GeneratorExit):
            return
        if isinstance(failure, Exception) and not self.over:
            tell_of_the_money(failure, self._outcome)
        self.dropped()

    def resolved(self) -> Flow[None]:
        """Tell the ledger that the content is with the caller. Happens once."""
        if not self.over:
            self.over = True
            yield from deliver(self._call, self._outcome)

    def arrives(self) -> Flow[None]:
        """Claim the payment anew: the content is where a redirect led, and no other call presents it meanwhile."""
        hold, self._call.attempt = self._outcome.hold, Attempt()
        try:
            found = yield from Claim(hold.purchase, self._call.attempt)
        except X402Error:
            found = None
        if not isinstance(found, Hold) or found.id != hold.id:
            self._call.attempt.end()

    def arrived(self) -> None:
        """Run ``arrives``."""
        run(self.arrives(), self._answer)

    async def aarrived(self) -> None:
        """Await ``arrives``."""
        await arun(self.arrives(), self._answer)

    def _judge_close(self, unreadable: type[Exception] | tuple[()]) -> None:
        cause = sys.exc_info()[1]
        if cause is not None and (not isinstance(cause, Exception) or isinstance(cause, unreadable)):
            self.broke(cause)
