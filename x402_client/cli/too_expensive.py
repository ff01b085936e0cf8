"""Says what would allow a payment above the most that one may cost, and whether --max or the policy decides."""

from __future__ import annotations

import shlex

from ..errors import TooExpensive
from ..model.money import Money
from ..policy.choice import RAISE_OWN, RAISE_POLICY
from .buying import Choices


def with_cure(error: TooExpensive, choices: Choices) -> str:
    """Return the message with what to do about the price in the options of this command, not in Python's."""
    said = str(error.args[0])
    if isinstance(error.asked, Money):
        for python in (RAISE_POLICY, RAISE_OWN):
            said = said.replace(python, _cure(error.asked, error.limit, choices))
    return said


def _cure(asked: Money, limit: object, choices: Choices) -> str:
    enough = f"--max {as_option(asked)}"
    if choices.policy is None and choices.most is None:
        return f"That is the limit without a --policy file; {enough} allows this one."
    if choices.policy is None:
        return f"--max decides; {enough} allows this one."
    own = None if choices.most is None else choices.most.as_limit_on(asked.currency)
    if choices.most is not None and (own is None or own == limit):
        return f"--max decides; {enough} allows this one, as far as the --policy file does."
    narrows = "" if choices.most is None else ", for --max only narrows it"
    return f"The --policy file decides{narrows}; a higher per_request in it allows this one."


def as_option(money: Money) -> str:
    """Return an amount as --max takes it. Dollars need no name, and limit test money too."""
    number, _, currency = str(money).partition(" ")
    return number if currency in ("USD", "USD (test)") else shlex.quote(f"{number} {currency}")
