"""Payments by Permit2: which offers are paid by it, what the owner has approved to it, and what a payment is known by.

Nothing here ever signs an approval without an end. An allowance that is there is used, and one beyond the price is told
once: any later Permit2 signature of the key could take it. Where there is none, and the seller takes one, a permit of
exactly the price goes along with the payment.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Mapping
from typing import Any, NamedTuple

from ..chains.evm import ZERO, is_address
from ..chains.permit2_settlement import FIRST_BLOCK, KNOWN_AT, head_number, is_used
from ..chains.rpc import Reverted, Rpc
from ..chains.rpc_answers import Garbage
from ..chains.token_allowances import permit2_allowance
from ..chains.token_permits import permit_facts
from ..core.asks import Ask, Fetch, Holds
from ..errors import ChainUnavailable, InsufficientFunds
from ..model.exposures import UNLIMITED
from ..model.holds import CEILING, Hold, payer_name
from ..model.money import Token
from ..model.networks import short_name
from ..model.offers import Offer, quoted
from ..model.signing import Signed
from .permit2 import PERMIT2, SPENDERS
from .permits import TRANSACTION_KEY, Wanted, domain_for, pending, sponsored, version_problem

METHOD = "permit2"
#: Fields by which sellers could ask for another contract than the official ones.
_CONTRACTS = {"spender": "", "proxyAddress": "", "permit2Proxy": "", "permit2Address": PERMIT2}


def contract_objection(offer: Offer) -> str | None:
    """Return why the contracts that a seller names are not the official ones, or None."""
    if offer.version != 2:
        return "Permit2 is of version 2 of the protocol, and this is an offer of another"
    official = SPENDERS[offer.scheme]
    for field, known in _CONTRACTS.items():
        named = offer.extra.get(field)
        if named is not None and str(named).lower() != (known or official).lower():
            return (
                f"extra.{field} {quoted(str(named), 60)} is not {known or official}, the only contract that is signed"
            )
    return None


def facilitator_objection(offer: Offer, payer: str) -> str | None:
    """Return why the named facilitator could not settle a ceiling, or must not, or None."""
    named = offer.extra.get("facilitatorAddress")
    if not isinstance(named, str) or not named:
        return "it names no facilitatorAddress, the only account that may settle it"
    if not is_address(named):
        return f"facilitatorAddress {quoted(named, 60)} is not an address, or its checksum is wrong"
    if named.lower() == ZERO:
        return "facilitatorAddress is the zero address: no honest seller could settle it"
    return "facilitatorAddress is the buyer itself" if named.lower() == payer.lower() else None


class Found(NamedTuple):
    """Answer of the chain before a payment: its evidence, a remark, and the permit that it needs."""

    evidence: Mapping[str, Any]
    remark: str = ""
    #: None: the allowance is there, or it could not be read.
    wanted: Wanted | None = None


class Permit2Allowances:
    """Reads what one payer has approved to Permit2, before each payment."""

    def __init__(self, payer: str, permits: bool = True, is_contract: bool = False) -> None:
        self._payer = payer
        self._permits, self._is_contract = permits, is_contract
        #: Tokens whose allowance beyond the price was told.
        self._told: set[Token] = set()

    def look(self, rpc: Rpc | None, offer: Offer) -> Generator[Ask[Any], Any, Found]:
        """Return the evidence for a payment, and the permit that it needs. Raise where it has no allowance and no way.

        Without an endpoint nothing is read: the seller looks, too.
        """
        if rpc is None or not rpc.urls:
            return Found({})
        token = offer.token
        assert token is not None
        block, have = yield from Fetch(lambda: _facts(rpc, token.address, self._payer))
        evidence = {FIRST_BLOCK: block, KNOWN_AT: int(time.time())}
        others = [] if have >= UNLIMITED else _under_way((yield from Holds()), token, self._payer)
        if others and have - _sum(others) < offer.amount:
            have, others = yield from Fetch(lambda: _look_again(rpc, token.address, others, have - offer.amount))
        if have - _sum(others) >= offer.amount:
            return Found(evidence, self._remark(offer, token, have))
        problem = no_permit(offer, self._permits, self._is_contract) if have < offer.amount else ""
        if problem:
            raise self._refusal(offer, token, have, problem)
        if others:
            # A permit sets the allowance, and does not add to it: these payments could not be taken any more.
            raise pending(offer, "Another payment of this wallet by Permit2", max(map(_end, others)))
        try:
            facts = yield from Fetch(lambda: permit_facts(rpc, token.address, self._payer))
        except Reverted:
            raise self._refusal(offer, token, have, "The token takes no permit (EIP-2612).") from None
        domain = domain_for(offer, facts.separator)
        if isinstance(domain, str):
            raise self._refusal(offer, token, have, f"No permit is signed: {domain}.")
        return Found(evidence, "", Wanted(*domain, facts.nonce, facts.time))

    def _refusal(self, offer: Offer, token: Token, have: int, problem: str) -> InsufficientFunds:
        name, network = token.symbol or token.address, short_name(offer.network)
        failure = InsufficientFunds(
            f"This offer is paid by Permit2, and the account {self._payer} has approved {token.whole(have)} {name} to "
            f"it on {network}; {token.whole(offer.amount)} are asked. {problem} Nothing was sent. Approve what you "
            f"mean to spend by a transaction of your own, approve({PERMIT2}, {offer.amount}) on {token.address}, or "
            "leave it to others.",
            offer=offer,
        )
        failure.instead = "another"
        return failure

    def _remark(self, offer: Offer, token: Token, have: int) -> str:
        if have <= offer.amount or token in self._told:
            return ""
        self._told.add(token)
        amount = "An unlimited amount of" if have >= UNLIMITED else token.whole(have)
        return (
            f"{amount} {token.symbol or token.address} of {self._payer} is approved to Permit2 on "
            f"{short_name(offer.network)}, more than this payment takes. Any later Permit2 signature of this key could "
            f"take it, for any program; approve({PERMIT2}, less) on {token.address} lowers it."
        )


def no_permit(offer: Offer, permits: bool, is_contract: bool) -> str:
    """Return why no permit is signed for an offer that has no allowance, or ""."""
    if not sponsored(offer):
        if TRANSACTION_KEY in offer.sponsoring:
            return (
                f"The seller pays the gas of an approval by a signed transaction ({TRANSACTION_KEY}). Such a "
                "transaction never expires, so it is not signed."
            )
        return "No approval is ever signed here, and the seller takes no permit."
    if not permits:
        return "The seller takes a permit (EIP-2612), and Policy(permits=False) signs none."
    if is_contract:
        return "The seller takes a permit (EIP-2612). The wallet is a contract, and most tokens take none of these."
    problem = version_problem(offer)
    return f"No permit is signed: {problem}." if problem else ""


def _under_way(holds: Iterable[Hold], token: Token, payer: str) -> list[Hold]:
    """Return the payments of an account that may yet take their part of an allowance, the oldest first."""
    found = (
        hold
        for hold in holds
        if hold.authorization is not None
        and hold.authorization.proof == "bit"
        and hold.money != "spent"
        and (hold.offer.token, hold.payer) == (token, payer_name(payer))
    )
    return sorted((hold for hold in found if _end(hold) >= time.time()), key=lambda hold: hold.created)


def _end(hold: Hold) -> int:
    return 0 if hold.authorization is None else hold.authorization.expires


def _sum(holds: Iterable[Hold]) -> int:
    return sum(hold.offer.amount for hold in holds)


def _look_again(rpc: Rpc, token: str, others: list[Hold], room: int) -> tuple[int, list[Hold]]:
    """Return the allowance, and the payments that the chain does not show as taken.

    The rule: "A used nonce with its transfer is final at once and frees the rest". Once more are open than there is
    ``room`` for, the others are not looked at. The allowance is read last, so what was taken is taken off it.
    """
    left: list[Hold] = []
    rest = deque(others)
    while rest and (not left or _sum(left) <= room):
        hold = rest.popleft()
        if not _is_taken(rpc, hold):
            left.append(hold)
    return permit2_allowance(rpc, token, others[0].payer), [*left, *rest]


def _is_taken(rpc: Rpc, hold: Hold) -> bool:
    assert hold.authorization is not None
    try:
        return is_used(rpc, hold.authorization)
    except (ChainUnavailable, Garbage):
        return False  # it cannot be told, so it waits


def signed_permit(
    offer: Offer, message: dict[str, Any], signature: bytes, found: Found, permit: Mapping[str, Mapping[str, str]]
) -> Signed:
    """Return the payment for the wire, with its permit, and what identifies it: the bit of its nonce."""
    kind, ceiling = (CEILING, offer.amount) if offer.is_ceiling else ("transfer", None)
    payload = {"signature": "0x" + signature.hex(), "permit2Authorization": message}
    return Signed(
        payload, message["nonce"], message["from"], int(message["deadline"]), found.evidence, kind, ceiling, "bit",
        found.remark, permit,
    )  # fmt: skip


def _facts(rpc: Rpc, token: str, owner: str) -> tuple[int, int]:
    """Read the number of the latest block, and what the owner has approved to Permit2."""
    try:
        return head_number(rpc), permit2_allowance(rpc, token, owner)
    except Garbage:
        raise ChainUnavailable("The endpoint's answer about the latest block makes no sense.") from None
