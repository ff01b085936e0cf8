"""Says in a refusal by a budget that unresolved payments count in it, which may come back before it resets."""

from __future__ import annotations

from ..errors import OverLimit, SameRequest, X402Error
from ..model.allowances import allowance_name
from ..model.counts import counted
from ..model.holds import Hold
from ..model.hosts import Pattern
from ..model.money import Money
from .asks import Holds
from .drive import Flow
from .last_answer import is_known_paid
from .next_step import Case, case_of, has_end

#: How a ledger says that no window of this budget rolls over.
WAIT_IN_VAIN = "Waiting will not help"
_OPEN: frozenset[Case] = frozenset({"open", "short", "refused", "just expired", "expired"})


def tell_open(refusal: X402Error) -> Flow[None]:
    """Let a refusal by a budget say that unresolved payments count in it.

    The rule: "a signed hold stays counted until it is expired and the chain shows it unused". So the time that a ledger
    tells is the latest one.
    """
    if not isinstance(refusal, OverLimit) or isinstance(refusal, SameRequest) or not _would_fit_alone(refusal):
        return
    try:
        holds = yield from Holds()
    except Exception:  # the refusal stands, also where the ledger cannot be read
        return
    number = sum(_may_come_back(hold) and _counts_in(refusal, hold) for hold in holds)
    if not number:
        return
    was = "was" if number == 1 else "were"
    condition = f"if the chain shows that {counted(number, 'unresolved payment')} counted in it {was} not used"
    before, in_vain, after = str(refusal.args[0]).partition(WAIT_IN_VAIN)
    told = f"{before}It fits again only {condition}{after}" if in_vain else f"{before} It fits sooner {condition}."
    refusal.args = (told,)


def _would_fit_alone(refusal: OverLimit) -> bool:
    """Return True if it is what was spent before that refuses it."""
    asked, limit = refusal.asked, refusal.limit
    if isinstance(asked, Money) and isinstance(limit, Money):
        return bool(refusal.spent) and asked <= limit
    return bool(refusal.spent)


def _may_come_back(hold: Hold) -> bool:
    return not is_known_paid(hold) and has_end(hold) and case_of(hold) in _OPEN


def _counts_in(refusal: OverLimit, hold: Hold) -> bool:
    """Return True if a payment counts in the limit that refused, as far as the error names it."""
    if isinstance(refusal.limit, Money) and refusal.limit.currency != hold.price.currency:
        return False
    if refusal.allowance is not None:
        return any(allowance_name(account) == refusal.allowance for account in hold.path)
    return refusal.host is None or Pattern.parse(refusal.host).matches(hold.purchase.origin)
