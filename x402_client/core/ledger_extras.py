"""The protocol of what a ledger may tell and do besides its port."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ..errors import MoneyState
    from ..model.holds import Busy, Hold, LastAnswer, Order
    from ..model.hosts import Origin
    from ..model.offers import Receipt
    from .ports import Ledger, Maybe


@runtime_checkable
class LedgerExtras(Protocol):
    """Optional attributes of a ledger. It may have any of them or none; without one, its default below holds.

    Nothing but ``ledgers.extras`` reads them. They are read at every payment, so they answer at once and never fail.
    """

    @property
    def name(self) -> str:
        """Return where the ledger is, without passwords, for messages. Default: the name of its class.

        Read for the event ``LedgerStarted``.
        """
        ...

    @property
    def fresh(self) -> bool:
        """True if the ledger was used for the first time, so that its budgets start at zero. Default: False.

        Read when a buyer is built and after every reservation, until it was True once: then ``LedgerStarted`` is
        told. Without it, a lost ledger that starts again from zero makes no noise.
        """
        ...

    @property
    def beside(self) -> tuple[str, ...]:
        """The other purses that were there when the one that is ``fresh`` began. Default: none.

        Read when ``LedgerStarted`` is told: a new purse beside others may have a mistyped name. A ledger that is fresh
        as a whole has none.
        """
        ...

    @property
    def must_exist(self) -> bool:
        """True if the ledger refuses to start with nothing spent. Default: it does not say.

        Read when a buyer is built with ``must_exist=True``, which refuses a ledger where this is False. Such a ledger
        may have begun anew already, and the next start would take it for the one that was used before.
        """
        ...

    @property
    def drift(self) -> float:
        """The seconds by which the ledger's time is ahead of the machine's clock. Default: 0.0.

        Read after every reservation. A change of more than a minute means that the machine's clock was set, and is
        told as ``ClockJumped``. Without it, a clock that is set is not noticed.
        """
        ...

    @property
    def asynchronous(self) -> Ledger | None:
        """The twin of a sync ledger whose methods are async. Default: None.

        Read at every call of an async client, which uses it instead of the ledger itself. Such a
        ledger may block. So a thread calls its ``close`` after a delivery, for sync and async clients alike.
        """
        ...

    @property
    def impatient(self) -> Ledger | None:
        """A twin that raises ``LedgerBusy`` where the ledger would wait for a disk or a lock. Default: None.

        Read at every call of an async client if there is no ``asynchronous``. The twin is called on the event loop;
        a call that was ``LedgerBusy`` is made again in a thread, on the ledger itself. Sync clients call its ``close``
        when an answer was delivered, and a thread does what was ``LedgerBusy``. Without either, a ledger's methods are
        called on the event loop: a sync ledger that may block must have one of them.
        """
        ...

    @property
    def send_close(self) -> Callable[[Hold, MoneyState, Receipt | None], Callable[[], None] | None] | None:
        """The function that sends ``close`` to a server now, without waiting for the answer. Default: None.

        Called with what ``close`` takes, when an answer was delivered, from any thread or event loop, of a ledger that
        has ``asynchronous`` or async methods. It returns what a thread calls to wait for the answer, and which raises
        what ``close`` raises; or None if it would have to wait, and then a thread calls ``close``. Without it, a
        program that is killed before that thread ran presents a delivered payment once more.
        """
        ...

    def note(self, hold: Hold, last: LastAnswer) -> Maybe[None]:
        """Keep the last answer to an open payment, for ``Hold.last`` in lists. Default: it is not kept.

        Called when a call ended without the content. It changes no budget and no claim, and may do nothing. Notes may
        come late: keep ``last.after(kept)``, so that none takes back that a payment was paid.
        """
        ...

    @property
    def bought(self) -> Callable[[str, Origin, str, tuple[str, ...]], Maybe[Hold | None]] | None:
        """The function that finds the latest delivered purchase of a purse at an origin, by one of these payers.

        One at this URL comes first. Called where a seller takes a sign-in. Default: None, and ``history`` is read.
        """
        ...

    def owed(self, purse: str = "default") -> Maybe[tuple[Hold, ...]]:
        """Return resolved ceilings of which ``conclude`` was not told. Default: none. Called before ``OverLimit``."""
        ...

    def check(self, order: Order) -> Maybe[Busy | None]:
        """Raise what ``reserve`` would raise for an order, or return Busy where it would. Nothing is counted.

        An unresolved purchase that ``reserve`` would hand over is no obstacle, nor what ended attempts had reserved
        and ``reserve`` would give back. Called for a quote. Default: not known, so that a quote tells of freezes alone.
        """
        ...

    def purses(self) -> Maybe[tuple[str, ...]]:
        """Return the purses in the ledger, sorted. Called by the command, to list them. Default: not known."""
        ...

    def close_ledger(self) -> Maybe[None]:
        """Close files and connections, and give up this process's claims. Default: there is nothing to close.

        Called by ``Buyer.close``, ``aclose`` and the command. It may be called twice: the next use opens it again.
        """
        ...
