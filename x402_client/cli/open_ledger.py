"""Opens the ledger that a command names, for looking and for acting. None is made here."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..buyer import settings
from ..buyer.ledger_calls import call_ledger
from ..core.stops import stops_at
from ..errors import ConfigurationError
from ..ledgers.extras import closer_of, name_of, purses_of
from ..model.allowances import AllowanceRecord
from ..model.budgets import purses_to_show
from ..model.holds import Hold, Spending
from ..model.hosts import Origin
from ..model.money import Money
from ..model.offers import words
from ..policy.policy import Policy
from .buying import ledger_file
from .exits import Code
from .in_use import typed
from .kept_rows import KeptRows, kept_rows
from .own_words import in_own_words
from .running import Stop
from .transactions import by_seller

#: The fewest characters that name a hold's id, and those that name a nonce or a transaction: all begin with 0x.
_ID, _NONCE = 4, 6
#: A longer word that names no payment is not shown whole.
_SHOWN = 20
_IN_MEMORY = "A ledger in memory ends with its program; there is nothing to see of it here."


class OpenLedger:
    """A ledger that a command looks at, and one purse in it."""

    def __init__(self, port: Any, named: str | None, purse: str) -> None:
        self.port: Any = port
        self.purse: str = purse
        self.name: str = name_of(port)
        self._named = named
        self._on_server = ledger_file(named) is None

    def hint(self, command: str) -> str:
        """Return a ledger command to type next, about the same ledger and purse."""
        return f"x402 ledger {command}{typed(self._named, self.purse)}"

    def lift(self, pattern: str) -> str:
        """Return the command that lifts a freeze, which concerns all purses."""
        return lift(pattern, self._named)

    def stops(self, hold: Hold, frozen: tuple[str, ...], policy: Path | None) -> tuple[list[str], str]:
        """Return what keeps a payment from being presented: the commands that lift freezes, and the policy's reason."""
        payee = hold.purchase.origin
        return [self.lift(pattern) for pattern in stops(frozen, payee)], denied_by(policy, payee)

    def holds(self) -> tuple[Hold, ...]:
        """Return what is not resolved, each with the money that the last error about it told."""
        return tuple(hold.told for hold in self.kept_holds())

    def kept_holds(self) -> tuple[Hold, ...]:
        """Return what is not resolved as the ledger has it: the chain is asked by that."""
        found: tuple[Hold, ...] = self.ask("holds", self.purse)
        return found

    def rows(self) -> KeptRows:
        """Return every payment of the purse that the ledger keeps, and what it counts besides."""
        return kept_rows(self.port, self.purse)

    def frozen(self) -> tuple[str, ...]:
        """Return the patterns to which payments are stopped."""
        return tuple(self.ask("freezes"))

    def allowances(self) -> tuple[AllowanceRecord, ...]:
        """Return the allowances of the purse, the oldest first."""
        return tuple(self.ask("allowances", self.purse))

    def frozen_allowances(self) -> tuple[tuple[str, str], ...]:
        """Return the frozen allowances of every purse: its name, and the purse's."""
        purses = call_ledger(self.port, purses_of) or (self.purse,)
        found = ((purse, record) for purse in purses for record in self.ask("allowances", purse))
        return tuple((record.terms.name, purse) for purse, record in found if record.state == "frozen")

    def stop_of_allowance(self, name: str) -> str:
        """Return the command that freezes the open allowance of this name, in any purse. "": there is none."""
        for purse in call_ledger(self.port, purses_of) or (self.purse,):
            for record in self.ask("allowances", purse):
                if record.terms.name == name and record.state == "open":
                    return stop_allowance(name, self._named, purse)
        return ""

    def lift_of_allowance(self, name: str) -> str:
        """Return the command that lifts the frozen allowance of this name, in any purse. "": there is none."""
        return next((self.lift_allowance(one, its) for one, its in self.frozen_allowances() if one == name), "")

    def lift_allowance(self, name: str, purse: str) -> str:
        """Return the command that lifts the freeze of an allowance."""
        return lift_allowance(name, self._named, purse)

    def counted(self, window: str, currency: str) -> Money:
        """Return what budgets count in a window."""
        return Money.of_units(self.ask("spent", Spending("", window, currency, self.purse)), currency)

    def other_purses(self) -> tuple[str, ...]:
        """Return the names of the other purses in the ledger, as far as it tells them."""
        found = call_ledger(self.port, purses_of) or ()
        return tuple(words(purse, 100) for purse in purses_to_show(found) if purse != self.purse)

    @property
    def is_unused(self) -> bool:
        """Return True if it is on a server and no program ever paid through it."""
        return self._on_server and call_ledger(self.port, purses_of) == ()

    def check_purse(self) -> None:
        """Refuse a purse that a server does not have: looking at it would make it."""
        others = self.other_purses()
        if self._on_server and self.purse not in (call_ledger(self.port, purses_of) or ()):
            raise Stop(
                Code.USAGE,
                f"There is no purse {self.purse!r} in the ledger at {self.name} yet. There is (--purse): "
                f"{', '.join(others)}.",
            )

    def find(self, word: str) -> Hold:
        """Return the one payment that a word names: a hold, a nonce or a transaction, or how one of them begins."""
        word = word.strip()
        rows = self.rows()
        found = named(rows.all, word)
        if found is not None:
            return found
        others = self.other_purses()
        older = f" {rows.remark}" if rows.gone else ""
        elsewhere = f" This ledger has other purses, too (--purse): {', '.join(others)}." if others else ""
        raise Stop(
            Code.USAGE,
            f"No payment in purse {self.purse!r} of {self.name} goes by {_shown(word)}. Give the first {_ID} "
            f"characters of its id or more, or the first {_NONCE} of its nonce or its transaction. "
            f"`{self.hint('list')}` lists payments; what was given back is not kept.{older}{elsewhere}",
        )

    def ask(self, question: str, *arguments: Any) -> Any:
        """Ask one question of the ledger's port."""
        return call_ledger(self.port, lambda port: getattr(port, question)(*arguments))


def named(holds: Iterable[Hold], word: str) -> Hold | None:
    """Return the payment that a word names. Refuse a word that names several."""
    found = [hold for hold in holds if _is_named(hold, word)]
    if len(found) > 1:
        listed = ", ".join(hold.id for hold in found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        raise Stop(Code.USAGE, f"{len(found)} payments go by {_shown(word)}: {listed}. Give more of it.")
    return found[0] if found else None


def _is_named(hold: Hold, word: str) -> bool:
    if len(word) >= _ID and hold.id.startswith(word.lower()):
        return True
    named = (hold.nonce or "", by_seller(hold).name)
    return len(word) >= _NONCE and any(_spelled(name).startswith(_spelled(word)) for name in named)


def _spelled(name: str) -> str:
    """Return one spelling of a name: letters of hexadecimal numbers are written in either case."""
    return name.lower() if name[:2] in ("0x", "0X") else name


def _shown(word: str) -> str:
    """Return the beginning of a word that named nothing: a key may have been typed by mistake."""
    return repr(words(word, _SHOWN)) if len(word) <= _SHOWN else f"{words(word[:_NONCE], _SHOWN)!r}…"


@contextmanager
def looking(named: str | None, purse: str | None) -> Iterator[OpenLedger]:
    """Open a ledger to look at it. If there is none yet, say so. ``purse`` None stands for all purses."""
    missing = _missing(named)
    if missing is not None:
        raise Stop(
            Code.USAGE, f"There is no ledger at {missing} yet: nothing was ever paid through it.{_other_file(missing)}"
        )
    with _opened(named, purse) as found:
        if found.is_unused:
            raise Stop(Code.USAGE, f"There is no ledger at {found.name} yet: nothing was ever paid through it.")
        if purse is not None:
            found.check_purse()
        yield found


@contextmanager
def acting(named: str | None, purse: str | None, done: str) -> Iterator[OpenLedger]:
    """Open a ledger to change something in it. Refuse one that is not there; ``done`` is what did not happen."""
    missing = _missing(named)
    if missing is not None:
        raise Stop(Code.USAGE, _not_there(missing, done) + _other_file(missing))
    with _opened(named, purse) as found:
        if found.is_unused:
            raise Stop(Code.USAGE, _not_there(found.name, done))
        if purse is not None:
            found.check_purse()
        yield found


@contextmanager
def _opened(named: str | None, purse: str | None) -> Iterator[OpenLedger]:
    port = settings.ledger(named, must_exist=ledger_file(named) is None)
    try:
        yield OpenLedger(port, named, purse or "default")
    finally:
        closer_of(port)()


def _missing(named: str | None) -> Path | None:
    """Return the path of a ledger file that is not there."""
    if named == ":memory:":
        raise Stop(Code.USAGE, _IN_MEMORY)
    from ..ledgers.sqlite import is_there

    path = ledger_file(named)
    return path.absolute() if path is not None and not is_there(path) else None


def _not_there(place: object, done: str) -> str:
    return (
        f"There is no ledger at {place}, so {done}. Name the one that your programs use, with --ledger or X402_LEDGER."
    )


def _other_file(path: Path) -> str:
    """Return a question about a file whose name is like the one that was typed."""
    try:
        names = [one.name for one in path.parent.iterdir() if one.is_file() and not one.name.endswith(("-wal", "-shm"))]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {path.with_name(near[0])}?" if near else ""


def lift(pattern: str, named: str | None) -> str:
    """Return the command that lifts a freeze in this ledger."""
    return f"x402 ledger unfreeze {shlex.quote(pattern)}{typed(named, 'default')}"


def lift_allowance(name: str, named: str | None, purse: str) -> str:
    """Return the command that lifts the freeze of an allowance of a purse in this ledger."""
    return f"x402 ledger unfreeze --allowance {shlex.quote(name)}{typed(named, purse)}"


def stop_allowance(name: str, named: str | None, purse: str) -> str:
    """Return the command that freezes an allowance of a purse in this ledger."""
    return f"x402 ledger freeze --allowance {shlex.quote(name)}{typed(named, purse)}"


def stops(frozen: tuple[str, ...], origin: Origin) -> tuple[str, ...]:
    """Return the freezes that stop payments to an origin."""
    return stops_at(origin, frozen).frozen


def denied_by(policy: Path | None, origin: Origin) -> str:
    """Return why a policy file does not pay an origin; "" if it does.

    Without one, programs have policies of their own. One that cannot be read must hide no payment.
    """
    try:
        return "" if policy is None else denial(Policy.from_file(policy), origin)
    except ConfigurationError:
        return ""


def denial(policy: Policy, origin: Origin) -> str:
    """Return why a policy does not pay an origin, in our words; "" if it does."""
    return in_own_words(stops_at(origin, (), policy).denied)


def all_stops(frozen: tuple[str, ...], lifts: list[str], denied: str) -> str:
    """Return what stops payments to an origin: the freezes, with the commands that lift them, and the policy."""
    stopped = "All payments" if "*" in frozen else f"Payments to {' and '.join(frozen)}"
    lift = " and ".join(f"`{one}`" for one in lifts) + (" lift" if len(lifts) > 1 else " lifts")
    return f"{stopped} are frozen; {lift} that.{f' Besides, {denied}' if denied else ''}"
