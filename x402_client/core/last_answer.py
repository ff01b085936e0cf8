"""Keeps in the ledger how a payment ended that brought no content, so that lists say later what its caller heard."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from ..errors import MoneyState, PaymentOutcomeUnknown, X402Error
from ..model.holds import Hold, LastAnswer, Outcome
from ..model.offers import words
from ..wire.leaks import repeats
from .asks import Ask, Note, Reply
from .drive import Flow

E = TypeVar("E", bound=X402Error)
#: Characters of a seller's reason that are kept.
_REASON = 200
#: Characters of the name of a transaction that are kept: Solana's have 88 at most.
_TRANSACTION = 120
#: Characters of the place that an answer leads to.
_PLACE = 200
#: What stands in a path as it is. All else is a seller's way to write sentences of its own.
_PATH = "/%:@!$&'()*+,;=~"


def noted(
    error: E,
    status: int | None = None,
    said: str = "",
    transaction: str = "",
    short: bool = False,
    by_chain: bool = False,
) -> Generator[Ask[Any], Any, E]:
    """Keep what an error says of its payment. Return it, with a hold that says the same of the money."""
    hold = error.hold
    assert hold is not None
    told = with_last(hold, error.money, status, said, transaction, short, by_chain)
    assert told.last is not None
    last = told.last._replace(untold=isinstance(error, PaymentOutcomeUnknown) and error.wait_until is None)
    error.hold = told.but(last=last)
    yield from _note(hold, last)
    return error


def with_last(
    hold: Hold,
    money: MoneyState,
    status: int | None = None,
    said: str = "",
    transaction: str = "",
    short: bool = False,
    by_chain: bool = False,
    leads_to: str = "",
) -> Hold:
    """Return a hold as an error tells it: with what is known of the money, and with its last answer.

    What an earlier answer to this payment named stays known: a transaction, a place, and that it was paid, by a chain's
    word or by the seller's receipt. No later answer takes that back: only the chain itself does, once it expired.
    """
    money = "spent" if by_chain else money_after(hold, money)
    place = leads_to or (hold.last.leads_to if hold.last is not None else "")
    last = LastAnswer(money, status, words(said, _REASON), named(transaction, hold), short, by_chain, place)
    return hold.shown_as(money=money, last=last.after(hold.last))


def shown_by_chain(hold: Hold) -> Hold:
    """Return a hold of which it is kept that a chain showed it paid."""
    return hold.but(money="spent", last=(hold.last or LastAnswer("spent"))._replace(money="spent", by_chain=True))


def is_known_paid(hold: Hold) -> bool:
    """Return True if a chain showed that a payment was paid, or a sound receipt said so, before what comes now."""
    if hold.money == "untouched":  # by the chain's own later word, nothing was taken of a ceiling
        return False
    return hold.money == "spent" or (hold.last is not None and hold.last.money == "spent")


def money_after(hold: Hold, money: MoneyState) -> MoneyState:
    """Return what is known of a payment's money after an answer that says ``money``: "spent" stays "spent"."""
    return "spent" if is_known_paid(hold) else money


def is_by_chain(hold: Hold) -> bool:
    """Return True if a chain showed that a payment was paid."""
    return is_known_paid(hold) and not is_by_receipt(hold)


def is_by_receipt(hold: Hold) -> bool:
    """Return True if the seller's receipt alone says that a payment was paid: no chain was asked, or none answered.

    A ledger calls a payment "spent" that is not delivered where a reader concluded it: the answer before says less.
    """
    last = hold.last
    return last is not None and last.money == "spent" and not last.by_chain


def note_answer(reply: Reply, hold: Hold, refusal: tuple[int | None, str, str] | None = None) -> Flow[None]:
    """Keep what an answer that brought no content says of the payment that it was given to, and where it leads.

    The outcome says the same. ``hold`` has the payment's header, which is neither shown nor kept. ``refusal``: status,
    reason and transaction of what the seller said after that answer. Its last word decides what to do.
    """
    outcome = reply.outcome
    assert outcome is not None
    said = outcome.receipt.error if outcome.receipt is not None else ""
    last = (reply.status, said, _in(outcome)) if refusal is None else refusal
    told = with_last(outcome.hold, outcome.money, *last, leads_to=_place(reply, hold))
    reply.outcome = replace(outcome, hold=told)
    assert told.last is not None
    yield from _note(told, told.last)


def _place(reply: Reply, hold: Hold) -> str:
    """Return where an answer leads. The rule: "Query strings and keys never" are kept, nor a payment in a path."""
    location = reply.header("location") if 300 <= reply.status < 400 else None
    if not location:
        return ""
    try:
        asked, found = urlsplit(hold.url), urlsplit(urljoin(hold.url, location))
    except ValueError:
        return ""
    host = found.netloc.rpartition("@")[2]
    start = "" if (found.scheme, host) == (asked.scheme, asked.netloc) else f"{found.scheme}://{host}"
    place = f"{start}{quote(found.path, safe=_PATH) or '/'}"
    header = hold.authorization.header[1] if hold.authorization is not None else ""
    return "" if repeats(place, header) else words(place + ("?..." if found.query else ""), _PLACE)


def place_led_to(hold: Hold) -> str:
    """Return where an answer led, with its host: a place at the host that was asked is kept without. "": nowhere."""
    place = hold.last.leads_to if hold.last is not None else ""
    if not place.startswith("/"):
        return place
    asked = urlsplit(hold.url)
    return f"{asked.scheme}://{asked.netloc}{place}"


def note_break(outcome: Outcome, failure: BaseException) -> Flow[None]:
    """Keep what is known of a payment whose answer broke off. Nothing is awaited for it."""
    yield from _note_now(outcome, None, f"the answer broke off ({type(failure).__name__})")


def note_tool_error(outcome: Outcome) -> Flow[None]:
    """Keep what is known of a payment whose HTTP answer has no result of the tool. Nothing is awaited for it."""
    yield from _note_now(outcome, 200, "the answer has no result of the tool")


def note_closing(outcome: Outcome) -> Flow[None]:
    """Keep what is known of a payment whose client was closed before its answer was read. Nothing is awaited for it."""
    yield from _note_now(outcome, None, "the client was closed before the answer was read")


def _note_now(outcome: Outcome, status: int | None, said: str) -> Flow[None]:
    told = with_last(outcome.hold, outcome.money, status, said, _in(outcome))
    assert told.last is not None
    yield from _note(told, told.last, now=True)


def _in(outcome: Outcome) -> str:
    return named(outcome.receipt.transaction if outcome.receipt is not None else "", outcome.hold)


def named(transaction: str, hold: Hold) -> str:
    """Return the transaction that an answer names, else the one that an earlier answer to this payment named."""
    return words(transaction, _TRANSACTION) or (hold.last.transaction if hold.last is not None else "")


def note_sign_in(outcome: Outcome, status: int) -> Flow[None]:
    """Keep that a sign-in brought what a payment was for: lists show it of the delivered purchase."""
    said = f"a sign-in as {outcome.signed_in} brought the content"
    told = with_last(outcome.hold, outcome.money, status, said)
    assert told.last is not None
    yield from _note(told, told.last)


def note_chain(hold: Hold) -> Flow[None]:
    """Keep that a chain showed a payment paid, of which the seller's receipt alone said so before."""
    last = shown_by_chain(hold).last
    assert last is not None
    yield from _note(hold, last)


def _note(hold: Hold, last: LastAnswer, now: bool = False) -> Flow[None]:
    with suppress(Exception):  # a list that says less must not take the place of the end that it is about
        yield from Note(hold.shown, last, now)
