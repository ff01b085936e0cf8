"""Says what would allow a payment above the most that one may cost, and whether --max or the policy decides."""

from __future__ import annotations

import shlex

from ..errors import TooExpensive
from ..model.money import Money
from ..policy.cures import CURE, RAISE_OWN
from .buying import Choices, policy_of


def with_cure(error: TooExpensive, choices: Choices) -> str:
    """Return the message with what to do about the price in the options of this command, not in Python's."""
    said = str(error.args[0])
    if isinstance(error.asked, Money):
        found = CURE.search(said)
        entry, ending = (found[1] or "", found[2]) if found else ("", "")
        cure = _cure(error.asked, error.limit, choices, entry, ending)
        for python in (RAISE_OWN, *([found[0]] if found else [])):
            said = said.replace(python, cure)
    return said


def _cure(asked: Money, limit: object, choices: Choices, entry: str, ending: str) -> str:
    enough = f"--max {as_option(asked)} allows this one"
    if choices.policy is None:
        decides = "That is the limit without a policy file" if choices.most is None else "--max decides"
        return f"{decides}; {enough}, within {_budget_of(asked)}."
    own = None if choices.most is None else choices.most.as_limit_on(asked.currency)
    if choices.most is not None and (own is None or own == limit):
        return f"--max decides; {enough}, as far as the policy file {choices.policy} does."
    narrows = "" if choices.most is None else ", for --max only narrows it"
    place = f'[hosts."{entry}"] in the' if entry else "The"
    decides = f"{place} policy file {choices.policy} decides{narrows}"
    return f"{decides}; a higher per_request there allows this one{ending}."


def _budget_of(asked: Money) -> str:
    """Return the budget that --max has with it, where no policy file says another."""
    most = Money(shlex.split(as_option(asked))[0])
    return " and ".join(str(cap) for cap in policy_of(Choices(most=most)).overall.caps("", most.currency))


def as_option(money: Money) -> str:
    """Return an amount as --max takes it. Dollars need no name, and limit test money too."""
    number, _, currency = str(money).partition(" ")
    return number if currency in ("USD", "USD (test)") else shlex.quote(f"{number} {currency}")
