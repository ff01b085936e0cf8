"""Optional attributes of a ledger, read in this one place. ``core.LedgerExtras`` says what each means."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from inspect import iscoroutinefunction
from typing import Any, cast

from ..core.ports import Ledger, Maybe
from ..errors import MoneyState
from ..model.budgets import purses_to_show
from ..model.holds import Busy, Hold, LastAnswer, Order
from ..model.hosts import Origin
from ..model.keywords import near
from ..model.offers import Receipt, words

#: More payments than are looked through: SQLite keeps the latest 100,000, and a server those of a month.
ALL_PAYMENTS = 1_000_000
#: The most purses that are named.
_NAMED = 5


def name_of(ledger: Ledger) -> str:
    """Return where the ledger is, without passwords."""
    return str(getattr(ledger, "name", type(ledger).__name__))


def place_of(ledger: Ledger) -> Hashable:
    """Return a key that is equal for two objects of this process if they are one ledger.

    A ledger in memory, or one without a name, is equal only to itself.
    """
    name = getattr(ledger, "name", ":memory:")
    return id(ledger) if name == ":memory:" else (type(ledger), str(name))


def is_fresh(ledger: Ledger) -> bool:
    """Return True if the ledger was used for the first time."""
    return bool(getattr(ledger, "fresh", False))


def beside_new(ledger: Ledger) -> tuple[str, ...]:
    """Return the other purses that a ledger had when a purse of it was used for the first time."""
    return tuple(getattr(ledger, "beside", ()))


def may_begin(ledger: Ledger) -> bool:
    """Return True if the ledger starts with nothing spent when it finds no data."""
    return getattr(ledger, "must_exist", None) is False


def drift_of(ledger: Ledger) -> float:
    """Return the seconds by which the ledger's time is ahead of the machine's clock."""
    return float(getattr(ledger, "drift", 0.0))


def for_async_callers(ledger: Ledger) -> Ledger:
    """Return the ledger for async callers. It returns awaitables, or answers at once, or raises LedgerBusy."""
    twin = getattr(ledger, "asynchronous", None) or getattr(ledger, "impatient", None)
    return cast(Ledger, twin or ledger)


def at_once(ledger: Ledger) -> Ledger | None:
    """Return the ledger that answers now or raises LedgerBusy. None if each answer has to be waited for."""
    if getattr(ledger, "asynchronous", None) is not None or iscoroutinefunction(ledger.close):
        return None
    return cast(Ledger, getattr(ledger, "impatient", None) or ledger)


def send_close(ledger: Ledger, hold: Hold, money: MoneyState, receipt: Receipt | None) -> Callable[[], None] | None:
    """Send the end of a purchase without waiting. Return a function that waits for the answer; None if not possible."""
    send = getattr(ledger, "send_close", None)
    return None if send is None else cast("Callable[[], None] | None", send(hold, money, receipt))


def note(ledger: Ledger, hold: Hold, last: LastAnswer) -> Maybe[None]:
    """Keep the last answer to an unresolved payment, where the ledger does so."""
    keep: Callable[[Hold, LastAnswer], Maybe[None]] | None = getattr(ledger, "note", None)
    return None if keep is None else keep(hold, last)


def bought(ledger: Ledger, purse: str, origin: Origin, url: str, payers: tuple[str, ...]) -> Any:
    """Return the latest delivered purchase at an origin. NotImplemented if the ledger cannot be asked."""
    ask = getattr(ledger, "bought", None)
    return NotImplemented if ask is None else ask(purse, origin, url, payers)


def check_order(ledger: Ledger, order: Order) -> Maybe[Busy | None]:
    """Raise what would refuse an order at this moment. A ledger without ``check`` does not tell."""
    look: Callable[[Order], Maybe[Busy | None]] | None = getattr(ledger, "check", None)
    return None if look is None else look(order)


def can_check(ledger: Ledger) -> bool:
    """Return True if the ledger tells what it would refuse."""
    return hasattr(ledger, "check")


def owed_in(ledger: Ledger, purse: str) -> Maybe[tuple[Hold, ...]]:
    """Return the open amounts of a purse. A ledger that keeps none lets a ceiling count until its window rolls."""
    tell: Callable[[str], Maybe[tuple[Hold, ...]]] | None = getattr(ledger, "owed", None)
    return () if tell is None else tell(purse)


def keeps_owed(ledger: Ledger) -> bool:
    """Return True if the ledger keeps open amounts."""
    return hasattr(ledger, "owed")


def purses_of(ledger: Ledger) -> Maybe[tuple[str, ...]] | None:
    """Return the names of the purses in the ledger. None if it cannot tell."""
    tell: Callable[[], Maybe[tuple[str, ...]]] | None = getattr(ledger, "purses", None)
    return None if tell is None else tell()


def other_purses(known: Iterable[str], purse: str) -> str:
    """Return the names of the purses besides this one, at most five, for a message. "" if there are none."""
    others = [one for one in purses_to_show(known) if one != purse]
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return ", ".join(repr(words(one, 60)) for one in others[:_NAMED]) + more


def meant_purse(known: Iterable[str], purse: str) -> str:
    """Return a question about the purse that a mistyped name may mean, as in ``Did you mean 'batch'? ``, or ""."""
    names = {one.lower(): one for one in known if one != purse}
    found = near(purse, names)
    return f"Did you mean {words(names[found], 60)!r}? " if found else ""


def closer_of(ledger: Ledger) -> Callable[[], Maybe[None]]:
    """Return the function that closes the ledger's files and connections."""
    close: Callable[[], Maybe[None]] = getattr(ledger, "close_ledger", _nothing_to_close)
    return close


def closers_of(ledger: Ledger) -> Iterator[Callable[[], Maybe[None]]]:
    """Yield the functions that close an async twin, if there is one, and the ledger itself."""
    twin = getattr(ledger, "asynchronous", None)
    if twin is not None:
        yield closer_of(twin)
    yield closer_of(ledger)


def _nothing_to_close() -> None:
    """Stand in for a ledger that holds nothing open."""
