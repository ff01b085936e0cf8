"""Gathers what `x402 status` shows: wallet, balances, policy, ledger, budgets, freezes and unresolved payments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..buyer import settings
from ..buyer.buyer import Buyer
from ..buyer.ledger_calls import call_ledger
from ..buyer.ledger_notices import new_purse
from ..buyer.payable_tokens import tokens_on, usual_networks
from ..core.delivery import as_answered
from ..errors import LedgerUnavailable
from ..ledgers.extras import closer_of, name_of, owed_in, purses_of
from ..ledgers.urls import scheme_of
from ..model.budgets import WINDOWS, Cap
from ..model.counts import counted
from ..model.exposures import Exposure
from ..model.holds import Hold, Spending
from ..model.hosts import Pattern
from ..model.money import Money
from ..model.offers import words
from ..policy.limits import Limit
from . import wallets
from .allowances import AllowanceLine, lines_of
from .balances import Held, look
from .buying import Choices, buying, check_can_begin, ledger_file, ledger_that_is_there
from .exposures import exposures_of
from .kept_rows import KeptRows, kept_rows
from .own_words import in_own_words
from .screen import say


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Place of the ledger, what is in it, and why it cannot be used."""

    place: str
    exists: bool
    size: int | None = None
    payments: int = 0
    #: When the first payment was made that it remembers, in seconds since 1970.
    since: float | None = None
    problem: str = ""
    #: What is frozen on a server whose purse is not there yet. None: the ledger is asked.
    frozen: tuple[str, ...] | None = None
    #: The payments that it keeps one by one, and what it counts besides.
    kept: KeptRows = field(default=KeptRows((), ()), repr=False)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on a window, and how much of it is used. Both count millionths, or payments."""

    cap: Cap
    used: int
    #: False: it counts payments, and some of its window may not be kept one by one any more. More may be used.
    exact: bool = True

    @property
    def left(self) -> int:
        """Return what is not used."""
        return max(0, self.cap.most - self.used)

    @property
    def name(self) -> str:
        """Return which payments it limits, and in which time."""
        per = "in total" if self.cap.window == "total" else f"per {self.cap.window}"
        return f"{per} at {self.cap.account}" if self.cap.account else per

    def written(self, units: int) -> str:
        """Return a number of its units in words."""
        if self.cap.currency is None:
            return counted(units, "payment")
        return str(Money.of_units(units, self.cap.currency))


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that ``x402 status`` shows."""

    choices: Choices
    buyer: Buyer
    found: wallets.Found
    ledger: LedgerState
    budgets: tuple[Budget, ...]
    frozen: tuple[str, ...]
    holds: tuple[Hold, ...]
    #: None if the chains were not asked.
    balances: tuple[Held, ...] | None
    #: The allowances that have a name, and are neither closed nor over.
    allowances: tuple[AllowanceLine, ...] = ()
    #: What permits and allowances to Permit2 could still take.
    exposures: tuple[Exposure, ...] = ()
    #: Delivered ceilings that count whole: the chain has not shown yet what was taken.
    owed: tuple[Hold, ...] = ()


@contextmanager
def standing(choices: Choices, offline: bool, seconds: float) -> Iterator[Standing]:
    """Yield everything that ``x402 status`` shows.

    The chains are asked for at most ``seconds``, and not at all if ``offline``.
    """
    ledger, state = _opened(choices)
    with buying(choices, ledger=ledger) as (buyer, found):
        held = (
            None if offline or found.no_wallet else _balances(buyer, seconds)
        )  # "all together": begun before the rest
        rows = kept_rows(buyer.ledger, buyer.purse, _currencies(buyer))
        holds = tuple(map(as_answered, rows.open))
        yield Standing(
            choices=choices,
            buyer=buyer,
            found=found,
            ledger=_with_payments(state, rows),
            budgets=tuple(_budgets(buyer, rows)),
            frozen=buyer.freezes() if state.frozen is None else state.frozen,
            holds=holds,
            allowances=tuple(_allowances(buyer)),
            exposures=exposures_of(buyer, 0.0 if offline else seconds),
            owed=tuple(call_ledger(buyer.ledger, owed_in, buyer.purse)),
            balances=None if held is None else tuple(held()),
        )


def _allowances(buyer: Buyer) -> Iterator[AllowanceLine]:
    known = call_ledger(buyer.ledger, lambda port: port.allowances(buyer.purse))
    yield from (line for line in lines_of(known) if line.is_shown)


def _opened(choices: Choices) -> tuple[Any, LedgerState]:
    """Open the ledger, if there is one that can be used. Else an empty one stands in, so that the rest can be told.

    It stands in for a purse that a server does not have, too: looking at it there would make it.
    """
    from ..ledgers.sqlite import check_usable, is_there

    named, purse = choices.ledger, choices.purse
    place, size, exists = "", None, True
    try:
        path = ledger_file(named)
        if path is not None:
            place = str(path.absolute())
            exists = is_there(path)
            if named != ":memory:":
                check_usable(path)
            if not exists and not choices.must_exist:
                return settings.ledger(":memory:"), LedgerState(place, exists=False)
            size = sum(one.stat().st_size for one in (path, Path(f"{path}-wal")) if one.exists())
        else:
            place = name_of(settings.ledger(named))
        ledger = ledger_that_is_there(choices, path)
        frozen = call_ledger(ledger, lambda port: port.freezes())  # one that is a server is reached here, or not
        known = () if path is not None else call_ledger(ledger, purses_of) or ()
        if path is None:
            check_can_begin(ledger)
        if path is None and purse not in known:
            exists = bool(known)
            if known:
                say(words(in_own_words(new_purse(place, purse, known)), 500), "yellow")
            closer_of(ledger)()
            return settings.ledger(":memory:"), LedgerState(place, exists, frozen=tuple(frozen))
        call_ledger(ledger, lambda port: port.holds(purse))  # the first look into a purse may be refused, too
        return ledger, LedgerState(place, exists=True, size=size)
    except (LedgerUnavailable, OSError) as problem:
        refused = LedgerState(place or _typed(named), exists, size, problem=in_own_words(str(problem)))
        return settings.ledger(":memory:"), refused


def _typed(named: str | None) -> str:
    """Return the path of a ledger file as it was typed. A URL may hold a password."""
    return named if named is not None and scheme_of(named) is None else "a ledger"


def _with_payments(state: LedgerState, rows: KeptRows) -> LedgerState:
    first = min((hold.created for hold in rows.all), default=None)
    return replace(state, payments=len(rows.all), since=first, kept=rows)


def _currencies(buyer: Buyer) -> Iterator[str]:
    """Yield the currencies that the policy's limits name."""
    yield from buyer.policy.overall.currencies
    yield from (one for rule in buyer.policy.hosts.values() if isinstance(rule, Limit) for one in rule.currencies)


def _budgets(buyer: Buyer, rows: KeptRows) -> Iterator[Budget]:
    """Yield each budget of the policy. Those of test money are there once some of it was paid."""
    paid = {hold.price.currency for hold in rows.all} | {amount.currency for amount in rows.gone}
    limits: list[tuple[str, Limit]] = [("", buyer.policy.overall)]
    limits += [(str(host), rule) for host, rule in buyer.policy.hosts.items() if isinstance(rule, Limit)]
    for account, limit in limits:
        named = sorted(limit.currencies, key=lambda currency: (currency != "USD", currency)) or ["USD"]
        also = sorted(currency for currency in paid - set(named) if limit.limits_currency(currency))
        caps = dict.fromkeys(cap for currency in (*named, *also) for cap in limit.caps(account, currency))
        yield from (_payments(cap, rows) if cap.currency is None else _used(buyer, cap, cap.currency) for cap in caps)


def _used(buyer: Buyer, cap: Cap, currency: str) -> Budget:
    question = Spending(cap.account, cap.window, currency, buyer.purse)
    return Budget(cap, call_ledger(buyer.ledger, lambda port: port.spent(question)))


def _payments(cap: Cap, rows: KeptRows) -> Budget:
    """Count the payments of a window. A ledger tells sums of money, and no numbers of payments."""
    seconds = WINDOWS[cap.window]
    first = 0.0 if seconds is None else time.time() - seconds
    host = Pattern.parse(cap.account) if cap.account else None
    used = sum(hold.created >= first and (host is None or host.matches(hold.purchase.origin)) for hold in rows.all)
    return Budget(cap, used, exact=not rows.lacks_some_since(first))


def _balances(buyer: Buyer, seconds: float) -> Callable[[], list[Held]]:
    """Begin to ask the chains what the wallet holds."""
    networks = list(buyer.policy.networks or usual_networks(buyer.wallet, buyer.endpoints.named_networks))
    return look(buyer.wallet, tokens_on(networks, buyer.policy), buyer.endpoints, seconds)
