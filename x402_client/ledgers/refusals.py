"""Refusals of a ledger: each says what was found, what was allowed and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from math import ceil
from typing import NamedTuple

from ..core.open_payments import WAIT_IN_VAIN
from ..core.stops import freezes_of, refused_by
from ..errors import (
    AllowanceEnded,
    AlreadyPaid,
    Frozen,
    LedgerUnavailable,
    OverLimit,
    PaymentRefused,
    SameRequest,
    X402Error,
)
from ..model.allowances import AllowanceRecord, AllowanceState, allowance_name, called
from ..model.budgets import Cap, is_request_account
from ..model.counts import counted
from ..model.holds import Hold, Order, Purchase, moment
from ..model.money import Money

_HOUR, _DAY = 3_600, 86_400


class Exceeded(NamedTuple):
    """Budget that an order exceeds, the amount counted in it, and the time at which the order fits. None: never."""

    cap: Cap
    counted: int
    fits_at: float | None


def over_limit(order: Order, exceeded: Iterable[Exceeded], now: float) -> OverLimit:
    """Build the refusal. It names the budget that blocks the order for longest, and when that ends."""
    worst = max(exceeded, key=lambda found: found.fits_at or float("inf"))
    cap, currency = worst.cap, worst.cap.currency
    asked: Money | int = 1 if currency is None else order.price
    spent: Money | int = worst.counted if currency is None else Money.of_units(worst.counted, currency)
    limit: Money | int = cap.most if currency is None else Money.of_units(cap.most, currency)
    resets_at = moment(worst.fits_at)
    again = WAIT_IN_VAIN
    if worst.fits_at is not None:
        again = f"It fits again at {resets_at:%Y-%m-%d %H:%M:%S} UTC, in {duration(worst.fits_at - now)}"
    counted = f"{spent} of it is counted" if currency else f"{spent} {'is' if spent == 1 else 'are'} counted"
    kind = SameRequest if is_request_account(cap.account) else OverLimit
    return kind(
        f"{order.price} for {order.purchase.url} would exceed the limit of {cap}: {counted}. "
        f"{again}; {_way_out(cap.account)} allows it. Nothing was paid.",
        limit=limit,
        asked=asked,
        spent=spent,
        resets_at=resets_at,
        host=cap.host,
        window=cap.window,
        allowance=allowance_name(cap.account),
        offer=order.offer,
    )


def duration(seconds: float) -> str:
    """Return a time to wait in words: ``59 seconds``, ``23 hours 59 minutes``, ``2 days 4 hours``.

    The time itself stands beside it. So hours and minutes are rounded up, and days to the nearest hour.
    """
    left = max(1, ceil(seconds))
    step = 1 if left < _HOUR else 60 if left < _DAY else _HOUR
    left = (left + (step // 2 if step == _HOUR else step - 1)) // step * step
    parts: list[str] = []
    for one, unit in ((_DAY, "day"), (_HOUR, "hour"), (60, "minute"), (1, "second")):
        count, left = divmod(left, one)
        parts += [counted(count, unit)] if count else []
    return " ".join(parts)


def _way_out(account: str) -> str:
    """Return what allows a payment that a limit of this account refused."""
    if allowance_name(account) is not None:
        return "another allowance, with more in it, and a new client wrapped with that or a `with` block of it,"
    if is_request_account(account):
        return "an approver, a key of its own for each purchase, or a higher Policy(same_request=...)"
    return "a higher limit in the Policy"


def check_allowances(path: Iterable[str], find: Callable[[str], AllowanceRecord | None]) -> None:
    """Raise if an allowance in the path of an order or a hold makes no new payment.

    ``find`` returns an allowance by its account, with its state at this moment. The rule: "a closed or frozen parent
    closes or freezes its children in the same step for all processes". So the path is looked at from the root down.
    """
    for account in path:
        found = find(account)
        if found is None or found.state != "open":
            raise allowance_refusal(account, None if found is None else found.state, found and found.until)


def allowance_refusal(account: str, state: AllowanceState | None, until: float | None = None) -> X402Error:
    """Build the refusal of a payment by an allowance that is not open. None as a state: the ledger does not know it."""
    name, ended = allowance_name(account) or account, moment(until)
    this = called(name)
    if state is None:
        return LedgerUnavailable(
            f"The ledger knows no {this}: it lost it, or the allowance was left behind by the program that made it. "
            "Nothing was paid; buyer.allowance(...) opens it again.",
            wrote_nothing=True,
        )
    if state == "frozen":
        by_hand = "" if this != f"allowance {name!r}" else f"`x402 ledger unfreeze --allowance {shlex.quote(name)}` or "
        return Frozen(
            f"The {this} is frozen, with those inside it. {by_hand}allowance.unfreeze() lifts it. "
            "Nothing new was paid.",
            allowance=name,
        )
    over = f"ended at {ended:%Y-%m-%d %H:%M:%S} UTC" if state == "ended" and ended else "was closed"
    return AllowanceEnded(
        f"The {this} {over}: nothing new is paid under it or those inside it, ever. Open one under another "
        "name, and wrap a new client with it: a client keeps the one it has. What was signed before is presented again "
        "as ever. Nothing was paid.",
        allowance=name,
    )


def check_frozen(patterns: Iterable[str], purchase: Purchase) -> None:
    """Raise Frozen if one of the patterns matches the purchase. It names all that do."""
    if not patterns:  # hot path
        return
    frozen = freezes_of(purchase.origin, patterns)
    if frozen:
        raise refused_by(frozen)


def check_key(known: Hold, purchase: Purchase) -> None:
    """Refuse another request under a known key."""
    if not purchase.is_request_of(known.purchase):
        raise PaymentRefused(
            f"This key was used for another request ({known.purchase.method} {known.url}): another method, address, "
            "query or body. One key names one payment. Nothing was paid. Repeat that one as it was; or give this "
            "request a key of its own."
        )


def another_wallet(known: Hold) -> PaymentRefused:
    """Build the refusal for a key whose unresolved payment another wallet made.

    The rule: "a keyed payment by another wallet is neither presented nor paid again".
    """
    told = known.shown.told
    error = PaymentRefused(
        f"This key names an unresolved payment of {known.price} to {known.host} by another wallet ({known.payer}). "
        "Repeat the request with that wallet, or use another key. Nothing new was paid.",
        hold=told,
        offer=told.offer,
    )
    error.money = told.money
    return error


def already_paid(paid: Hold) -> AlreadyPaid:
    """Build the refusal for a key whose payment was delivered. Its ``money`` is the hold's: it may not have settled."""
    error = AlreadyPaid(
        f"This key was paid before: {paid.price} to {paid.host}. Nothing was sent; use a new key to buy again.",
        hold=paid,
        offer=paid.offer,
        receipt=paid.receipt,
    )
    error.money = paid.money
    return error


def nothing_to_write_off(hold: Hold) -> PaymentRefused:
    """Build the refusal for a hold that is not unresolved."""
    return PaymentRefused(
        f"Hold {hold.id} is not an unresolved payment, so there is nothing to write off; "
        "buyer.holds() lists those that are."
    )


def hold_is_gone() -> LedgerUnavailable:
    """Build the refusal for a hold that was given back meanwhile."""
    return LedgerUnavailable(
        "The hold of this payment is gone from the ledger: its amount was given back, because this program stood still "
        "for a while or its buyer was closed meanwhile. Nothing was sent; repeat the request.",
        wrote_nothing=True,
    )
