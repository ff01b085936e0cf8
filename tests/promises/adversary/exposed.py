"""The books of permits: one at a time, and what they and allowances could still take is shown, and is so."""

from __future__ import annotations

from collections.abc import Container, Iterable

from x402_client.model.exposures import Exposure

from .broken import HIDDEN, PERMITTED, Broken
from .chain import WALLETS, Chain
from .events import Setting


class Exposed:
    """What permits of a script promise."""

    def __init__(self, chain: Chain, setting: Setting) -> None:
        self._chain, self._setting = chain, setting
        self._lost = False

    def lost(self) -> None:
        """The ledger is another one from now on, and may not know what was signed."""
        self._lost = True

    def check(self, forgiven: Container[int]) -> None:
        """Hold permits to their order. ``forgiven`` are calls whose program could not know of an earlier one."""
        for call, text in self._chain.permits.conflicts:
            if call not in forgiven:
                raise Broken(PERMITTED, f"call {call}: {text}")
        if not self._setting.permits and self._chain.permits.seen:
            raise Broken(PERMITTED, "a permit was signed, and the policy signs none")

    def look(self, shown: Iterable[Exposure], wallet: int) -> None:
        """Hold what a wallet is told that it is exposed to, to what the chain has."""
        if self._lost or self._setting.approved is None or not self._chain.speaks or self._setting.alone:
            return
        owner, listed = WALLETS[wallet], list(shown)
        have = self._chain.permits.allowance(owner)
        allowed = [one.amount for one in listed if one.kind == "allowance"]
        if allowed != ([have] if have else []):
            raise Broken(HIDDEN, f"{have} units of {owner} are allowed to Permit2, and shown is {listed}")
        amounts = [one.amount for one in listed if one.kind == "permit"]
        for permit in self._chain.permits.open(owner):
            if permit.amount not in amounts:
                raise Broken(HIDDEN, f"{permit} could be used, and shown is {listed}")
