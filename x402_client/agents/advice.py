"""Says what a model does next after a failure, by the error's class and what became of the money.

The rule of the whole package is "make the same request again". It holds while a payment of the call is out: the same
call then presents the same payment, and never signs a second one. What is known of that payment decides, by the table
of steps that the ledger's lists read, too: ``next_for`` is the one place. Where nothing left, the class decides.
"""

from __future__ import annotations

import time
from math import ceil
from typing import Literal

from .. import errors
from ..buyer.settlement_reader import expired_recently, has_expired
from ..core.last_answer import with_last
from ..core.next_step import Step, case_of, step_of
from ..core.stops import FREE, Stops
from ..errors import X402Error
from ..model.holds import Hold, Outcome

#: ``"repeat"``: make the very same call again. ``"stop"``: the same call will not do. Else only a person can help.
Next = Literal["repeat", "stop", "ask a person"]
#: Presentations of one payment, after which a seller that brought nothing needs a person, not a loop. A call makes two
#: or three of them.
MOST_PRESENTED = 10

#: The classes whose money is untouched, or may be counted in a ledger that did not answer: the most exact one decides.
_UNTOUCHED: dict[type[X402Error], Next] = {
    errors.QuoteError: "stop",
    errors.PaymentRefused: "stop",
    errors.OverLimit: "ask a person",
    errors.TooExpensive: "stop",
    errors.SameRequest: "stop",
    errors.AllowanceEnded: "ask a person",
    errors.Frozen: "ask a person",
    errors.PaymentNotSent: "repeat",
    errors.SigningError: "ask a person",
    errors.LedgerUnavailable: "ask a person",
    errors.InsufficientFunds: "ask a person",
    errors.BodyNotReplayable: "stop",
    errors.DiscoveryUnavailable: "repeat",
    errors.ConfigurationError: "ask a person",
    errors.X402Error: "ask a person",
}


#: The errors about a payment that left: the table of steps says what to do about it.
_AFTER_A_PAYMENT = (errors.PaymentOutcomeUnknown, errors.PaymentRejected, errors.PaidNotDelivered)
#: What a model does, by that table. Once a payment expired, the same call asks the chain how it ended: so waiting and
#: asking are repeating, until a call asked in vain.
_BY_STEP: dict[Step, Next] = {
    "nothing": "stop",
    "wait": "repeat",
    "repeat": "repeat",
    "fund": "ask a person",
    "look there": "ask a person",
    "ask the seller": "ask a person",
    "ask the chain": "repeat",
    "unfreeze": "ask a person",
    "allow": "ask a person",
}


def next_after(error: X402Error) -> Next:
    """Return what to do after one of our errors."""
    if isinstance(error, errors.AlreadyPaid):
        return "stop"
    if isinstance(error, errors.PaymentOutcomeUnknown) and error.hold is not None and error.hold.in_flight:
        return "repeat"  # another call is at it: this one sent nothing
    if error.stopped_by or (error.money != "untouched" and error.hold is not None and is_worn_out(error.hold)):
        return "ask a person"
    if isinstance(error, _AFTER_A_PAYMENT):
        is_over = isinstance(error, errors.PaidNotDelivered)
        if error.hold is not None and error.hold.last is not None:
            return next_for(error.hold, expired=is_over)
        if isinstance(error, errors.PaymentOutcomeUnknown) and error.wait_until is None:
            return "ask a person"  # it expired and no endpoint can tell: a repeat would say the same
        return "ask a person" if is_over else "repeat"
    if isinstance(error, errors.HostNotAllowed) and error.resets_at is not None:
        return "repeat"  # the pause of a seller that failed repeatedly passes by itself
    if isinstance(error, errors.PaymentRefused) and error.money != "untouched":
        return "ask a person"  # a repeat is refused likewise, and the payment of an earlier call waits for a person
    if error.money == "untouched" or isinstance(error, errors.LedgerUnavailable):
        return next(_UNTOUCHED[kind] for kind in type(error).__mro__ if kind in _UNTOUCHED)
    return "ask a person" if error.money == "spent" else "repeat"


def next_after_status(status: int, outcome: Outcome | None) -> Next:
    """Return what to do after an answer that is not what was asked for.

    The purchase of a paid call is unresolved then: the same call presents the same payment.
    """
    if outcome is None:
        return "repeat" if status in (408, 425, 429) or status >= 500 else "stop"
    hold = outcome.hold if outcome.hold.last is not None else with_last(outcome.hold, outcome.money, status)
    return next_for(hold)


def next_after_break(outcome: Outcome) -> Next:
    """Return what to do after a paid answer that broke off or led nowhere."""
    return next_for(outcome.hold)


def next_for(hold: Hold, stops: Stops = FREE, expired: bool = False, given_up: bool = False) -> Next:
    """Return what to do about a payment that brought nothing: each place that tells of one says what this says.

    Args:
        hold: The payment, with the money that is told of it.
        stops: What keeps it from being presented. Default: nothing.
        expired: True if it is known to have expired. Default: this machine's clock decides.
        given_up: True if the next call gives it up should it bring nothing, and buys anew.
    """
    if given_up and stops.is_free:
        return "repeat"
    if is_worn_out(hold) or (hold.last is not None and hold.last.untold and hold.money != "spent"):
        return "ask a person"
    expired = expired or has_expired(hold)
    step = step_of(hold, expired, expired and expired_recently(hold), stops)
    # A call of the model's is refused under a stop. What asks the chain in spite of one is a command of a person's.
    return _BY_STEP[step] if stops.is_free or step == "nothing" else "ask a person"


def seconds_to_wait(hold: Hold) -> int:
    """Return for how many seconds another presentation of a payment will hardly help, as it was refused so often."""
    signed = hold.authorization
    if signed is None or has_expired(hold) or case_of(hold) != "refused":
        return 0
    return max(1, ceil(signed.expires - time.time()) + 1)  # at the expiry itself it is still live


def is_worn_out(hold: Hold) -> bool:
    """Return True if a payment was presented as often as a model should have it presented."""
    return hold.tries + 1 >= MOST_PRESENTED
