"""Payments by Permit2: which offers are paid by it, what the owner has approved to it, and what a payment is known by.

Nothing here ever approves anything. An allowance that is there is used, and one beyond the price is told once: any
later Permit2 signature of the key could take it.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any

from ..chains.evm import ZERO, is_address
from ..chains.permit2_settlement import FIRST_BLOCK, head_number
from ..chains.rpc import Rpc
from ..chains.rpc_answers import Garbage
from ..core.asks import Ask, Fetch
from ..errors import ChainUnavailable, InsufficientFunds
from ..model.holds import CEILING
from ..model.money import Token
from ..model.networks import short_name
from ..model.offers import Offer, quoted
from ..model.signing import Signed
from .permit2 import PERMIT2, SPENDERS

METHOD = "permit2"
_ALLOWANCE = "0xdd62ed3e"  # allowance(address,address)
_WORD = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
#: Amounts from here on are written as "unlimited".
_UNLIMITED = 2**159
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


class Permit2Allowances:
    """Reads what one payer has approved to Permit2, before each payment."""

    def __init__(self, payer: str) -> None:
        self._payer = payer
        #: Tokens whose allowance beyond the price was told.
        self._told: set[Token] = set()

    def look(self, rpc: Rpc | None, offer: Offer) -> Generator[Ask[Any], Any, tuple[Mapping[str, Any], str]]:
        """Return the evidence for a payment, and a remark. Raise where the allowance is too small for it.

        Without an endpoint nothing is read: the seller looks, too.
        """
        if rpc is None or not rpc.urls:
            return {}, ""
        token = offer.token
        assert token is not None
        block, have = yield from Fetch(lambda: _facts(rpc, token.address, self._payer))
        if have < offer.amount:
            raise self._refusal(offer, token, have)
        return {FIRST_BLOCK: block}, self._remark(offer, token, have)

    def _refusal(self, offer: Offer, token: Token, have: int) -> InsufficientFunds:
        name, network = token.symbol or token.address, short_name(offer.network)
        return InsufficientFunds(
            f"This offer is paid by Permit2, and the account {self._payer} has approved {token.whole(have)} {name} to "
            f"it on {network}; {token.whole(offer.amount)} are asked. Nothing was sent. Approve what you mean to spend "
            f"by a transaction of your own, approve({PERMIT2}, {offer.amount}) on {token.address}, or leave it "
            "to others. No approval is ever signed here.",
            offer=offer,
        )

    def _remark(self, offer: Offer, token: Token, have: int) -> str:
        if have <= offer.amount or token in self._told:
            return ""
        self._told.add(token)
        amount = "An unlimited amount of" if have >= _UNLIMITED else token.whole(have)
        return (
            f"{amount} {token.symbol or token.address} of {self._payer} is approved to Permit2 on "
            f"{short_name(offer.network)}, more than this payment takes. Any later Permit2 signature of this key could "
            f"take it, for any program; approve({PERMIT2}, less) on {token.address} lowers it."
        )


def signed_permit(offer: Offer, message: dict[str, Any], signature: bytes, found: tuple[Any, str]) -> Signed:
    """Return the payment for the wire, and what identifies it: the bit of its nonce."""
    evidence, remark = found
    kind, ceiling = (CEILING, offer.amount) if offer.is_ceiling else ("transfer", None)
    payload = {"signature": "0x" + signature.hex(), "permit2Authorization": message}
    return Signed(
        payload, message["nonce"], message["from"], int(message["deadline"]), evidence, kind, ceiling, "bit", remark
    )


def _facts(rpc: Rpc, token: str, owner: str) -> tuple[int, int]:
    """Read the number of the latest block, and what the owner has approved to Permit2."""
    try:
        return head_number(rpc), permit2_allowance(rpc, token, owner)
    except Garbage:
        raise ChainUnavailable("The endpoint's answer about the latest block makes no sense.") from None


def permit2_allowance(rpc: Rpc, token: str, owner: str) -> int:
    """Read what an owner has approved to Permit2, in the token's smallest units."""
    data = _ALLOWANCE + owner[2:].lower().zfill(64) + PERMIT2[2:].lower().zfill(64)
    answer = rpc.call("eth_call", {"to": token, "data": data}, "latest")
    if not isinstance(answer, str) or not _WORD.fullmatch(answer):
        raise ChainUnavailable(f"The endpoint's answer about {owner}'s allowance to Permit2 makes no sense.")
    return int(answer, 16)
