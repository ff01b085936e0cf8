"""One call of a tool, and the approver that asks the host's user about it."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

from ...events import Answered, Event, Presented
from ...model.signing import Approval
from .. import budgets
from ..hosts import place_of
from . import questions
from .host import Host
from .questions import NoApproval, Question

if TYPE_CHECKING:
    import anyio

    from ...buyer.payers import Payer

#: Seconds between two notes to the host that the call goes on.
_EVERY = 10.0


class Call:
    """One call of a tool.

    Attributes:
        agreed: The terms that the user agreed to before, in an earlier round of this call. None: there are none.
        asked: The question that has to go out before the call can go on. None: there is none.
        refusal: The reason why the payment was not approved. None: it was, or was not asked about.
    """

    agreed: tuple[str, ...] | None = None
    asked: Question | None = None
    refusal: NoApproval | None = None

    def __init__(self, host: Host, url: str = "") -> None:
        import anyio

        #: The URL that the model asked for, or "".
        self.url = url
        self._host = host
        self._stage = "Asking the server"
        self._news: anyio.Event = anyio.Event()
        self._thread = threading.get_ident()

    @property
    def can_ask(self) -> bool:
        """Return True if the host can ask its user."""
        return self._host.can_ask

    async def approve(self, question: Question) -> bool:
        """Return True if the user agrees to a payment."""
        if self.agreed == question.terms:
            return True
        if not self.can_ask:
            self.refusal = questions.cannot_ask(question)
            return False
        if self._host.asks_between:
            self.asked = question
            return False
        self.goes_on(f"Waiting for a person to agree to {question.price} for {question.host}")
        self.refusal = questions.no_answer(question)  # stays, if the buyer's time for it runs out
        try:
            action, content = await self._host.ask(question.text, question.schema)
        except Exception as failure:
            self.refusal = questions.failed_to_ask(question, failure)
            return False
        yes = questions.is_yes(action, content)
        self.refusal = None if yes else questions.declined(question)
        return yes

    def goes_on(self, stage: str) -> None:
        """Note how far the call is."""
        self._stage = stage
        if threading.get_ident() == self._thread:
            self._news.set()

    async def tell(self) -> None:
        """Tell the host how the call goes, at once where there is news, and again and again where there is none.

        Many hosts give a call 60 seconds, and count anew from each note.
        """
        import anyio

        number = 0
        while True:
            with anyio.move_on_after(_EVERY):
                await self._news.wait()
            self._news = anyio.Event()
            number += 1
            try:
                await self._host.progress(number, self._stage)
            except Exception:  # the host is gone, which must not end a payment
                return


#: The call under way. None: there is none, as in a thread that writes to the ledger.
current: ContextVar[Call | None] = ContextVar("x402_tool_call", default=None)


class PersonApprover:
    """An approver that asks the user of the host, by the call that is under way. For ``Buyer(approve=...)``."""

    def __init__(self) -> None:
        self._cannot_pay = ""
        self._buyer: Payer | None = None

    def ready(self, buyer: Payer, cannot_pay: str = "") -> None:
        """Set the buyer that pays.

        Args:
            buyer: The buyer.
            cannot_pay: A reason why it cannot pay, so that no person is asked. Default: it can.
        """
        self._buyer, self._cannot_pay = buyer, cannot_pay

    @property
    def cannot_ask(self) -> str:
        """Return why the host of the call under way can ask no person. "": it can, or there is no call."""
        call = current.get()
        return questions.CANNOT_ASK if call is not None and not call.can_ask else ""

    async def __call__(self, approval: Approval, /) -> bool:
        call = current.get()
        if call is None:
            return False
        if self._cannot_pay:
            call.refusal = NoApproval(f"{self._cannot_pay} Nothing was paid.", "ask a person")
            return False
        left = (
            await budgets.aleft(self._buyer, place_of(approval.url), approval.price.currency) if self._buyer else None
        )
        return await call.approve(Question.about(approval, left, call.url))


def watch(event: Event) -> None:
    """Note what happens to a payment, for the host to hear. For ``Buyer(on_event=...)``.

    Args:
        event: What happened.
    """
    call = current.get()
    if call is None:
        return
    if isinstance(event, Presented):
        call.goes_on(f"A payment of {event.hold.price} is on its way to {event.hold.host}")
    elif isinstance(event, Answered):
        call.goes_on("The server answered")
