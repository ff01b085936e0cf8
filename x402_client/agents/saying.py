"""Says to a model what one of our errors found, and what a model can do about it.

An error's own message is for who writes Python: it names arguments and methods. A model has neither, and code in what
it reads invites it to run some. So the clauses with code are left out, and what a model can do stands in their place.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from math import ceil

from .. import errors
from ..buyer.environment import NO_WALLET
from ..core.next_step import AFTER_THAT_TIME, MODEL, PYTHON, lifts
from ..core.stops import Stops
from ..errors import X402Error
from ..model.counts import counted
from ..model.money import Money
from ..model.offers import words
from .advice import Next, is_worn_out

#: The most characters of what a model is told.
MOST_SAID = 1_000
_CLAUSE = re.compile(r"(?<=[.;!?])\s+")
_REPEAT = "Make the same request again"
#: What a person can do above approve_above, where a program has no way to ask one.
PAY_YOURSELF = "Your user can pay with `x402 get`, or change approve_above in the policy."
#: A call, an argument, a member of something of ours, a command.
_CODE = re.compile(
    r"\w[(=]|`|\b(?:Policy|Buyer|per_request|max_payments|must_exist)\b|\berror\.\w"
    r"|\b(?:new client|under another|new key|another key|key of its own)\b"
)

#: What a model can do where nothing was paid: mostly to leave it to the user. The most exact class of an error decides.
_UNPAID: dict[type[X402Error], str] = {
    errors.PaymentRefused: "The same call will not do.",
    errors.OverLimit: "Only the user can raise this limit.",
    errors.SameRequest: "Use what it brought before.",
    errors.AllowanceEnded: "Only the user can open another allowance.",
    errors.NoAcceptableOffer: "Only the user can allow more.",
    errors.HostNotAllowed: "Only the user can allow this host.",
    errors.ApprovalDenied: "Do not ask for the same again.",
    errors.Frozen: "Only the user can lift this.",
    errors.AlreadyPaid: "It was bought before: use what it brought then.",
    errors.SigningError: "Tell the user: this has to be mended by a person.",
    errors.LedgerUnavailable: "Tell the user: this has to be mended by a person.",
    errors.InsufficientFunds: "Tell the user: the wallet needs money.",
    errors.ConfigurationError: "Tell the user: this has to be mended by a person.",
}


#: What a model does where nothing left the machine, and another time may help.
_IN_A_MINUTE = "Make the same call again in a minute. If that fails likewise, tell the user."
#: What a person does who has no wallet. A model passes it on, so it has a command, and no mark that it is one.
WITHOUT_WALLET = (
    f"{NO_WALLET} Nothing was paid. Tell the user: x402 wallet new, typed in a terminal, makes a wallet. Start this "
    "program again after that."
)


def said_to_a_model(error: X402Error, advice: Next) -> str:
    """Return what an error found, what was allowed, and what a model can do."""
    if isinstance(error, errors.PaymentNotSent) and str(error).startswith(NO_WALLET):
        return WITHOUT_WALLET
    found = _with_a_time(_found(error, advice), error)
    says_when = advice != "repeat" or isinstance(error, errors.PaymentNotSent)
    found = _without_a_repeat(found) if says_when else found.replace(_REPEAT, "Make the same call again")
    to_do = _to_do(error, advice, found)
    # What to do comes last, and has to be there: it names the payment. A seller's words can be long.
    return " ".join(part for part in (words(found, MOST_SAID - len(to_do) - 1), to_do) if part)


def _with_a_time(said: str, error: X402Error) -> str:
    """Return a message that says how long to wait, where it names a time of the clock: a model may have none."""
    signed = None if error.hold is None else error.hold.authorization
    if signed is None:
        return said
    seconds = max(1, ceil(signed.expires - datetime.now(UTC).timestamp()) + 1)  # at the expiry itself it is still live
    return said.replace(AFTER_THAT_TIME, f"{_REPEAT} in {counted(seconds, 'second')}, not before")


def _time_to(moment: datetime) -> str:
    return counted(max(1, ceil((moment - datetime.now(UTC)).total_seconds())), "second")


def _found(error: X402Error, advice: Next) -> str:
    if isinstance(error, errors.TooExpensive) and isinstance(error.asked, Money) and isinstance(error.limit, Money):
        return f"It costs {error.asked}, and one payment may cost {error.limit}. Nothing was paid."
    said = str(error.args[0]) if error.args else ""
    asks_now = MODEL.ask_now if advice == "repeat" else "Your user can ask it"
    said = said.replace(PYTHON.ask_now, asks_now).replace(PYTHON.ask, MODEL.ask)
    if error.stopped_by:
        said = said.replace(f"{lifts(Stops(error.stopped_by))} that", "your user lifts that")
        said = said.replace(f"Then: {_REPEAT}", "Then: make the same call again")
    return without_code(said)


def _without_a_repeat(said: str) -> str:
    return " ".join(clause for clause in _clauses(said) if not clause.startswith(_REPEAT))


def _to_do(error: X402Error, advice: Next, found: str) -> str:
    hold = error.hold
    if error.money != "untouched" and hold is not None and advice == "ask a person":
        often = f"It was presented {hold.tries + 1} times"
        worn = ("" if often in found else f"{often}. ") + "Do not repeat it. " if is_worn_out(hold) else ""
        return f"{worn}Tell the user: it is the payment {hold.id} in the ledger."
    if isinstance(error, errors.HostNotAllowed) and error.resets_at is not None:
        return f"Make the same call again in {_time_to(error.resets_at)}, not before."
    if isinstance(error, errors.SameRequest) and error.resets_at is not None:
        return f"{_UNPAID[errors.SameRequest]} It can be bought anew in {_time_to(error.resets_at)}."
    if isinstance(error, errors.OverLimit) and error.allowance is not None:
        return _UNPAID[errors.AllowanceEnded]
    if advice == "repeat" and isinstance(error, errors.PaymentNotSent):
        return _IN_A_MINUTE
    if advice == "repeat":
        return _once_the_chain_tells(error)
    if isinstance(error, errors.ApprovalDenied) and advice == "ask a person":
        return PAY_YOURSELF
    return next((_UNPAID[kind] for kind in type(error).__mro__ if kind in _UNPAID), "")


def _once_the_chain_tells(error: X402Error) -> str:
    """Return when to ask again about a payment that expired just now, in seconds; "" for any other error."""
    signed = None if error.hold is None else error.hold.authorization
    now = time.time()
    if signed is None or not isinstance(error, errors.PaymentOutcomeUnknown) or error.wait_until is None:
        return ""
    until = error.wait_until.timestamp()
    return (
        f"Make the same call again in {counted(ceil(until - now), 'second')}." if signed.expires <= now < until else ""
    )


def without_code(message: str) -> str:
    """Return a message without the clauses that have Python or a command in them.

    What a stranger is quoted with goes as a whole: half of a quotation would make the rest ours, or ours theirs.
    """
    kept: list[str] = []
    left_out = ""
    for clause in _clauses(message):
        if _CODE.search(clause):
            left_out = clause
            if kept and kept[-1].endswith(";"):
                kept[-1] = f"{kept[-1][:-1]}."
            continue
        # What follows the beginning of a sentence that was left out begins one itself.
        kept.append(clause[:1].upper() + clause[1:] if left_out.endswith(";") else clause)
        left_out = ""
    return " ".join(kept)


def _clauses(message: str) -> Iterator[str]:
    """Give the clauses of a message. None ends within a quotation, unless that has no end."""
    begun: list[str] = []
    for clause in _CLAUSE.split(message):
        begun.append(clause)
        if sum(one.count('"') for one in begun) % 2 == 0:
            yield " ".join(begun)
            begun = []
    yield from begun
