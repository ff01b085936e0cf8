"""The common part of ledgers that keep allowances: how terms are written, and when one is over."""

from __future__ import annotations

import json

from ..model.allowances import AllowanceMark, AllowanceRecord, AllowanceState, AllowanceTerms


def terms_text(terms: AllowanceTerms) -> str:
    """Write the terms of an allowance as they are kept, without its purse and its account."""
    return json.dumps([terms.amounts, terms.seconds, terms.hosts, terms.per_request, terms.parent])


def terms_of(purse: str, account: str, text: str) -> AllowanceTerms:
    """Read what ``terms_text`` wrote."""
    amounts, seconds, hosts, per_request, parent = json.loads(text)
    named = None if hosts is None else tuple(hosts)
    return AllowanceTerms(purse, account, tuple(amounts), seconds, named, tuple(per_request), parent)


def state_at(kept: AllowanceState, until: float | None, now: float) -> AllowanceState:
    """Return the state of an allowance at a moment of the ledger's own clock. One that was closed stays closed."""
    if kept != "closed" and until is not None and now >= until:
        return "ended"
    return kept


def marked(kept: AllowanceState, mark: AllowanceMark) -> AllowanceState:
    """Return the state that an allowance has after it was marked. Nothing opens what was closed."""
    if kept == "closed" or mark in ("closed", "forgotten"):
        return "closed"
    return "frozen" if mark == "frozen" else "open"


class AllowanceBook:
    """The allowances of a ledger in memory. Its ledger has the lock, and tells the time."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], AllowanceRecord] = {}
        #: The currencies of the sums that each has. None: the number of payments.
        self.currencies: dict[tuple[str, str], set[str | None]] = {}

    def open(self, terms: AllowanceTerms, now: float) -> AllowanceRecord:
        """Return the allowance of this purse and account. It is made if there is none; else its terms stay."""
        until = None if terms.seconds is None else now + terms.seconds
        place = (terms.purse, terms.account)
        self.currencies.setdefault(place, set())
        return _at(self._records.setdefault(place, AllowanceRecord(terms, now, until)), now)

    def find(self, purse: str, account: str, now: float) -> AllowanceRecord | None:
        """Return an allowance, with its state at this moment."""
        kept = self._records.get((purse, account))
        return None if kept is None else _at(kept, now)

    def mark(self, purse: str, account: str, mark: AllowanceMark) -> bool:
        """Set the state of an allowance. Return False if there is none."""
        kept = self._records.get((purse, account))
        if kept is not None:
            self._records[purse, account] = kept._replace(state=marked(kept.state, mark))
        return kept is not None

    def forget(self, purse: str, account: str) -> set[str | None]:
        """Drop an allowance that the user did not name. Return the currencies of its sums."""
        kept = self._records.get((purse, account))
        if kept is None or kept.terms.lasts:
            return set()
        del self._records[purse, account]
        return self.currencies.pop((purse, account))

    def all(self, purse: str, now: float) -> list[AllowanceRecord]:
        """Return every allowance of a purse, the oldest first."""
        return [_at(kept, now) for (of, _), kept in self._records.items() if of == purse]


def _at(kept: AllowanceRecord, now: float) -> AllowanceRecord:
    return kept._replace(state=state_at(kept.state, kept.until, now))
