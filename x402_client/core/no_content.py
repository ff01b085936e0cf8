"""Builds the errors of calls whose payment brought no content. What they advise is in one table, ``next_step``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ..errors import MoneyState, PaidNotDelivered, PaymentOutcomeUnknown, PaymentRejected
from ..model.counts import counted
from ..model.holds import MARGIN, Hold, moment
from ..model.networks import short_name
from . import interruptions
from .amounts import asked_of, taken
from .last_answer import is_by_chain, is_known_paid, money_after, named, with_last
from .next_step import next_step

if TYPE_CHECKING:
    from .asks import Seen
    from .call import Call
    from .rules import Rules
    from .stops import Stops
    from .tries import Tries


def rejected(call: Call, tries: Tries, seen: Seen, short: bool, stops: Stops) -> PaymentRejected:
    """Return the error for a 402 after a payment. It does not mean that the payment will not settle."""
    from .empty_wallet import what_is_short

    hold, said = tries.hold, tries.reason
    outcome = tries.refusal.outcome if tries.refusal is not None else None
    pending = outcome is not None and outcome.money == "unknown"
    said_of_it: MoneyState = "spent" if seen.settled else "unknown" if pending else "held"
    money = money_after(hold, said_of_it)
    advice = next_step(with_last(hold, money, *tries.last, short, seen.settled), stops=stops)
    quoted = f' It says: "{said}".' if said else ""
    text = f"{call.origin} asked for payment again after {asked_of(hold)} was presented.{quoted} "
    if advice.case == "short":
        text += f"{what_is_short(hold, seen.balance)} {still_counted(call, hold)} {advice.todo}"
    elif money == "spent":
        text += f"{taken(hold)}{advice}"
    else:
        text += f"{still_counted(call, hold)} {_taken_first(hold)}{advice}"
    text += interruptions.remark(hold)
    error = PaymentRejected(text, hold=hold.shown, offer=hold.offer, response=tries.refusal and tries.refusal.native)
    error.money, error.stopped_by = money, stops.frozen
    return error


def outcome_unknown(call: Call, tries: Tries, rules: Rules, seen: Seen, stops: Stops) -> PaymentOutcomeUnknown:
    """Return the error for a payment to which no answer came."""
    hold, patience = tries.hold, ""
    if tries.late and rules.settle_timeout is not None:
        patience = f" An answer may take {counted(rules.settle_timeout, 'second')}: Buyer(settle_timeout=...)."
    order = "After that" if tries.refused_last else "Before that"
    then = f" {order} the seller answered 402 and asked for payment again." if tries.refusal is not None else ""
    money = money_after(hold, "spent" if seen.settled else "unknown")
    known = f"Nobody knows yet whether it was settled; it can be until {_until(call, hold)}. {_taken_first(hold)}"
    if money == "spent":
        known = taken(hold)
    advice = next_step(with_last(hold, money, *tries.last, by_chain=seen.settled), stops=stops)
    error = PaymentOutcomeUnknown(
        f"{asked_of(hold)} was presented to {call.origin} and no answer came ({type(tries.failure).__name__})."
        f"{then}{patience} {known}{advice}{interruptions.remark(hold)}",
        hold=hold.shown,
        offer=hold.offer,
        response=tries.refusal and tries.refusal.native,
        wait_until=expiry(hold),
    )
    error.money, error.stopped_by = money, stops.frozen
    return error


def led_away(call: Call, hold: Hold, stops: Stops) -> PaymentOutcomeUnknown:
    """Return the error for a call that was led away from the payee of its unresolved payment."""
    is_paid = is_known_paid(hold)
    advice = next_step(with_last(hold, "unknown", by_chain=is_by_chain(hold)), stops=stops)
    known = taken(hold) if is_paid else f"The payment can settle until {_until(call, hold)}. "
    error = PaymentOutcomeUnknown(
        f"{asked_of(hold)} was presented to {hold.purchase.origin} before, and this call was led to {call.origin}. A "
        f"payment is shown to the origin that asked for it alone, and no second one is signed: nothing was sent. "
        f"{known}{advice}",
        hold=hold.shown,
        offer=hold.offer,
        wait_until=expiry(hold),
    )
    error.stopped_by = stops.frozen
    if is_paid:
        error.money = "spent"
    return error


def paid_before(call: Call, hold: Hold, settled: bool, stops: Stops) -> PaymentRejected:
    """Return the error for a 402 of a later hop, in a call that paid before it was redirected."""
    money = money_after(hold, "spent" if settled else "held")
    stays = "" if money == "spent" else f"{still_counted(call, hold)} "
    advice = next_step(with_last(hold, money, 402, by_chain=settled), stops=stops)
    error = PaymentRejected(
        f"This call paid {asked_of(hold)} to {hold.host} before it was redirected, and {call.origin} asks for payment "
        f"again; one call pays at most once. Nothing more was signed. {stays}{advice}",
        hold=hold.shown,
        offer=hold.offer,
    )
    error.money, error.stopped_by = money, stops.frozen
    return error


def never_known(call: Call, tries: Tries, stops: Stops, accepts_loss: bool) -> PaymentOutcomeUnknown:
    """Return the error for a payment that expired, and of which no reader can tell whether it settled.

    ``accepts_loss``: the policy gives such a payment up by itself.
    """
    hold, answer = tries.hold, tries.refusal or tries.kept
    assert hold.authorization is not None
    just = call.expired_recently
    advice = next_step(with_last(hold, "unknown", *tries.last), expired=True, just_expired=just, stops=stops)
    stays = "" if just else "It stays counted. "
    by_itself = _given_up(call, tries) if accepts_loss else "Policy(accept_loss=...) gives small amounts up by itself."
    error = PaymentOutcomeUnknown(
        f"{asked_of(hold)} was presented to {hold.purchase.origin} before it expired at {_until(call, hold)}, and "
        f"brought {_brought(call, tries)} now. We could not find out on {short_name(hold.offer.network)} if it "
        f"settled. {stays}{advice} {by_itself}{interruptions.remark(hold)}",
        hold=hold.shown,
        offer=hold.offer,
        response=answer and answer.native,
        wait_until=moment(hold.authorization.expires + MARGIN) if just else None,
    )
    error.money, error.stopped_by = money_after(hold, "unknown"), stops.frozen
    return error


def undelivered(call: Call, tries: Tries, stops: Stops, accepts_loss: bool) -> PaidNotDelivered:
    """Return the error for a payment that settled and expired, and brought nothing when it was presented again.

    ``accepts_loss``: the policy gives such a payment up by itself.
    """
    hold, answer = tries.hold, tries.refusal or tries.kept
    transaction = named(tries.transaction, hold)
    too = f" The seller named the transaction {transaction}." if transaction else ""
    advice = next_step(with_last(hold, "spent", *tries.last, by_chain=True), expired=True, stops=stops)
    by_itself = f" {_given_up(call, tries)}" if accepts_loss else ""
    paid = asked_of(hold) if hold.charge is None else f"at most {hold.charge}"
    found, now = f"{paid} was paid to {hold.purchase.origin}", f"the same request brought {_brought(call, tries)}"
    shows = f"shows that {found}, and {now}"
    if call.is_silent:
        shows = f"showed before that {found}, and could not tell now; {now}"
    error = PaidNotDelivered(
        f"{short_name(hold.offer.network)} {shows}.{too} {advice.todo}{by_itself}{interruptions.remark(hold)}",
        hold=hold.shown,
        offer=hold.offer,
        response=answer and answer.native,
    )
    error.stopped_by = stops.frozen
    return error


def _given_up(call: Call, tries: Tries) -> str:
    """Return when a call gives a payment up by itself, as accept_loss allows: this one did not, or says so besides."""
    signed = tries.hold.authorization
    if call.expired_recently and signed is not None:
        at = f"{moment(signed.expires + MARGIN):%Y-%m-%d %H:%M:%S} UTC"
        return f"If it cannot be told then either, the same request gives it up after {at}, as accept_loss allows."
    return "The same request gives it up by itself, as accept_loss allows, once the seller asks for payment again."


def _taken_first(hold: Hold) -> str:
    return "This seller takes the money before it delivers, so it may well be spent. " if hold.offer.upfront else ""


def _brought(call: Call, tries: Tries) -> str:
    if tries.elsewhere:
        return f"a redirect to {call.origin}, where the payment is not shown,"
    answer = tries.refusal or tries.kept
    return f"an answer of {answer.status}" if answer is not None else f"no answer ({type(tries.failure).__name__})"


def still_counted(call: Call, hold: Hold) -> str:
    """Return until when a payment can settle, for a message."""
    return f"The payment can settle until {_until(call, hold)}, so the amount stays counted."


def _until(call: Call, hold: Hold) -> str:
    at = expiry(hold)
    behind = ", by the chain's clock, which is behind this machine's" if call.is_live else ""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC{behind}" if at else "it expires"


def still_running(hold: Hold) -> PaymentOutcomeUnknown:
    """Build the error of a call that sent nothing, because another one may be paying for the same at this moment."""
    known = hold.shown_as(in_flight=True)
    return PaymentOutcomeUnknown(
        f"Another attempt at the same purchase may still be running. Its payment {hold.id}, of {hold.price} to "
        f"{hold.host}, is in flight. Nothing was sent by this one. Make the same request again once that one has "
        "ended.",
        hold=known,
        offer=known.offer,
        wait_until=expiry(known),
    )


def expiry(hold: Hold) -> datetime | None:
    """Return the time until which a hold's payment can settle."""
    return moment(hold.authorization.expires) if hold.authorization else None
