"""Says what would allow a payment above the most that one may cost, and whether --max or the policy decides."""

from __future__ import annotations

import re
import shlex

from ..errors import TooExpensive
from ..model.money import Money
from ..policy.no_choice import RAISE_HOST, RAISE_OWN, RAISE_POLICY
from .buying import Choices

_BY_HOST = re.compile(re.escape(RAISE_HOST).replace(re.escape("{!r}"), "'([^']*)'"))


def with_cure(error: TooExpensive, choices: Choices) -> str:
    """Return the message with what to do about the price in the options of this command, not in Python's."""
    said = str(error.args[0])
    if isinstance(error.asked, Money):
        by_host = _BY_HOST.search(said)
        cure = _cure(error.asked, error.limit, choices, by_host[1] if by_host else "")
        for python in (RAISE_POLICY, RAISE_OWN, *([by_host[0]] if by_host else [])):
            said = said.replace(python, cure)
    return said


def _cure(asked: Money, limit: object, choices: Choices, entry: str) -> str:
    enough = f"--max {as_option(asked)}"
    if choices.policy is None and choices.most is None:
        return f"That is the limit without a policy file; {enough} allows this one."
    if choices.policy is None:
        return f"--max decides; {enough} allows this one."
    own = None if choices.most is None else choices.most.as_limit_on(asked.currency)
    if choices.most is not None and (own is None or own == limit):
        return f"--max decides; {enough} allows this one, as far as the policy file {choices.policy} does."
    narrows = "" if choices.most is None else ", for --max only narrows it"
    place = f'[hosts."{entry}"] in the' if entry else "The"
    return f"{place} policy file {choices.policy} decides{narrows}; a higher per_request there allows this one."


def as_option(money: Money) -> str:
    """Return an amount as --max takes it. Dollars need no name, and limit test money too."""
    number, _, currency = str(money).partition(" ")
    return number if currency in ("USD", "USD (test)") else shlex.quote(f"{number} {currency}")
