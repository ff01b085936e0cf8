"""The record of the last answer to a payment that brought no content."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import MoneyState


class LastAnswer(NamedTuple):
    """The last answer to a payment that brought no content, kept to be shown: what it left of the money, and why."""

    #: As the error or the outcome of that call said.
    money: MoneyState
    #: The answer's HTTP status. None: no answer came, or it broke off.
    status: int | None = None
    #: The seller's reason in its own words, or the name of the failure if no answer came, or a few words of ours.
    said: str = ""
    #: The transaction that the seller named in this answer, or in an earlier one. "": it named none.
    transaction: str = ""
    #: True if the payer's account had too little in it, by the chain's word, or by the seller's where the chain was
    #: silent.
    short: bool = False
    #: True if a chain showed that it was paid. False where it is "spent": the seller's receipt alone says so.
    by_chain: bool = False
    #: Where an answer led, without a query: a path, or a URL if that is of another origin. "": none led anywhere.
    leads_to: str = ""
    #: True if it had expired by then, and nothing could tell whether it settled: another call may not learn it either.
    untold: bool = False

    def after(self, before: LastAnswer | None) -> LastAnswer:
        """Return this answer, with what an earlier one showed: that the payment was paid, and that a chain showed it.

        Args:
            before: The earlier answer. None: there was none.
        """
        if before is None or before.money != "spent":
            return self
        return self._replace(money="spent", by_chain=self.by_chain or before.by_chain)
