"""Permits (EIP-2612): the owner of a token signs an allowance to Permit2, and the seller's facilitator pays the gas.

Sellers ask for one by the extension ``eip2612GasSponsoring``. What is signed here is of exactly the payment's amount,
for Permit2's own contract, under the token's own domain, and dies with the payment. What a seller writes about any of
it is never signed: it is refused where it differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..chains.evm import keccak
from ..chains.permit2_settlement import PERMIT2
from ..errors import PaymentNotSent
from ..model.holds import moment
from ..model.networks import short_name
from ..model.offers import Offer, quoted, words
from ..model.signing import TypedData
from .token_domain import DOMAIN, fields, separator, type_hash

#: The names of the extensions: a permit that is submitted for the owner, and a transaction of the owner's that is.
KEY, TRANSACTION_KEY = "eip2612GasSponsoring", "erc20ApprovalGasSponsoring"
_PERMIT = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
_VERSION = "1"
#: Fields of a permit that are the owner's to say.
_OURS = ("from", "owner", "nonce", "deadline", "signature")


class Wanted(NamedTuple):
    """A permit that a payment needs: the token's domain, the owner's next nonce, and the chain's time."""

    name: str
    version: str
    nonce: int
    time: int


def sponsored(offer: Offer) -> bool:
    """Return True if the seller has a permit submitted for the owner."""
    return isinstance(offer.sponsoring.get(KEY), dict)


def permit_objection(offer: Offer) -> str | None:
    """Return why a seller that asks for this permit is not paid, or None."""
    asked = _info(offer)
    token = offer.asset if offer.token is None else offer.token.address
    allowed = (("spender", PERMIT2), ("asset", token), ("amount", str(offer.amount)), ("value", str(offer.amount)))
    for field, right in allowed:
        found = asked.get(field)
        if found is not None and str(found).lower() != right.lower():
            return f"{KEY} asks for a permit with {field} {quoted(str(found), 80)}; {right} alone is signed"
    written = next((name for name in _OURS if asked.get(name) is not None), None)
    return f"{KEY} writes the permit's {written} itself, which is the buyer's to say" if written else None


def version_problem(offer: Offer) -> str:
    """Return why the seller's version of the extension is not known, or ""."""
    found = _info(offer).get("version", _VERSION)
    return "" if found == _VERSION else f"its {KEY} is of version {quoted(str(found), 20)}, and {_VERSION} is known"


def domain_for(offer: Offer, found: bytes) -> tuple[str, str] | str:
    """Return name and version of the token's domain, or in words why there is no sound one.

    The known ones are signed, and a seller that names others is refused. Of a token that is known without them the
    seller names them. Either way the token itself has to have this domain: ``found`` is what it says.
    """
    token, said = offer.token, (offer.extra.get("name"), offer.extra.get("version"))
    assert token is not None
    ours = (token.name, token.version)
    if all(ours) and any(theirs not in (None, known) for theirs, known in zip(said, ours, strict=True)):
        return f"the seller names the token's domain {words(str(said), 80)}, which is {ours}"
    name, version = ours if all(ours) else said
    if not (isinstance(name, str) and isinstance(version, str) and name and version):
        return "the name and version of the token's EIP-712 domain are not known"
    if separator(name, version, _chain_id(offer.network), token.address) != found:
        return f"the token's own domain is another than {words(str((name, version)), 80)}"
    return name, version


def typed_data(offer: Offer, wanted: Wanted, owner: str, deadline: int) -> TypedData:
    """Return the EIP-712 data of a permit of the offer's amount to Permit2."""
    assert offer.token is not None
    message = _message(owner, offer.amount, wanted.nonce, deadline)
    return permit_data((wanted.name, wanted.version, _chain_id(offer.network), offer.token.address), message)


def permit_data(domain: tuple[str, str, int, str], message: Mapping[str, Any]) -> TypedData:
    """Return the EIP-712 data of any permit, with its spender and value as they are in ``message``."""
    digest = keccak(b"\x19\x01" + separator(*domain) + keccak(_packed(message)))
    return TypedData(digest, lambda: _document(domain, message))


def info(offer: Offer, wanted: Wanted, owner: str, deadline: int, signature: bytes) -> dict[str, str]:
    """Return what the extension has of a signed permit, as facilitators read it."""
    assert offer.token is not None
    return {
        "from": owner,
        "asset": offer.token.address,
        "spender": PERMIT2,
        "amount": str(offer.amount),
        "nonce": str(wanted.nonce),
        "deadline": str(deadline),
        "signature": "0x" + signature.hex(),
        "version": _VERSION,
    }


def pending(offer: Offer, what: str, until: int | None) -> PaymentNotSent:
    """Build the error for a payment whose permit has to wait for another signature of the wallet, and until when."""
    assert offer.token is not None
    when = "It is being signed now" if until is None else f"It is good until {moment(until):%Y-%m-%d %H:%M:%S} UTC"
    failure = PaymentNotSent(
        f"{what} in {offer.token.symbol or offer.token.address} on {short_name(offer.network)} is under way, and a "
        f"token takes one at a time. {when}. Nothing was sent. Try again when it was taken or is over, or "
        f"approve({PERMIT2}, ...) by a transaction of your own.",
        offer=offer,
    )
    failure.instead = "wait"
    return failure


def _info(offer: Offer) -> Mapping[str, Any]:
    declared = offer.sponsoring.get(KEY)
    found = declared.get("info") if isinstance(declared, dict) else None
    return found if isinstance(found, dict) else {}


def _chain_id(network: str) -> int:
    return int(network.removeprefix("eip155:"))


def _message(owner: str, value: int, nonce: int, deadline: int) -> dict[str, Any]:
    return {"owner": owner, "spender": PERMIT2, "value": value, "nonce": nonce, "deadline": deadline}


def _packed(message: Mapping[str, Any]) -> bytes:
    accounts = (bytes(12) + bytes.fromhex(message[one][2:]) for one in ("owner", "spender"))
    numbers = (int(message[one]).to_bytes(32) for one in ("value", "nonce", "deadline"))
    return b"".join((type_hash(_PERMIT), *accounts, *numbers))


def _document(domain: tuple[str, str, int, str], message: Mapping[str, Any]) -> dict[str, Any]:
    name, version, chain_id, contract = domain
    return {
        "types": {"EIP712Domain": fields(DOMAIN), "Permit": fields(_PERMIT)},
        "primaryType": "Permit",
        "domain": {"name": name, "version": version, "chainId": chain_id, "verifyingContract": contract},
        "message": dict(message),
    }
