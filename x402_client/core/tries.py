"""Results of the presentations of one call, as long as none of them brought the content."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import QuoteError, X402Error
from ..model.holds import Hold
from ..model.offers import Quote
from .asks import Reply


class Lost(NamedTuple):
    """A payment that brought nothing and whose loss the user's policy accepts, with the terms to buy under again."""

    error: X402Error
    terms: Quote | QuoteError


@dataclass(slots=True, eq=False, repr=False)
class Tries:
    """The results of the presentations of one call, as long as none brought the content."""

    hold: Hold
    again: int = 0
    #: The last answer was none, a 402, or another one that is kept with its body.
    failure: Exception | None = None
    #: True if that failure was a time-out.
    late: bool = False
    refusal: Reply | None = None
    #: True if that 402 came last: no presentation after it got another answer, or none.
    refused_last: bool = False
    #: The terms of that 402, as far as it could be read.
    terms: Quote | QuoteError | None = field(default=None, repr=False)
    kept: Reply | None = None
    #: How often the payment may be presented again after what came last.
    most: int = 0
    #: True if a redirect led to another origin than the payee's, so that nothing was presented.
    elsewhere: bool = False

    def fail(self, failure: Exception) -> None:
        """Note that no answer came, after all that came before."""
        self.failure, self.refused_last = failure, False

    @property
    def reason(self) -> str:
        """Return the seller's reason: from its receipt, about this very payment, or else beside its new terms."""
        outcome = self.refusal and self.refusal.outcome
        if outcome and outcome.receipt and outcome.receipt.error:
            return outcome.receipt.error
        return self.terms.error if isinstance(self.terms, Quote) else ""

    @property
    def last(self) -> tuple[int | None, str, str]:
        """Return status, reason and transaction of the answer that came last; if none came, how it failed."""
        answer = self.refusal or self.kept
        if (self.failure is not None and not self.refused_last) or answer is None:
            return None, type(self.failure).__name__ if self.failure is not None else "", self.transaction
        return answer.status, self.reason, self.transaction

    @property
    def transaction(self) -> str:
        """Return the transaction that the receipt of an answer names; "" if none does."""
        outcomes = (answer.outcome for answer in (self.refusal, self.kept) if answer is not None)
        receipts = (outcome.receipt for outcome in outcomes if outcome is not None)
        return next((one.transaction for one in receipts if one is not None and one.transaction), "")
