"""Says what keeps an unresolved payment from being presented: a freeze, or a policy that does not pay its payee."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from ..errors import Frozen, HostNotAllowed, PaymentRefused
from ..model.hosts import Origin, Pattern
from ..policy.policy import Policy, admit
from .drive import Flow
from .ledger_reads import Freezes

if TYPE_CHECKING:
    from ..model.holds import Hold
    from .call import Call
    from .rules import Rules


class Stops(NamedTuple):
    """Freezes, and a policy, that keep the payments to an origin from being presented. Empty: nothing does."""

    #: The freezes.
    frozen: tuple[str, ...] = ()
    #: Why the policy does not pay there, in a sentence. "": it does, or none was asked.
    denied: str = ""

    @property
    def is_free(self) -> bool:
        """Return True if nothing keeps a payment there from being presented."""
        return not self.frozen and not self.denied


FREE = Stops()


def stops_at(origin: Origin, frozen: tuple[str, ...], policy: Policy | None = None) -> Stops:
    """Return what keeps a payment to an origin from being presented.

    Args:
        origin: The payee.
        frozen: What is frozen in the ledger.
        policy: The policy of the program that would present it. None: freezes alone are looked at.
    """
    matching = freezes_of(origin, frozen)
    try:
        if policy is not None:
            admit(policy, origin)
    except HostNotAllowed as refused:
        return Stops(matching, _found(refused))
    return Stops(matching)


def freezes_now(hold: Hold) -> Flow[Stops]:
    """Return the freezes that keep a payment from being presented again. Nothing, where the ledger cannot be read.

    The call was admitted by its policy, so that only a freeze can stop the next one: it may have come meanwhile.
    """
    try:
        return Stops(freezes_of(hold.purchase.origin, (yield from Freezes())))
    except Exception:  # the error that it is for tells more
        return FREE


def freezes_of(origin: Origin, frozen: Iterable[str]) -> tuple[str, ...]:
    """Return the freezes that stop payments to an origin. The one of all payments comes first."""
    matching = (pattern for pattern in frozen if pattern == "*" or Pattern.parse(pattern).matches(origin))
    return tuple(sorted(matching, key=lambda pattern: pattern != "*"))


def with_all_stops(call: Call, refusal: PaymentRefused, rules: Rules) -> Flow[PaymentRefused]:
    """Return a refusal that names all that stops a call's payment: a freeze before the policy.

    A ledger refuses by the first freeze that it finds, and the policy is asked before any ledger. A person who lifts
    what a refusal names expects that the same request is paid, or presents what it presented.
    """
    if refusal.hold is not None or not isinstance(refusal, (Frozen, HostNotAllowed)):
        return refusal  # with a hold: it came after the ledger had taken the price, such as a pause
    try:
        frozen = freezes_of(call.origin, (yield from Freezes()))
    except Exception:  # the refusal stands, also where the ledger cannot be read
        return refusal
    denied = _denied(call, refusal, rules)
    if not frozen or (len(frozen) == 1 and not denied):
        return refusal
    return refused_by(frozen, f" Besides, {denied}" if denied else "")


def _denied(call: Call, refusal: PaymentRefused, rules: Rules) -> str:
    """Return why the policy does not pay there, or what a call stands in; "" if nothing but a freeze stops it."""
    if isinstance(refusal, HostNotAllowed):
        return _found(refusal)
    try:
        admit(rules.policy, call.origin, call.came_from)
    except HostNotAllowed as refused:
        return _found(refused)
    return ""


def _found(refusal: HostNotAllowed) -> str:
    return str(refusal.args[0]).removesuffix(" Nothing was paid.")


def refused_by(frozen: tuple[str, ...], besides: str = "") -> Frozen:
    """Build the refusal by freezes. ``besides`` is a further sentence on what stops it."""
    refusal = Frozen(f"{frozen_by(frozen)}{besides} Nothing was sent.")
    refusal.stopped_by = frozen
    return refusal


def frozen_by(patterns: tuple[str, ...], are: str = "are frozen") -> str:
    """Return what is frozen, and what lifts that. Several freezes have to be lifted one by one, each by its name."""
    hosts = _in_a_row(pattern for pattern in patterns if pattern != "*")
    stopped = f"Payments to {hosts} {are}"
    if "*" in patterns:
        stopped = f"All payments {are}" + (f", and payments to {hosts} besides" if hosts else "")
    lifts = _in_a_row(f"buyer.unfreeze({pattern!r})" for pattern in patterns)
    if len(patterns) == 1:
        return f"{stopped}; {lifts} lifts it."
    return f"{stopped}. To pay there again, lift {'both' if len(patterns) == 2 else 'all of them'}: {lifts}."


def _in_a_row(names: Iterable[str]) -> str:
    *first, last = [*names] or [""]
    return f"{', '.join(first)} and {last}" if first else last
