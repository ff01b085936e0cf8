"""Says what keeps an unresolved payment from being presented: a freeze, or a policy that does not pay its payee."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import HostNotAllowed
from ..model.hosts import Origin, Pattern
from ..policy.policy import Policy, admit


class Stops(NamedTuple):
    """Freezes, and a policy, that keep the payments to an origin from being presented. Empty: nothing does."""

    #: The freezes.
    frozen: tuple[str, ...] = ()
    #: Why the policy does not pay there, in a sentence. "": it does, or none was asked.
    denied: str = ""


FREE = Stops()


def stops_at(origin: Origin, frozen: tuple[str, ...], policy: Policy | None = None) -> Stops:
    """Return what keeps a payment to an origin from being presented.

    Args:
        origin: The payee.
        frozen: What is frozen in the ledger.
        policy: The policy of the program that would present it. None: freezes alone are looked at.
    """
    matching = tuple(pattern for pattern in frozen if pattern == "*" or Pattern.parse(pattern).matches(origin))
    try:
        if policy is not None:
            admit(policy, origin)
    except HostNotAllowed as refused:
        return Stops(matching, str(refused.args[0]).removesuffix(" Nothing was paid."))
    return Stops(matching)
