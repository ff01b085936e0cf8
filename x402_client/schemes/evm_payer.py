"""The account that pays on EVM chains: a key's own, one that is delegated to code (EIP-7702), or a contract.

A token asks the code at the payer's address, if there is code, and recovers the signer's address only if there is none.
So that is what is asked here, before a signature is sent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from typing import Any, NamedTuple

from ..chains.contract_accounts import (
    Undeployed,
    delegate_of,
    read_code,
    takes,
    takes_once_deployed,
    unwrap,
    wrap,
)
from ..chains.evm import keccak, recover
from ..chains.rpc import Endpoints
from ..core.asks import Ask, Fetch, SignatureGiven, SignTyped
from ..errors import ChainUnavailable, SigningError
from ..model.networks import short_name
from ..model.signing import TypedData
from ..signers.contract import ContractSigner
from ..signers.evm import LocalEvmSigner, read_signature

log: logging.Logger = logging.getLogger("x402_client")
#: Seconds that a chain may take to say what code is at the address of a key, and what a contract says to a signature.
_LOOKING, _ASKING = 1.0, 5.0
#: Seconds that a chain is not asked again, after it did not answer: about a key's account, and about a contract's.
_LONG_REST, _REST = 3600.0, 60.0
_CHECK_DOMAIN = "EIP712Domain(string name,uint256 chainId)"
_CHECK = "AccountCheck(address account)"
_CHECK_NAME = "x402_client asks an account about its key; this pays nothing"


class Account(NamedTuple):
    """Account on one network: its code, and whether that takes the signatures of the account's key."""

    code: bytes
    #: None: there is no code, or it was not asked.
    takes_key: bool | None = None
    #: True if it was asked, and the chain did not answer.
    is_unheard: bool = False


class EvmPayer:
    """Account that pays, and what is known of its code on each network. Safe between threads."""

    __slots__ = ("_at_once", "_code", "_declared", "_deploy", "_endpoints", "_own_key", "_resting", "address")

    def __init__(self, address: str, signer: Any = None, endpoints: Endpoints | None = None) -> None:
        self.address: str = address
        self._declared = isinstance(signer, ContractSigner)
        self._deploy: tuple[str, bytes] | None = getattr(signer, "deploy", None)
        self._at_once = signer is not None and not signer.blocking and not signer.is_async
        self._own_key = isinstance(signer, LocalEvmSigner)
        self._endpoints = endpoints
        #: The code at this address, by network, once a signature of the key was seen to be taken by it.
        self._code: dict[str, bytes] = {}
        self._resting: dict[str, float] = {}

    @property
    def is_contract(self) -> bool:
        """Return True if the user declared a contract at this address."""
        return self._declared

    def ready(self, network: str) -> Generator[Ask[Any], Any, None]:
        """Look once if a key's account is delegated to code, at an endpoint that the user named.

        If it is, a signer that answers at once signs a message that pays nothing, to see if that code takes it.
        """
        if self._declared or network in self._code or not self._may_look(network):
            return
        found = yield from self.look(network)
        if found is not None and found.takes_key is False:
            raise SigningError(self._refused(network, found.code) + " No payment was signed, and nothing was sent.")
        if found is None or found.is_unheard:
            self._rest(network, _LONG_REST)
        else:
            self._code[network] = found.code

    def signs_here(self, network: str) -> bool:
        """Return True if a signature for this network is made in this process, and no chain has to be asked."""
        return self._own_key and (network in self._code or not self._may_look(network))

    def look(self, network: str) -> Generator[Ask[Any], Any, Account | None]:
        """Return what is at this address. None: its chain did not say."""
        code: bytes | None = yield from Fetch(lambda: self._read_code(network))
        if code is None:
            return None
        if self._declared or not code or not self._at_once:
            return Account(code)
        question = _account_check(self.address, int(network.partition(":")[2]))
        given = yield from SignTyped(question)
        taken = yield from Fetch(lambda: self._is_taken(network, question.digest, given))
        return Account(code, taken, is_unheard=taken is None)

    def checked(
        self, network: str, data: TypedData, given: SignatureGiven, *, may_deploy: bool = True
    ) -> Generator[Ask[Any], Any, bytes]:
        """Return the signature as it is sent, once it is known to be one of this account. Else SigningError.

        ``may_deploy`` says if a wallet that is not on its chain may pay so (ERC-6492).
        """
        if given.trusted:
            return given.signature
        is_keys_own = not self._declared and recover(data.digest, given.signature) == self.address
        if is_keys_own and not self._code.get(network):
            return given.signature
        if self._endpoints is None or not self._endpoints.reach(network):
            return self._as_declared(given, "There is no endpoint to ask its chain.", may_deploy)
        if self._declared and self._is_resting(network):
            return self._as_declared(given, "", may_deploy)
        verdict = yield from Fetch(lambda: self._ask(network, data.digest, given, may_deploy))
        if isinstance(verdict, SignatureGiven):
            return verdict.signature
        if is_keys_own and verdict != "no":  # the delegation that was there is over, or the chain is silent
            return given.signature
        if verdict == "silent":
            self._rest(network, _REST)
            problem = f"{short_name(network)} did not answer whether it is one of the code there."
            sent = self._as_declared(given, problem, may_deploy)
            log.warning(
                "%s did not answer whether the wallet %s takes its signature; it is sent as you declared it.",
                short_name(network),
                self.address,
            )
            return sent
        raise SigningError(self._wrong(network, verdict, given))

    # --- what the chain says, asked where it may block

    def _read_code(self, network: str) -> bytes | None:
        assert self._endpoints is not None
        try:
            return read_code(self._endpoints.of(network), self.address, _LOOKING, once=True)
        except ChainUnavailable:
            return None

    def _is_taken(self, network: str, digest: bytes, given: SignatureGiven) -> bool | None:
        assert self._endpoints is not None
        try:
            return takes(self._endpoints.of(network), self.address, digest, given.signature, _LOOKING, once=True)
        except ChainUnavailable:
            return None

    def _ask(self, network: str, digest: bytes, given: SignatureGiven, may_deploy: bool) -> SignatureGiven | str:
        """Return the signature as it is sent if the chain takes it, else "no", "no code", "not there" or "silent"."""
        assert self._endpoints is not None
        rpc, wrapped, until = self._endpoints.of(network), self._wrapped(given), time.monotonic() + _ASKING
        try:
            code, left = read_code(rpc, self.address, _ASKING), until - time.monotonic()
            if code:
                # Once the wallet is on the chain, no seller needs to know of ERC-6492.
                plain = wrapped.signature if wrapped else given.signature
                return SignatureGiven(plain) if takes(rpc, self.address, digest, plain, left) else "no"
            if wrapped is None:
                return "no code"
            if not may_deploy:
                return "not there"
            good = takes_once_deployed(rpc, self.address, digest, wrapped, left)
            return SignatureGiven(wrap(wrapped)) if good else "no"
        except ChainUnavailable:
            return "silent"

    def _wrapped(self, given: SignatureGiven) -> Undeployed | None:
        found = unwrap(given.signature)
        return Undeployed(*self._deploy, given.signature) if found is None and self._deploy else found

    def _as_declared(self, given: SignatureGiven, problem: str, may_deploy: bool) -> bytes:
        """Return the signature as it is sent on the user's word. SigningError if the wallet is not declared."""
        if self._declared:
            wrapped = self._wrapped(given)
            if wrapped is None:
                return given.signature
            return wrap(wrapped) if may_deploy else wrapped.signature
        read_signature(given.signature)
        raise SigningError(
            f"The signature that came back is not by {self.address}, the signer's address. {problem} If a contract "
            "is there, declare it: Wallet(evm=ContractSigner(address, sign=...)). Nothing was sent."
        )

    # --- when to ask, and what to say

    def _may_look(self, network: str) -> bool:
        # At the public endpoints it is not: that would tell a stranger who pays, and cost each program's first payment
        # a trip more, for a case that is rare and loses no money.
        return self._endpoints is not None and self._endpoints.named(network) and not self._is_resting(network)

    def _is_resting(self, network: str) -> bool:
        return time.monotonic() < self._resting.get(network, 0.0)

    def _rest(self, network: str, seconds: float) -> None:
        self._resting[network] = time.monotonic() + seconds

    def _refused(self, network: str, code: bytes) -> str:
        delegate, where = delegate_of(code), short_name(network)
        what = f"is delegated to {delegate} (EIP-7702)" if delegate else "has code"
        return (
            f"The account {self.address} {what} on {where}, and that code does not take this key's signatures. Sign as "
            "it wants, with Wallet(evm=ContractSigner(address, sign=...)), take the delegation back, or pay from "
            "another account."
        )

    def _wrong(self, network: str, verdict: str, given: SignatureGiven) -> str:
        where = short_name(network)
        if verdict == "no code" and not self._declared:
            read_signature(given.signature)
            return f"The signature that came back is not by {self.address}, the signer's address. Nothing was sent."
        if verdict == "no code":
            return (
                f"There is no contract at {self.address} on {where}. Deploy the wallet there first, or say how it is "
                "made: ContractSigner(..., deploy=(factory, calldata)). Nothing was sent."
            )
        if verdict == "not there":
            return (
                f"The wallet {self.address} is not on {where} yet, and a payment by Permit2 does not make it. Deploy "
                "it first, or pay an offer by EIP-3009, which may do so. Nothing was sent."
            )
        return (
            f"The wallet at {self.address} on {where} does not take the signature that came back. Look at how it is "
            "signed: the form, the owners, their number, the chain. Nothing was sent."
        )


def _account_check(address: str, chain_id: int) -> TypedData:
    """Return a message that pays nothing: its domain has no contract, so no token takes its signature."""
    name = keccak(_CHECK_NAME.encode())
    domain = keccak(keccak(_CHECK_DOMAIN.encode()) + name + chain_id.to_bytes(32))
    message = keccak(keccak(_CHECK.encode()) + bytes(12) + bytes.fromhex(address[2:]))
    fields = [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}]
    document = {
        "types": {"EIP712Domain": fields, "AccountCheck": [{"name": "account", "type": "address"}]},
        "primaryType": "AccountCheck",
        "domain": {"name": _CHECK_NAME, "chainId": chain_id},
        "message": {"account": address},
    }
    return TypedData(keccak(b"\x19\x01" + domain + message), lambda: document)
