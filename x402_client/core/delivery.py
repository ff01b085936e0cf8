"""Delivery of a paid answer: its body was read to the end, or the caller closed it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet, WeakValueDictionary, ref

from .. import events
from ..errors import X402Error
from ..guards.forks import generation
from ..model.holds import Attempt, Hold, Outcome
from ..wire.tool_answers import ToolAnswer
from . import interruptions
from .amounts import asked_of
from .asks import Ask, Claim, Close, LookLater, Tell
from .call import Call, Ending
from .drive import Flow, arun, run
from .last_answer import note_break, note_closing, note_tool_error, with_last

#: A delivery only speaks to the ledger and the log.
NO_COURIER: Any = None


def delivers(status: int, outcome: Outcome, leads_on: bool = False) -> bool:
    """Return True if an answer can be the content: a 2xx, a 101, or a redirect to it that proves the settlement.

    Such a redirect is delivered where it leads, when the same call reads that to its end. Without a proof it may lead
    anywhere. One that leads nowhere brings nothing: its receipt is not content. If nothing arrived, the same request
    presents the same payment again.
    """
    proof = outcome.receipt
    proven = proof is not None and proof.success and not outcome.mismatches and outcome.money == "spent"
    return status == 101 or 200 <= status < 300 or (leads_on and proven)


def deliver(call: Call | Ending, outcome: Outcome) -> Flow[None]:
    """Resolve the purchase: the answer reached the caller. A ledger that fails here never loses the answer.

    The rule: "Until it is written the hold is in flight for others". So the one that writes it ends the attempt.
    """
    if call.running is not None:
        call.running.delivered(outcome)
    if call.memory is not None:
        call.memory.learn(call.place, call.product, call.terms if outcome.money == "spent" else None)
    interruptions.forget(outcome.hold)
    try:
        # Before the end is written: an interrupt in the receiver of events loses the answer.
        yield from Tell(events.Delivered(call.method, call.url, outcome.hold))
    except BaseException as failure:
        call.attempt.end()
        tell_of_the_money(failure, outcome)
        raise
    try:
        yield from Close(outcome.hold, outcome.money, outcome.receipt, call.attempt)
    except X402Error as failure:
        yield from Tell(events.Warned(call.method, call.url, f"A delivery is not in the ledger yet: {failure}"))
    except BaseException:  # it may be written, so nothing is said of what the same request does
        call.attempt.end()
        raise
    if outcome.looked is not None and outcome.looked.on_chain is None:
        yield from LookLater(outcome)


def _left(outcome: Outcome, kept: Flow[None]) -> Flow[None]:
    """Keep what is known of a payment whose answer was left, and look later at what was taken of a ceiling."""
    yield from kept
    if outcome.looked is not None and outcome.looked.on_chain is None:
        yield from LookLater(outcome, unresolved=True)


class Resolution:
    """The end of one purchase, which comes once: by a delivery, or by the caller's own word on the outcome.

    An outcome may be kept long after its answer is gone. So it holds this alone, which keeps no claim alive.
    """

    __slots__ = ("__weakref__", "_answer", "_call", "_first", "_generation", "delivery", "outcome", "resolved")

    def __init__(self, call: Call, outcome: Outcome, answer: Callable[[Ask[Any]], Any]) -> None:
        self._call, self._generation = call.ending, generation()
        #: What came first, where several threads tell of the end: ``setdefault`` cannot be interrupted by another one.
        self._first: dict[str, object] = {}
        _latest[_name(outcome.hold)] = self
        #: Answers for the buyer that paid: where a redirect leads, another one may be at work.
        self._answer = answer
        self.outcome: Outcome = outcome
        self.delivery: Callable[[], Delivery | None] = lambda: None
        self.resolved: bool = False

    @property
    def told(self) -> Outcome:
        """Return the outcome for the caller, whose ``accept`` and ``reject`` end here."""
        said = self.outcome
        rest = said.receipt, said.mismatches, self._heard, said.signed_in, said.looked, said.extensions
        return Outcome(said.money, said.hold, said.offer, *rest)

    def _heard(self, has_it: bool) -> bool:
        """Take the caller's word. Return False if it is too late: a resolved purchase is never opened again.

        In a forked child this is a copy, and the purchase its parent's.
        """
        if self._generation != generation():
            return False
        delivery = self.delivery()
        if has_it and delivery is not None:
            self.ends(_DELIVERED)
            delivery.over = True
            self.run(self.by(delivery.call))
        elif has_it:
            self.run(self.by(self._call))
        elif delivery is not None:
            delivery.dropped()
        return (self.resolved or (not has_it and self._first.get("end") is _DELIVERED)) is has_it

    def ends(self, how: str) -> bool:
        """Return True if an answer ends like this. Of several threads that tell of its end, the first one decides."""
        return self._first.setdefault("end", how) is how

    def by(self, call: Call | Ending) -> Flow[None]:
        """Tell the ledger that the content is with the caller. Happens once."""
        mine = object()
        if not self.resolved and self._first.setdefault("by", mine) is mine:
            self.resolved = True
            yield from deliver(call, self.outcome)

    def run(self, flow: Flow[None]) -> None:
        """Run a flow that waits for nothing."""
        run(flow, self._answer)

    async def arun(self, flow: Flow[None]) -> None:
        """Run a flow that may wait."""
        await arun(flow, self._answer)


#: How an answer ends: with the caller, or left.
_DELIVERED, _LEFT = "delivered", "left"
#: The end of each purchase that was answered in this process, while its outcome lives.
_latest: WeakValueDictionary[tuple[str, str], Resolution] = WeakValueDictionary()


def as_answered(hold: Hold) -> Hold:
    """Return an open hold with the ``money`` that the outcome of its answer told, if one lives here, or the last error.

    A ledger hears of an answer when it ends. Until then it calls the payment "held".
    """
    known = _latest.get(_name(hold))
    if known is None or hold.state != "signed" or hold.money != "held":  # where it is not "held", a chain was asked
        return hold.told
    if known.outcome.money == hold.told.money or (hold.last is not None and known.outcome.money != "spent"):
        return hold.told  # what a later answer said stands
    status, said = (None, "") if hold.last is None else (hold.last.status, hold.last.said)
    receipt = known.outcome.receipt
    return with_last(hold, known.outcome.money, status, said, "" if receipt is None else receipt.transaction)


def _name(hold: Hold) -> tuple[str, str]:
    # Ids are one ledger's own: with the purchase they are told apart.
    return hold.id, hold.purchase.id


def tell_of_the_money(failure: BaseException, outcome: Outcome) -> None:
    """Put the outcome on an error that is not ours, as amid a paid body, for ``outcome(error)``, and a note."""
    with contextlib.suppress(AttributeError, TypeError):  # an exception may have slots
        failure.outcome = outcome  # type: ignore[attr-defined]
    price, host = asked_of(outcome.hold), outcome.hold.host
    known = "was paid" if outcome.money == "spent" else "was presented, and may be paid,"
    then = "The same request presents the same payment again, never a second one."
    failure.add_note(f"{price} {known} to {host} for this answer. {then}")


def tell_of_a_stop(failure: BaseException, call: Call) -> None:
    """Put the outcome of a payment that is out on what stopped its call: a cancellation, Ctrl-C, a deadline."""
    hold = call.paid
    if hold is not None and not isinstance(failure, (X402Error, GeneratorExit)):
        tell_of_the_money(failure, Outcome("spent" if hold.money == "spent" else "unknown", hold, hold.offer))


class Delivery:
    """One paid answer on its way to the caller. An HTTP client tells it what becomes of the body.

    ``done``: it was read to its end. ``closed``: the caller closed it. ``broke``: reading failed. ``dropped``: it was
    forgotten. The first of them counts. None of them waits for anything, so async clients call them as they are.
    """

    __slots__ = ("__weakref__", "_resolution", "answer", "call", "left", "over")

    def __init__(self, call: Call, outcome: Outcome, answer: Callable[[Ask[Any]], Any]) -> None:
        self.call: Call = call
        self._resolution = Resolution(call, outcome, answer)
        self._resolution.delivery = ref(self)
        self.over: bool = False
        #: What is read along of the answer to a tool call. None: any answer is the content.
        self.answer: ToolAnswer | None = None
        #: True if a session of MCP above has the word on it. The payment stays in flight until that has its end.
        self.left: bool = False
        self._is_handed_over()

    def that_only_tells(self) -> Delivery:
        """Return the delivery, made to resolve nothing: a failure of the body still says what became of the money."""
        self._resolution.resolved = True
        return self

    @property
    def outcome(self) -> Outcome:
        """Return the outcome for the caller, who may give a word of their own by it."""
        return self._resolution.told

    def done(self, body: bytes = b"") -> None:
        """Resolve the purchase: the end of the body was read. ``body``: all of it, if it was in memory from the start.

        An interrupt here ends the attempt: the caller does not get the answer.
        """
        try:
            if body and self.answer is not None:
                self.answer.add(body)
            if not self.over:
                self._resolution.run(self.resolved())
        except BaseException:
            self.call.attempt.end()
            raise

    def closed(self, whole: bool = False) -> None:
        """Resolve the purchase if the caller closed the answer, and not something that was raised.

        The rule: "a close while an exception is under way before the body's end does not resolve". Nor does one after
        the client was closed: the caller had nothing left to choose, and another call may present the payment by now.
        ``whole``: all of the body is in memory, so closing it is a choice still.
        """
        cause = self._under_way()
        if cause is not None:
            self.broke(cause)
        elif self.has_let_go and not whole:
            self.dropped()
        else:
            if self.answer is not None:
                self.answer.closed = True
            self.done()

    @property
    def has_let_go(self) -> bool:
        """Return True if the same request may present the payment already, and no end was told yet."""
        return not (self.over or self.left or self._resolution.resolved or self.call.attempt.alive)

    def dropped(self) -> None:
        """Leave the purchase unresolved: the answer was forgotten, neither read nor closed."""
        if not self.over and self._resolution.ends(_LEFT):
            self.over = True
            self.call.attempt.end()

    def cut_off(self, failure: Exception | None = None) -> None:
        """Leave the purchase unresolved: the answer was closed after a read was stopped. What stopped it is told.

        ``failure`` is that of a connection that no read has met.
        """
        cause = self._under_way() or failure
        if cause is not None:
            self.broke(cause)
        self.dropped()

    def client_closed(self) -> None:
        """Let the same request present the payment: the client was closed before the end of the answer was read.

        Its rest may be in memory already. Reading that to its end resolves the purchase as ever.
        """
        if self.over or self.left or self._resolution.resolved or self.call.attempt.ended:
            return
        cause = self._under_way()
        if cause is None:
            interruptions.note_closing(self._resolution.outcome.hold)
        else:
            interruptions.note(self._resolution.outcome.hold, cause)
        if cause is None or isinstance(cause, Exception):  # the rule: "Cancelling ends a claim without any I/O"
            self._resolution.run(_left(self._resolution.outcome, note_closing(self._resolution.outcome)))
        self.call.attempt.end()

    def not_taken(self, failure: BaseException | None = None) -> None:
        """Leave the purchase unresolved: the session above did not give the answer to its caller.

        ``failure`` is what it raised instead, if that was no error of the tool's.
        """
        if failure is not None:
            self.broke(failure)
        elif not self.over and self.answer is not None and self.answer.failed():
            self._resolution.run(note_tool_error(self._resolution.outcome))
        self.dropped()

    def broke(self, failure: BaseException) -> None:
        """Leave the purchase unresolved: reading failed or was cancelled. Leaving a loop early is not a failure."""
        if self.over or isinstance(failure, GeneratorExit):
            return
        tell_of_the_money(failure, self.outcome)
        # The rule: "Cancelling ends a claim without any I/O".
        if isinstance(failure, Exception) and not self._resolution.resolved:
            self._resolution.run(_left(self._resolution.outcome, note_break(self._resolution.outcome, failure)))
        interruptions.note(self._resolution.outcome.hold, failure)
        self.dropped()

    def resolved(self) -> Flow[None]:
        """Tell the ledger that the caller has the content, unless the delivery ended in another way before.

        What has no result of the tool is no content, as in a session of MCP: the same call presents the same payment.
        """
        if self.over or self.left:
            return
        if self.answer is not None and not self._resolution.resolved and self.answer.failed():
            self.dropped()
            yield from note_tool_error(self._resolution.outcome)
            return
        if self._resolution.ends(_DELIVERED):
            self.over = True
            yield from self._resolution.by(self.call)

    def arrives(self) -> Flow[None]:
        """Claim the payment again: a redirect led to the content, and no other call may present it meanwhile."""
        if self.over or self._resolution.resolved:
            return
        self._is_handed_over()
        hold, self.call.attempt = self._resolution.outcome.hold, Attempt(self.call.attempt.is_stranded)
        try:
            found = yield from Claim(hold.purchase, self.call.attempt)
        except X402Error:
            found = None
        if not isinstance(found, Hold) or found.id != hold.id:
            self.call.attempt.end()

    def arrived(self) -> None:
        """Run ``arrives``."""
        self._resolution.run(self.arrives())

    async def aarrived(self) -> None:
        """Await ``arrives``."""
        await self._resolution.arun(self.arrives())

    def _is_handed_over(self) -> None:
        for failure in _handled_now():
            _HandedOver.during(failure).add(self)

    def _under_way(self) -> BaseException | None:
        """Return the exception that was raised since the hand-over and is under way now.

        The rule: "raised since the answer was handed over (one already being handled then is another matter), and no
        GeneratorExit, which is leaving a loop". Where a generator is closed because of something else, that counts.
        """
        for cause in _handled_now():
            if not isinstance(cause, GeneratorExit):
                return None if self in _HandedOver.during(cause) else cause
        return None


class _HandedOver:
    """The answers that were handed over while an exception was being handled. It is kept on that exception.

    A reference from the delivery to the exception would keep its frames, and in one of these the answer itself, alive.
    """

    __slots__ = ("answers",)
    NAME = "_x402_handed_over"

    def __init__(self) -> None:
        self.answers: WeakSet[Delivery] = WeakSet()

    @classmethod
    def during(cls, failure: BaseException) -> WeakSet[Delivery]:
        """Return these answers."""
        found = vars(failure).get(cls.NAME)
        if not isinstance(found, cls):
            found = vars(failure)[cls.NAME] = cls()
        return found.answers

    def __reduce__(self) -> tuple[Any, ...]:
        return (int, ())  # answers stay in their process


def _handled_now() -> Iterator[BaseException]:
    """Give the exception that is being handled, and those during whose handling it was raised."""
    failure, left = sys.exc_info()[1], 100
    while failure is not None and left:
        yield failure
        failure, left = failure.__context__, left - 1
