"""Keeps in the ledger how a payment ended that brought no content, so that lists say later what its caller heard."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any, TypeVar

from ..errors import MoneyState, X402Error
from ..model.holds import Hold, LastAnswer, Outcome
from ..model.offers import words
from .asks import Ask, Note, Reply
from .drive import Flow

E = TypeVar("E", bound=X402Error)
#: Characters of a seller's reason that are kept.
_REASON = 200
#: Characters of the name of a transaction that are kept: Solana's have 88 at most.
_TRANSACTION = 120


def noted(
    error: E, status: int | None = None, said: str = "", transaction: str = "", short: bool = False
) -> Generator[Ask[Any], Any, E]:
    """Keep what an error says of its payment. Return it, with a hold that says the same of the money."""
    hold = error.hold
    assert hold is not None
    error.hold = told = with_last(hold, error.money, status, said, transaction, short)
    assert told.last is not None
    yield from _note(hold, told.last)
    return error


def with_last(
    hold: Hold, money: MoneyState, status: int | None = None, said: str = "", transaction: str = "", short: bool = False
) -> Hold:
    """Return a hold as an error tells it: with what is known of the money, and with its last answer."""
    last = LastAnswer(money, status, words(said, _REASON), named(transaction, hold), short)
    return hold.shown_as(money=money, last=last)


def note_answer(reply: Reply) -> Flow[None]:
    """Keep what an answer of 400 or more says of the payment that it was given to."""
    outcome = reply.outcome
    assert outcome is not None
    said = outcome.receipt.error if outcome.receipt is not None else ""
    yield from _note(outcome.hold, LastAnswer(outcome.money, reply.status, words(said, _REASON), _in(outcome)))


def note_break(outcome: Outcome, failure: Exception) -> Flow[None]:
    """Keep what is known of a payment whose answer broke off. Nothing is awaited for it."""
    yield from _note(outcome.hold, LastAnswer(outcome.money, None, type(failure).__name__, _in(outcome)), now=True)


def note_tool_error(outcome: Outcome) -> Flow[None]:
    """Keep what is known of a payment whose HTTP answer has no result of the tool. Nothing is awaited for it."""
    last = LastAnswer(outcome.money, 200, "the answer has no result of the tool", _in(outcome))
    yield from _note(outcome.hold, last, now=True)


def _in(outcome: Outcome) -> str:
    return named(outcome.receipt.transaction if outcome.receipt is not None else "", outcome.hold)


def named(transaction: str, hold: Hold) -> str:
    """Return the transaction that an answer names, else the one that an earlier answer to this payment named."""
    return words(transaction, _TRANSACTION) or (hold.last.transaction if hold.last is not None else "")


def note_sign_in(outcome: Outcome, status: int) -> Flow[None]:
    """Keep that a sign-in brought what a payment was for: lists show it of the delivered purchase."""
    said = f"a sign-in as {outcome.signed_in} brought the content"
    yield from _note(outcome.hold, LastAnswer(outcome.money, status, said))


def _note(hold: Hold, last: LastAnswer, now: bool = False) -> Flow[None]:
    with suppress(Exception):  # a list that says less must not take the place of the end that it is about
        yield from Note(hold.shown, last, now)
