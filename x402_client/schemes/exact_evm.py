"""``exact`` on EVM chains: the buyer signs, and the seller submits it.

By EIP-3009 that is a TransferWithAuthorization, by Permit2 a permission for one official proxy.

The struct hash is packed by hand, and the domain separator is cached per token: eth-account's general encoder takes
twenty times as long. Tests compare both, with recorded vectors.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from typing import Any

from ..chains.evm import ZERO, is_address, keccak, token_balance, token_decimals
from ..chains.rpc import Rpc
from ..chains.tokens import SHIPPED, wrong_decimals
from ..core.asks import Ask, Fetch, SignTyped
from ..errors import InsufficientFunds, SigningError
from ..model.money import Token
from ..model.networks import short_name
from ..model.offers import Offer, quoted, words
from ..model.signing import Signed, TypedData
from ..signers.evm import read_signature
from . import permit2, permits
from .by_permit2 import METHOD, Found, Permit2Allowances, contract_objection, signed_permit
from .evm_payer import EvmPayer
from .not_paid import GATEWAY, GATEWAY_OBJECTION, about_method
from .payment_flow import flow_objection
from .permit_places import under_permit
from .token_domain import DOMAIN, fields, separator, type_hash

_TRANSFER = (
    "TransferWithAuthorization(address from,address to,uint256 value,"
    + "uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)
#: Seconds that a seller needs at least, to verify, work and settle. A shorter validity would be refused or run out.
SETTLING = 60


class ExactEvm:
    """Scheme ``exact`` on EVM chains: EIP-3009 transfers of tokens whose EIP-712 domain is known, and Permit2's."""

    name = "exact"
    family = "eip155"

    def __init__(
        self,
        payer: str,
        rpc: Callable[[str], Rpc] | None = None,
        check_funds: bool = False,
        account: EvmPayer | None = None,
        permits: bool = True,
    ) -> None:
        """Take the payer's address, and a function that returns the endpoints of a network.

        With ``check_funds``, the balance is read before anything is signed. Without ``account``, a key pays. Without
        ``permits``, an allowance to Permit2 has to be there.
        """
        self.payer = payer
        self._account = account or EvmPayer(payer)
        self._rpc, self._check_funds = rpc, check_funds
        #: Tokens whose decimals are right, by the table, their chain or the user's word.
        self._checked: set[Token] = set()
        self._permit2 = Permit2Allowances(payer, permits, self._account.is_contract)

    def objection(self, offer: Offer) -> str | None:
        """Return why this offer must not be signed, or None."""
        return _kind_objection(offer) or self._recipient_objection(offer)

    def remark(self, offer: Offer) -> str | None:
        """Return a note if the seller names another EIP-712 domain for the token. The known one is signed."""
        assert offer.token is not None
        if offer.by_permit2:  # then nothing of the token's own domain is signed
            return None
        ours = (offer.token.name, offer.token.version)
        theirs = name, version = (offer.extra.get("name"), offer.extra.get("version"))
        if name in (None, ours[0]) and version in (None, ours[1]):
            return None
        return f"The seller names the token's EIP-712 domain {words(str(theirs), 80)}; {ours} was signed."

    def _recipient_objection(self, offer: Offer) -> str | None:
        assert offer.token is not None
        to = offer.pay_to.lower()
        if not is_address(offer.pay_to):
            return f"payTo {quoted(offer.pay_to, 60)} is not an address, or its checksum is wrong"
        if to == ZERO:
            return "payTo is the zero address"
        if to == self.payer.lower():
            return "payTo is the buyer itself"
        if to == offer.token.address.lower():
            return "payTo is the token's own contract"
        return None

    def signs_here(self, offer: Offer) -> bool:
        """Return True if all that signing needs is a key in this process."""
        known = offer.token in self._checked or offer.token in SHIPPED
        asks_nobody = self._rpc is None or (known and not self._check_funds)
        return asks_nobody and not offer.by_permit2 and self._account.signs_here(offer.network)

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        """Sign. If the signer took so long that the payment would expire on its way, sign once more."""
        if self._rpc is not None:
            if offer.token not in self._checked:
                yield from self._check_decimals(self._rpc(offer.network), offer)
            if self._check_funds:
                yield from self._funds(self._rpc(offer.network), offer)
        yield from self._account.ready(offer.network)
        found = None
        if offer.by_permit2:
            found = yield from self._permit2.look(self._rpc and self._rpc(offer.network), offer)
        window = min(max(offer.timeout or 0, SETTLING), validity)
        signing = self._in_time(offer, window, found)
        if found is None or found.wanted is None:
            return (yield from signing)
        return (yield from under_permit(found.wanted, offer, self.payer, signing))

    def _in_time(self, offer: Offer, window: int, found: Found | None) -> Generator[Ask[Any], Any, Signed]:
        for _ in range(2):
            expires = int(time.time()) + window
            message = self._message(offer, expires)
            data = _data(offer, message)
            given = yield from SignTyped(data)
            # No facilitator takes ERC-6492 with Permit2: the contract asks the wallet's own code about the signature.
            signature = yield from self._account.checked(offer.network, data, given, may_deploy=not offer.by_permit2)
            permit = {} if found is None else (yield from self._permit(offer, found, expires))
            if expires - time.time() >= min(window, SETTLING) / 2:
                if found is not None:
                    return signed_permit(offer, message, signature, found, permit)
                return self._signed(message, signature)
        raise SigningError(
            f"The signer took {given.seconds:.0f} s twice; a payment valid for {window} s would expire on its way. "  # pyright: ignore[reportPossiblyUnboundVariable]  # the loop ran
            "Policy(validity=...) sets how long payments are valid. Nothing was sent."
        )

    def _permit(self, offer: Offer, found: Found, expires: int) -> Generator[Ask[Any], Any, dict[str, dict[str, str]]]:
        """Sign the permit that the payment needs, if it needs one: until the payment's own deadline."""
        wanted = found.wanted
        if wanted is None:
            return {}
        data = permits.typed_data(offer, wanted, self.payer, expires)
        given = yield from SignTyped(data)
        signature = yield from self._account.checked(offer.network, data, given)
        read_signature(signature)
        return {permits.KEY: permits.info(offer, wanted, self.payer, expires, signature)}

    def _check_decimals(self, rpc: Rpc, offer: Offer) -> Generator[Ask[Any], Any, None]:
        """Read the decimals of a token in Policy(tokens=...) once: with wrong ones, its price would be wrong.

        Without an endpoint the user's word counts.
        """
        token = offer.token
        assert token is not None
        if token not in SHIPPED and rpc.urls:
            found = yield from Fetch(lambda: token_decimals(rpc, token.address))
            if found != token.decimals:
                raise wrong_decimals(token, found)
        self._checked.add(token)

    def _funds(self, rpc: Rpc, offer: Offer) -> Generator[Ask[Any], Any, None]:
        token = offer.token
        assert token is not None
        have = yield from Fetch(lambda: token_balance(rpc, token.address, self.payer))
        if have < offer.amount:
            raise InsufficientFunds(
                f"The buyer's account {self.payer} holds {token.whole(have)} {token.symbol or token.address} on "
                f"{short_name(offer.network)}, and {token.whole(offer.amount)} are asked. Nothing was sent. Send more "
                "there; `x402 wallet fund` says how.",
                offer=offer,
            )

    def _message(self, offer: Offer, expires: int) -> dict[str, Any]:
        if offer.by_permit2:
            return permit2.authorization(offer, self.payer, expires)
        return {
            "from": self.payer,
            "to": offer.pay_to,
            "value": str(offer.amount),
            # Chains' clocks may be late: payments with a later start were refused as "not yet valid".
            "validAfter": "0",
            "validBefore": str(expires),
            "nonce": "0x" + os.urandom(32).hex(),
        }

    def _signed(self, message: dict[str, Any], signature: bytes) -> Signed:
        payload = {"signature": "0x" + signature.hex(), "authorization": message}
        return Signed(payload, message["nonce"], self.payer, int(message["validBefore"]))


def _data(offer: Offer, message: dict[str, Any]) -> TypedData:
    if offer.by_permit2:
        return permit2.typed_data(offer.scheme, offer.network, message)
    assert offer.token is not None
    return typed_data(offer.token, message)


def typed_data(token: Token, message: dict[str, Any]) -> TypedData:
    """Return the EIP-712 data of one transfer: its digest, and the document for a wallet that shows it."""
    chain_id = int(token.network.removeprefix("eip155:"))
    domain = (token.name or "", token.version or "", chain_id, token.address)
    digest = keccak(b"\x19\x01" + separator(*domain) + keccak(_packed(message)))
    return TypedData(digest, lambda: _document(domain, message))


def _packed(message: dict[str, Any]) -> bytes:
    return b"".join(
        (
            type_hash(_TRANSFER),
            bytes(12) + bytes.fromhex(message["from"][2:]),
            bytes(12) + bytes.fromhex(message["to"][2:]),
            int(message["value"]).to_bytes(32),
            int(message["validAfter"]).to_bytes(32),
            int(message["validBefore"]).to_bytes(32),
            bytes.fromhex(message["nonce"][2:]),
        )
    )


def _document(domain: tuple[str, str, int, str], message: dict[str, Any]) -> dict[str, Any]:
    name, version, chain_id, contract = domain
    numbers = {field: int(message[field]) for field in ("value", "validAfter", "validBefore")}
    return {
        "types": {"EIP712Domain": fields(DOMAIN), "TransferWithAuthorization": fields(_TRANSFER)},
        "primaryType": "TransferWithAuthorization",
        "domain": {"name": name, "version": version, "chainId": chain_id, "verifyingContract": contract},
        "message": {**message, **numbers},
    }


def _kind_objection(offer: Offer) -> str | None:
    token, extra = offer.token, offer.extra
    if extra.get("name") == GATEWAY:
        return GATEWAY_OBJECTION
    method = extra.get("assetTransferMethod") or "eip3009"
    if method not in ("eip3009", METHOD):
        why = about_method(str(method)) or f"; eip3009 and {METHOD} are"
        return f"transfer method {quoted(str(method), 40)} is not supported{why}"
    flow = flow_objection(offer)
    if flow is not None:
        return flow
    if method == METHOD:
        return contract_objection(offer) or permits.permit_objection(offer)
    if token is None or not token.name or not token.version:
        return "the token has no EIP-712 name and version here, so it is paid by Permit2 alone, not by EIP-3009"
    return None
