"""Questions about budgets: what counts as spent, and what is left under the policy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import ConfigurationError
from ..model.budgets import WINDOWS, Cap
from ..model.holds import Spending
from ..model.hosts import Origin, Pattern
from ..model.money import Money, currency_code
from ..policy.oversights import currencies
from ..policy.policy import Policy


def question(host: str | None, window: str, currency: str, purse: str) -> Spending:
    """Return a question for the ledger, checked. A window in the host's place would be a host with nothing spent."""
    if host in WINDOWS:
        raise ConfigurationError(f'{host!r} is a window, and stands where the host does; write window="{host}".')
    if window not in WINDOWS:
        raise ConfigurationError(f"window is one of {', '.join(WINDOWS)}, not {window!r}.")
    account = "" if host is None else str(Pattern.parse(host))
    return Spending(account, window, currency_code(currency), purse)


def counted(asked: Spending, ledger: Any) -> Any:
    """Ask a ledger."""
    return ledger.spent(asked)


def in_total(asked: Spending) -> Spending | None:
    """Return the question for all that was ever spent, if a zero may come of a currency that does not exist.

    ``asked`` found nothing spent. None: dollars, and those of test networks, need no look.
    """
    return None if asked.currency.startswith("USD") else Spending("", "total", asked.currency, asked.purse)


def check_currency(currency: str, policy: Policy) -> None:
    """Refuse a currency in which nothing was ever spent, if no token that is known and no limit has it."""
    known = currencies(policy)
    plain = currency.partition(" ")[0]
    if not {currency, plain, f"{plain} (test)"} & known:
        there = ", ".join(sorted(one for one in known if " " not in one))
        raise ConfigurationError(
            f"No token that is known counts in {currency}, no limit names it, and nothing was ever spent in it. There "
            f"is {there}; a token counts in the currency that it is worth, so USDC in USD."
        )


class Remaining:
    """A question for the money that is left, by the overall budgets and by those of a host."""

    def __init__(self, policy: Policy, host: str | None, window: str, currency: str, purse: str) -> None:
        self._currency = question(host, window, currency, purse).currency
        origin = None if host is None else _origin(host)
        caps = policy.overall.caps("", self._currency) if origin is None else policy.caps(origin, self._currency)
        self._caps: list[Cap] = [cap for cap in caps if cap.window == window and cap.currency == self._currency]
        rule = None if origin is None else policy.rule(origin)
        self._denied = rule is not None and rule[1] == "deny"
        #: A question for each budget.
        self.questions: list[Spending] = [Spending(cap.account, window, self._currency, purse) for cap in self._caps]

    def least(self, spent: Iterable[int]) -> Money | None:
        """Return what is left by the answers to the questions. None if nothing limits it."""
        if self._denied:
            return Money.of_units(0, self._currency)
        left = [max(0, cap.most - units) for cap, units in zip(self._caps, spent, strict=True)]
        return Money.of_units(min(left), self._currency) if left else None


def _origin(host: str) -> Origin:
    """Return the origin that a host's name means. Without a port it is the usual one.

    A wildcard is covered by itself and by wider ones, as every name below it is.
    """
    pattern = Pattern.parse(host)
    return Origin("https", pattern.host, pattern.port or 443)
