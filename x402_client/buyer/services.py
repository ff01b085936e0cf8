"""The services of a buyer for every payment: keys, ledger, reader, approver, and the receiver of events."""

from __future__ import annotations

import logging
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import events
from ..guards.handlers import raise_callers_stop

if TYPE_CHECKING:  # a face needs no more of these than their names
    from ..core.ports import Approver, Ledger
    from .breaker import Breaker
    from .ends import EndsWriter
    from .ledger_notices import Notices
    from .open_amounts import OpenAmounts
    from .running_calls import RunningCalls
    from .settlement_reader import Reader
    from .wallet import Wallet

log: logging.Logger = logging.getLogger("x402_client")
log.addHandler(logging.NullHandler())  # without a handler, Python prints warnings in programs that set up no logging

#: Events that a person should see. They go to the log as warnings.
_ALARMING = (
    events.Warned, events.Unknown, events.NotDelivered, events.ClockJumped, events.LedgerStarted, events.AllowanceLow,
)  # fmt: skip


def _is_alarming(event: events.Event) -> bool:
    """Return True for what a log shows as a warning: content with a receipt that is false or says no is one, too."""
    if not isinstance(event, events.Answered):
        return isinstance(event, _ALARMING)
    receipt, status = event.outcome.receipt, event.status
    return bool(event.outcome.mismatches) or (status < 300 and receipt is not None and not receipt.success)


#: Follows the line of a ledger that is used for the first time.
_FIRST_USE = ": nothing is spent in it. Right at the first use; at any later one, the ledger of before is lost"


@dataclass(slots=True, eq=False, repr=False)
class Services:
    """The parts of a buyer that answer the asks of a flow."""

    wallet: Wallet
    ledger: Ledger
    purse: str
    settlement: Reader
    breaker: Breaker
    notices: Notices
    running: RunningCalls
    ends: EndsWriter
    open_amounts: OpenAmounts
    approver: Approver | None = None
    approve_timeout: float | None = None
    on_event: Callable[[events.Event], object] | None = None
    #: The accounts of allowances without a name whose objects are gone: the next one that is opened has them dropped.
    left_behind: deque[str] = field(default_factory=deque)

    #: The MCP servers without an address whose sessions were wrapped, as policies name them.
    servers: set[str] = field(default_factory=set)

    #: Another object from each time on that a payment is about to leave. So a caller can prove that none left since.
    sending: object = field(default_factory=object)

    def tell(self, event: events.Event) -> None:
        """Write an event to the log, and hand it to the listener. A failure of either changes no payment."""
        said = f"{event}{_FIRST_USE}" if isinstance(event, events.LedgerStarted) else event
        try:
            log.log(logging.WARNING if _is_alarming(event) else logging.INFO, "%s", said)
        except Exception as failure:  # a handler of the application's may raise, against the custom of logging
            raise_callers_stop(failure)
        self.breaker.note(event)
        if self.on_event is not None:
            try:
                self.on_event(event)
            except Exception as failure:
                raise_callers_stop(failure)
                with suppress(Exception):
                    log.exception("on_event failed")

    def tell_news(self) -> None:
        """Tell the events that the ledger reports of itself."""
        for event in self.notices.news():
            self.tell(event)
            # "A first use is an event at WARNING", of every ledger. That a purse is new beside others is shown besides.
            if isinstance(event, events.Warned):
                with suppress(UserWarning):  # a program may make errors of warnings, and a payment is under way here
                    self.show(event.problem)

    def show(self, warning: str, stacklevel: int = 2) -> None:
        """Show a warning if nothing listens: the log alone would say it, and most programs show none."""
        if self.on_event is None:
            warnings.warn(warning, UserWarning, stacklevel=stacklevel + 1)
