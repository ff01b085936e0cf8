"""Filters of ``x402 ledger list``: every one that is named has to fit."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import ConfigurationError
from ..model.allowances import allowance_account
from ..model.holds import Hold
from ..model.hosts import Pattern
from ..model.networks import canonical
from .exits import Code
from .network_names import network_named
from .own_words import in_own_words
from .running import Stop
from .spending import symbol
from .vocabulary import MONEY, STATES, state_of, word_of

_AGO = re.compile(r"(\d{1,6}(?:\.\d+)?)\s*(m|min|h|d|w)", re.ASCII)
_SECONDS = {"m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Filters:
    """The payments that are looked for. What is empty or None fits every one."""

    host: Pattern | None = None
    states: tuple[str, ...] = ()
    money: tuple[str, ...] = ()
    since: float = 0.0
    networks: tuple[str, ...] = ()
    asset: str | None = None
    allowance: str | None = None

    @classmethod
    def of(
        cls,
        host: str | None,
        states: Iterable[str],
        money: Iterable[str],
        since: str | None,
        networks: Iterable[str],
        asset: str | None,
        allowance: str | None = None,
    ) -> Filters:
        """Read the options. One that makes no sense is named."""
        return cls(
            None if host in (None, "*") else host_pattern(str(host)),
            tuple(word_of(word, STATES, "--state") for word in states),
            tuple(word_of(word, MONEY, "--money") for word in money),
            0.0 if since is None else _moment(since),
            tuple(network_named(name) for name in networks),
            asset,
            allowance,
        )

    def fits(self, hold: Hold) -> bool:
        """Return True if a payment is one of those that are looked for."""
        return (
            (self.host is None or self.host.matches(hold.purchase.origin))
            and (not self.states or state_of(hold) in self.states)
            and (not self.money or hold.told.money in self.money)
            and hold.created >= self.since
            and (not self.networks or hold.offer.network in self.networks)
            and (self.asset is None or self._is_asset(hold))
            and (self.allowance is None or allowance_account(self.allowance) in hold.path)
        )

    def _is_asset(self, hold: Hold) -> bool:
        asset, network = self.asset or "", hold.offer.network
        return asset.lower() == symbol(hold).lower() or canonical(network, asset) == canonical(
            network, hold.offer.asset
        )


def host_pattern(host: str) -> Pattern:
    """Return the pattern of --host. One that is none is refused by the option's name."""
    try:
        return Pattern.parse(host)
    except ConfigurationError as problem:
        raise Stop(Code.USAGE, in_own_words(f"--host: {problem}")) from None


def _moment(text: str) -> float:
    """Return the time that --since names, in seconds since 1970."""
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return time.time() - float(ago[1]) * _SECONDS[ago[2]]
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Stop(
            Code.USAGE, f"--since is written like 2h, 7d, 2026-11-26 or 2026-11-26T08:00, not {text!r}."
        ) from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
