"""The sums of the ledger in memory: its accounts, and what an order counts in."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ..model.budgets import Cap, is_request_account
from ..model.holds import Order
from . import refusals
from .accounts import OVERALL, counting_accounts, hosts_in, hosts_of
from .allowances import AllowanceBook
from .memory_rows import Counted, OpenRows
from .windows import Account

#: Number of accounts at which idle ones are pruned for the first time, and of entries at which the cache is cleared.
_PRUNED, _CACHED = 256, 1_024


class SumsInMemory:
    """Accounts of one process. Call it under the ledger's lock."""

    def __init__(self) -> None:
        # Wall-clock time that only the monotonic clock advances: setting the clock opens no budget.
        self._epoch = time.time() - time.monotonic()
        self._open = OpenRows()
        self._accounts: dict[tuple[str, str, str | None], Account] = {}
        #: Number of accounts at which idle ones are pruned next.
        self._prune_at = _PRUNED
        #: The hosts that were paid, by purse.
        self._hosts: dict[str, set[str]] = {}
        #: Cache of the sums in which an order counts, by its purse, currency, host, port, budgets and allowances. It is
        #: cleared when a pattern gets an account.
        self._counted_in: dict[tuple[str, str, str, int, tuple[Cap, ...], tuple[str, ...]], Counted] = {}
        #: Accounts of patterns that the current reservation opened.
        self._opened: list[tuple[str, str, str | None]] = []
        self._allowances = AllowanceBook()

    def _now(self) -> float:
        return self._epoch + time.monotonic()

    def _check_allowances(self, purse: str, path: tuple[str, ...]) -> None:
        if path:
            now = self._now()
            refusals.check_allowances(path, lambda account: self._allowances.find(purse, account, now))

    def _spent_in(self, purse: str, account: str) -> list[tuple[str, int]]:
        """Return what counts in an account in all, by currency."""
        now, currencies = self._now(), self._allowances.currencies[purse, account]
        known = [(each, self._accounts.get((purse, account, each))) for each in currencies if each is not None]
        return [(each, counted.roll("total", now)) for each, counted in known if counted is not None]

    def _used(self, order: Order, now: float) -> tuple[int, ...]:
        purse, currency = order.purchase.purse, order.price.currency
        return tuple(self._accounts[purse, account, currency].roll("total", now) for account in order.path)

    def _counting(self, order: Order) -> Counted:
        """Return the sums that the order counts in. Hot path: found at once, however many purses there are."""
        purse, currency, origin = order.purchase.purse, order.price.currency, order.purchase.origin
        place = (purse, currency, origin.host, origin.port, order.caps, order.path)
        known = self._counted_in.get(place)
        if known is None:
            self._open.amid = True
            self._prune()
            names = counting_accounts(order, lambda name: (purse, name, None) in self._accounts)
            known = Counted(
                [(self._account(purse, name, currency, order), self._account(purse, name, None, order))
                 for name in names],
                [(cap, self._account(purse, cap.account, cap.currency, order)) for cap in order.caps],
            )  # fmt: skip
            self._hosts.setdefault(purse, set()).add(origin.host)
            self._counted_in[place] = known
            self._open.amid = None
        return known

    def _account(self, purse: str, name: str, currency: str | None, order: Order) -> Account:
        """Return an account. "An account seen for the first time starts from the sums of the hosts it matches".

        It is entered last: a signal handler that raises leaves no order that does not count in it.
        """
        found = self._accounts.get((purse, name, currency))
        if found is None:
            found = self._seeded(purse, name, currency, order)
            if name in order.path:
                self._allowances.currencies[purse, name].add(currency)
            elif name not in (OVERALL, order.purchase.origin.host):
                if hosts_in(name) is not None:
                    self._counted_in.clear()
                self._opened.append((purse, name, currency))
            self._accounts[purse, name, currency] = found
        return found

    def _forget_opened(self) -> None:
        """Close the accounts that a refused order opened. They would still count what their hosts give back later."""
        if self._opened:
            self._open.amid = True
            self._counted_in.clear()
            for place in self._opened:
                self._accounts.pop(place, None)
            self._opened.clear()
            self._open.amid = None

    def _seeded(self, purse: str, name: str, currency: str | None, order: Order) -> Account:
        return Account.sum_of([] if name in order.path else self._of_hosts(purse, name, currency))

    def _of_hosts(self, purse: str, name: str, currency: str | None) -> list[Account]:
        """Return the accounts of the hosts that a pattern matches."""
        known = [self._accounts.get((purse, host, currency)) for host in hosts_of(name, self._hosts.get(purse, ()))]
        return [account for account in known if account is not None]

    def _prune(self) -> None:
        """Prune idle accounts each time that the number of accounts has doubled. Clear a full cache."""
        if len(self._counted_in) >= _CACHED:
            self._counted_in.clear()
        if len(self._accounts) >= self._prune_at:
            now = self._now()
            self._counted_in.clear()
            for key, account in list(self._accounts.items()):
                account.prune(now)
                if is_request_account(key[1]) and account.is_idle:
                    del self._accounts[key]
            self._prune_at = max(_PRUNED, 2 * len(self._accounts))

    def _over(self, order: Order, caps: Iterable[tuple[Cap, Account]], now: float) -> list[refusals.Exceeded]:
        """Return the budgets that the order exceeds."""
        units, found = order.price.units, list[refusals.Exceeded]()
        for cap, account in caps:
            over = account.roll(cap.window, now) + (1 if cap.currency is None else units) - cap.most
            if over > 0:
                window = account.window(cap.window)
                found.append(refusals.Exceeded(cap, window.total, window.fits_at(over)))
        return found

    def _over_seeded(self, order: Order, now: float) -> list[refusals.Exceeded]:
        """Return the budgets that the order exceeds. No account is opened."""
        names = [(order.purchase.purse, cap.account, cap.currency) for cap in order.caps]
        counted = [self._accounts.get(name) or self._seeded(*name, order) for name in names]
        return self._over(order, zip(order.caps, counted, strict=True), now)
