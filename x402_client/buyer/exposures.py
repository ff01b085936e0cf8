"""Tells what a wallet's permits and its allowances to Permit2 could still take, as the chain and the ledger tell it.

The rule: "An allowance to a contract or a signed approve is exposure without an end". Each token is looked at that a
payment by Permit2 was ever signed for, as far as the ledger knows, and each that the policy could pay with: another
program may have left an allowance. A permit that was used or is dead is forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from ..chains.permit2_settlement import PERMIT2
from ..chains.rpc import Endpoints, Rpc
from ..chains.token_allowances import permit2_allowances
from ..chains.token_permits import chain_time, permit_nonce
from ..core.asks import Claim, Close, Conclude, Fetch
from ..core.drive import Flow
from ..errors import ChainUnavailable
from ..ledgers.extras import owed_in
from ..model.budgets import PERMITS
from ..model.exposures import Exposure
from ..model.holds import Attempt, Hold, moment, payer_name
from ..model.money import Token
from ..model.networks import EVM_FAMILY, family_of, short_name
from ..model.sandbox_settings import PLAY_NETWORK
from ..policy.policy import Policy
from . import past
from .ledger_calls import acall_ledger, call_ledger
from .payable_tokens import tokens_on, usual_networks
from .services import Services
from .wallet import Wallet

#: The latest purchases that are looked through for payments by Permit2, and the latest permits that were used.
_LATEST = 1_000
#: The most networks and tokens that are looked at without a payment by Permit2, and the seconds that one may take.
_NETWORKS, _TOKENS, _SECONDS = 12, 50, 4.0
#: Seconds after its end at which a permit is not shown any more, though no chain was asked.
_UNSEEN = 3_600


class _Place(NamedTuple):
    """A token of a wallet's account."""

    token: Token
    payer: str

    @property
    def name(self) -> tuple[str, str]:
        """Return what tells it from others of its network."""
        return self.token.address.lower(), self.payer


@dataclass(slots=True, eq=False, repr=False)
class _Known:
    """Payments and permits that the ledger knows of one token of an account."""

    payments: list[Hold] = field(default_factory=list)
    used: list[Hold] = field(default_factory=list)
    open: list[Hold] = field(default_factory=list)

    @property
    def since(self) -> float | None:
        """Return when something was first signed. None: nothing was."""
        return min((hold.created for hold in (*self.payments, *self.used, *self.open)), default=None)


Known = dict[_Place, _Known]


def known_permits(services: Services) -> Known:
    """Return what the ledger knows of this wallet's permits and payments by Permit2, by token and account."""
    ledger = services.ledger
    made = past.open_holds(services), past.history(services, _LATEST), call_ledger(ledger, owed_in, services.purse)
    opened = call_ledger(ledger, lambda port: port.holds(PERMITS))
    used = call_ledger(ledger, lambda port: port.history(_LATEST, PERMITS))
    return _sorted(services, made, used, opened)


async def aknown_permits(services: Services) -> Known:
    """Async twin of ``known_permits``."""
    ledger = services.ledger
    made = (
        await past.aopen_holds(services), await past.ahistory(services, _LATEST),
        await acall_ledger(ledger, owed_in, services.purse),
    )  # fmt: skip
    opened = await acall_ledger(ledger, lambda port: port.holds(PERMITS))
    used = await acall_ledger(ledger, lambda port: port.history(_LATEST, PERMITS))
    return _sorted(services, made, used, opened)


def _sorted(services: Services, made: Iterable[Iterable[Hold]], used: Iterable[Hold], opened: Iterable[Hold]) -> Known:
    mine, found = {payer.lower() for payer in services.wallet.addresses.values()}, Known()
    paid = (hold for group in made for hold in group if hold.authorization and hold.authorization.proof == "bit")
    for name, holds in (("payments", paid), ("used", used), ("open", opened)):
        for hold in holds:
            if hold.offer.token is not None and hold.authorization is not None and hold.payer.lower() in mine:
                known = found.setdefault(_Place(hold.offer.token, hold.payer), _Known())
                getattr(known, name).append(hold)
    return found


class Looked(NamedTuple):
    """The chain's word about one token of an account. None: it was not asked, or did not answer."""

    allowance: int | None = None
    nonce: int | None = None
    time: float | None = None


#: What a network told of its places.
Seen = Mapping[_Place, Looked]


def judge(known: Known, policy: Policy, services: Services, endpoints: Endpoints) -> Flow[tuple[Exposure, ...]]:
    """Return what can still be taken. A permit that was used, or is over by the chain's clock, is concluded."""
    found: list[Exposure] = []
    for places in _by_network(known, _possible(policy, services.wallet, endpoints)):
        seen = yield from Fetch(lambda places=places: _look(places, endpoints))  # type: ignore[misc]
        for place, one in places.items():
            told = seen.get(place, Looked())
            for hold in one.open:
                if not (yield from _over(hold, told)):
                    found.append(_permit(place, hold))
            if told.allowance if one.since is None else told.allowance != 0:
                found.append(_allowance(place, one, told.allowance))
    return tuple(found)


def _possible(policy: Policy, wallet: Wallet, endpoints: Endpoints) -> list[_Place]:
    """Return the tokens that a payment by Permit2 could be of, on a few networks that have an endpoint."""
    payer = wallet.addresses.get(EVM_FAMILY)
    asked = policy.networks or usual_networks(wallet, endpoints.named_networks)
    networks = [one for one in asked if family_of(one) == EVM_FAMILY and endpoints.reach(one)][:_NETWORKS]
    tokens = tokens_on(networks, policy) if payer is not None else []
    return [_Place(token, payer_name(payer or "")) for token in tokens]


def _by_network(known: Known, possible: Iterable[_Place]) -> list[Known]:
    """Return all places, those of each network together. Those that the ledger knows come first."""
    found: dict[str, Known] = {}
    for place, one in known.items():
        found.setdefault(place.token.network, {})[place] = one
    for place in possible:
        there = found.setdefault(place.token.network, {})
        # A ledger may know a token by another symbol than the policy.
        is_there = any(one.name == place.name for one in there)
        if not is_there and len(there) < _TOKENS:
            there[place] = _Known()
    return list(found.values())


def _look(places: Known, endpoints: Endpoints) -> Seen:
    """Ask one network about its places. What it does not tell is left out."""
    found: dict[_Place, Looked] = {}
    network = next(iter(places)).token.network
    if not endpoints.reach(network):
        return found
    rpc, seconds = endpoints.of(network), None if any(one.since for one in places.values()) else _SECONDS
    for payer in dict.fromkeys(place.payer for place in places):
        mine = [place for place in places if place.payer == payer]
        with suppress(ChainUnavailable):
            # In this order: a permit that is used in between is shown once too often, and its allowance is not missed.
            permits = {place: _permits(rpc, place) for place in mine if places[place].open}
            have = permit2_allowances(rpc, [place.token.address for place in mine], payer, seconds)
            found |= {
                place: Looked(have[place.token.address], *permits.get(place, (None, None)))
                for place in mine
                if place.token.address in have
            }
    return found


def _permits(rpc: Rpc, place: _Place) -> tuple[int | None, float | None]:
    """Return the nonce of the next permit, and the chain's time. None: they cannot be read."""
    try:
        return permit_nonce(rpc, place.token.address, place.payer), chain_time(rpc)
    except ChainUnavailable:
        return None, None


def _over(hold: Hold, seen: Looked) -> Flow[bool]:
    """Return True if a permit can be used no more. Its record is concluded then."""
    signed = hold.authorization
    assert signed is not None
    if seen.nonce is not None and seen.nonce > int(signed.nonce):
        attempt = Attempt()
        try:
            claimed = yield from Claim(hold.purchase, attempt)
            if isinstance(claimed, Hold):
                yield from Close(claimed, "spent", None, attempt)
        finally:
            attempt.end()
        return True
    if seen.time is not None and seen.time > signed.expires:
        yield from Conclude(hold, False)
        return True
    # Without the chain's word, it is over some time after its end by our clock.
    return seen.time is None and time.time() > signed.expires + _UNSEEN


def _permit(place: _Place, hold: Hold) -> Exposure:
    signed = hold.authorization
    assert signed is not None
    until, since = moment(signed.expires), moment(hold.created)
    assert since is not None
    return Exposure(
        "permit", place.token, place.payer, PERMIT2, signed.ceiling, since, until,
        f"a permit was signed for a payment to {hold.offer.pay_to}, and was not used yet",
        f"it ends at {until:%Y-%m-%d %H:%M:%S} UTC, or becomes the payment",
    )  # fmt: skip


def _allowance(place: _Place, known: _Known, have: int | None) -> Exposure:
    token, since = place.token, moment(known.since)
    where = short_name(token.network)
    if since is None and token.network == PLAY_NETWORK:
        why = "the sandbox approved it, so that payments by Permit2 can be tried; its money is invented"
        todo = "nothing; a payment by Permit2 uses it, and it ends with the sandbox"
    elif since is None:
        why = (
            "it was approved elsewhere, by you or by another program; any signature of this key for Permit2 can take it"
        )
        todo = f"approve({PERMIT2}, 0) on {token.address} ends it; a payment by Permit2 would use it"
    elif have is None:
        why = f"{where} could not be asked what is left of an allowance that payments by Permit2 use"
        todo = "name an endpoint: Buyer(rpc={...}), or X402_RPC for the command"
    else:
        signed = known.used or known.open
        whence = "it is left of permits for payments" if signed else "it is there for payments by Permit2"
        why = f"{whence}; any signature of this key for Permit2 can take it"
        todo = f"the next payment by Permit2 uses it; approve({PERMIT2}, 0) on {token.address} ends it"
    return Exposure("allowance", token, place.payer, PERMIT2, have, since, None, why, todo)
