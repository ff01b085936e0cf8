"""Permit2's signature: what the owner of a token signs so that one named contract may take an amount of it, once.

The schemes ``exact`` (by this transfer method) and ``upto`` share it. The spender is the official proxy of the scheme,
which pays the address that is signed as witness. Nonces are random and unordered, so payments do not wait for each
other. The struct hash is packed by hand, as for EIP-3009; tests compare it with eth-account's general encoder.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import Any

from ..chains.evm import keccak
from ..chains.permit2_settlement import PERMIT2 as PERMIT2
from ..model.offers import Offer
from ..model.signing import TypedData

#: The official proxies of x402, by scheme: the only spenders that are ever signed.
SPENDERS = {
    "exact": "0x402085c248EeA27D92E8b30b2C58ed07f9E20001",
    "upto": "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002",
}
#: The domain has no version: with one, every signature would be another.
_DOMAIN = "EIP712Domain(string name,uint256 chainId,address verifyingContract)"
_TOKEN = "TokenPermissions(address token,uint256 amount)"
_TRANSFER = (
    "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,"
    + "Witness witness)"
)
_WITNESS = {
    "exact": "Witness(address to,uint256 validAfter)",
    "upto": "Witness(address to,address facilitator,uint256 validAfter)",
}


def authorization(offer: Offer, payer: str, deadline: int) -> dict[str, Any]:
    """Return what is signed, as it stands in the payment: numbers are decimal strings, the nonce too."""
    assert offer.token is not None
    facilitator = {"facilitator": offer.extra["facilitatorAddress"]} if offer.is_ceiling else {}
    return {
        "from": payer,
        "permitted": {"token": offer.token.address, "amount": str(offer.amount)},
        "spender": SPENDERS[offer.scheme],
        "nonce": str(secrets.randbits(256)),
        "deadline": str(deadline),
        # Chains' clocks may be late: payments with a later start were refused as "not yet valid".
        "witness": {"to": offer.pay_to, **facilitator, "validAfter": "0"},
    }


def typed_data(scheme: str, network: str, message: dict[str, Any]) -> TypedData:
    """Return the EIP-712 data of one permission: its digest, and the document for a wallet that shows it."""
    chain_id = int(network.removeprefix("eip155:"))
    digest = keccak(b"\x19\x01" + _separator(chain_id) + keccak(_packed(scheme, message)))
    return TypedData(digest, lambda: _document(scheme, chain_id, message))


def _packed(scheme: str, message: dict[str, Any]) -> bytes:
    permitted, witness = message["permitted"], message["witness"]
    inner = _hash(_TOKEN), _address(permitted["token"]), _number(permitted["amount"])
    paid = [_address(witness["to"])]
    paid += [_address(witness["facilitator"])] if scheme == "upto" else []
    return b"".join(
        (
            _hash(_TRANSFER + _TOKEN + _WITNESS[scheme]),
            keccak(b"".join(inner)),
            _address(message["spender"]),
            _number(message["nonce"]),
            _number(message["deadline"]),
            keccak(b"".join((_hash(_WITNESS[scheme]), *paid, _number(witness["validAfter"])))),
        )
    )


def _address(text: str) -> bytes:
    return bytes(12) + bytes.fromhex(text[2:])


def _number(text: str) -> bytes:
    return int(text).to_bytes(32)


@lru_cache(maxsize=256)
def _separator(chain_id: int) -> bytes:
    return keccak(_hash(_DOMAIN) + keccak(b"Permit2") + chain_id.to_bytes(32) + _address(PERMIT2))


@lru_cache(maxsize=8)
def _hash(declaration: str) -> bytes:
    return keccak(declaration.encode())


def _document(scheme: str, chain_id: int, message: dict[str, Any]) -> dict[str, Any]:
    permitted, witness = message["permitted"], message["witness"]
    declared = {"EIP712Domain": _DOMAIN, "PermitWitnessTransferFrom": _TRANSFER, "TokenPermissions": _TOKEN}
    return {
        "types": {name: _fields(text) for name, text in (declared | {"Witness": _WITNESS[scheme]}).items()},
        "primaryType": "PermitWitnessTransferFrom",
        "domain": {"name": "Permit2", "chainId": chain_id, "verifyingContract": PERMIT2},
        "message": {
            "permitted": {"token": permitted["token"], "amount": int(permitted["amount"])},
            "spender": message["spender"],
            "nonce": int(message["nonce"]),
            "deadline": int(message["deadline"]),
            "witness": {**witness, "validAfter": int(witness["validAfter"])},
        },
    }


def _fields(declaration: str) -> list[dict[str, str]]:
    inside = declaration[declaration.index("(") + 1 : -1]
    return [{"type": kind, "name": name} for kind, name in (part.split(" ") for part in inside.split(","))]
