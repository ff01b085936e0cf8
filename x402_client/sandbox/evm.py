"""The sandbox's EVM chain: balances, nonces, expiry and signatures, checked as a token with EIP-3009 checks them.

It has Permit2, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..chains.evm import checksum, keccak, recover
from ..model.money import Token
from ..schemes.exact_evm import typed_data
from . import permit2
from .permits import Permits, SponsoredPermit
from .play_money import stranger
from .records import Clock, Settlement
from .safes import Safes

_ADDRESS = r"^0x[0-9a-fA-F]{40}$"
BLOCK_SECONDS = 2
FIRST_BLOCK = 20_000_000  # a large number, so that no program depends on a small one
SAFE_DEPTH = 8
#: Blocks that exist from the start.
_BACKLOG = 100
#: Seconds. Facilitators refuse a payment that would expire earlier, before they are done.
_LEAST_LEFT = 6


class _Authorization(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    sender: str = Field(alias="from", pattern=_ADDRESS)
    to: str = Field(pattern=_ADDRESS)
    value: int = Field(ge=0, lt=2**256)
    validAfter: int = Field(ge=0, lt=2**256)
    validBefore: int = Field(ge=0, lt=2**256)
    nonce: str = Field(pattern=r"^0x[0-9a-fA-F]{64}$")


class _Payload(BaseModel):
    signature: str = Field(pattern=r"^0x([0-9a-fA-F]{2}){1,8192}$")
    authorization: _Authorization


class EvmChain:
    """EVM chain with one token, its EIP-3009 transfers and Permit2. Safe between threads."""

    def __init__(self, token: Token, clock: Clock, knows: Callable[[str], bool]) -> None:
        self.token = token
        self.safes: Safes = Safes(int(token.network.partition(":")[2]))
        self._clock, self._knows = clock, knows
        self._started = clock.now() - _BACKLOG * BLOCK_SECONDS
        self._lock = threading.Lock()
        self._balances: dict[str, int] = {}
        self._changes: list[tuple[int, str, int]] = []
        self._used: dict[tuple[str, str], tuple[int, str]] = {}
        self.permit2: permit2.Permit2 = permit2.Permit2(token)
        self.permits: Permits = Permits(token)
        #: Every transfer: its block, its transaction with the nonce in its calldata, from, to, and value.
        self.transfers: list[tuple[int, str, int, str, str, int]] = []

    def fund(self, address: str, amount: int) -> None:
        """Give invented money to an address.

        It counts in older blocks too, as if it had always been there.
        """
        with self._lock:
            self._move(0, address, amount)

    def balance(self, address: str, block: int | None = None) -> int:
        """Return a balance in the token's smallest units, now or after a block."""
        with self._lock:
            if block is None or block >= self.head():
                return self._balances.get(address.lower(), 0)
            return sum(by for at, whose, by in self._changes if at <= block and whose == address.lower())

    def used(self, address: str, nonce: str, block: int) -> bool:
        """Return True if an authorization was used in a block or before it."""
        found = self._used.get((address.lower(), nonce.lower()))
        return found is not None and found[0] <= block

    def uses(self) -> list[tuple[str, str, int, str]]:
        """Return payer, nonce, block and transaction of each authorization that was used."""
        with self._lock:
            return [(payer, nonce, block, name) for (payer, nonce), (block, name) in self._used.items()]

    def mined(self, transaction: str) -> int | None:
        """Return the block of a settlement, or None."""
        return next((moved[0] for moved in self.transfers if moved[1] == transaction), None)

    def head(self) -> int:
        """Return the newest block's number."""
        return FIRST_BLOCK + int((self._clock.now() - self._started) / BLOCK_SECONDS)

    def timestamp(self, block: int) -> int:
        """Return the chain's time at a block."""
        return int(self._started) + (block - FIRST_BLOCK) * BLOCK_SECONDS

    def verify(self, payload: Any, offer: Mapping[str, Any], permit: SponsoredPermit | None = None) -> str | None:
        """Return the reason why a facilitator would not settle this for these terms. None if it would."""
        with self._lock:
            if permit2.is_permit(payload):
                return self._permit_problem(permit2.read(payload), offer, 0, permit)
            signed = _read(payload)
            return signed if isinstance(signed, str) else self._problem(signed, offer)

    def settle(
        self,
        payload: Any,
        offer: Mapping[str, Any],
        path: str = "",
        charge: int | None = None,
        permit: SponsoredPermit | None = None,
    ) -> Settlement | str:
        """Transfer the money, or return why not. ``charge``: the part of a ceiling that is taken."""
        if permit2.is_permit(payload):
            return self._settle_permit(permit2.read(payload), offer, path, charge, permit)
        signed = _read(payload)
        if isinstance(signed, str):
            return signed
        given = signed.authorization
        with self._lock:
            problem = self._problem(signed, offer)
            if problem is not None:
                return problem
            block, transaction = self.head(), "0x" + keccak(bytes.fromhex(signed.signature[2:])).hex()
            nonce = int(given.nonce, 16)
            self._transfer(block, transaction, nonce, given.sender, given.to, given.value)
            self._used[given.sender.lower(), given.nonce.lower()] = (block, transaction)
        payer, pay_to = checksum(given.sender), checksum(given.to)
        return Settlement(self.token.network, transaction, payer, pay_to, given.value, given.nonce, path)

    def _problem(self, signed: _Payload, offer: Mapping[str, Any]) -> str | None:
        given, now = signed.authorization, self._clock.now()
        if given.to.lower() != str(offer["payTo"]).lower():
            return "invalid_exact_evm_payload_recipient_mismatch"
        if given.value != int(offer.get("amount") or offer.get("maxAmountRequired") or 0):
            return "invalid_exact_evm_payload_authorization_value_mismatch"
        if given.validBefore < now + _LEAST_LEFT:
            return "invalid_exact_evm_payload_authorization_valid_before"
        if given.validAfter > now:
            return "invalid_exact_evm_payload_authorization_valid_after"
        if str(offer["asset"]).lower() != self.token.address.lower():
            return "invalid_exact_evm_failed_to_get_asset_info"
        return self._signature_problem(signed) or self._account_problem(given)

    def _signature_problem(self, signed: _Payload) -> str | None:
        digest, payer = typed_data(self.token, _message(signed.authorization)).digest, signed.authorization.sender
        signature = bytes.fromhex(signed.signature[2:])
        # As tokens do: code at the payer's address decides alone, and without code it is the key's own account.
        is_safe = self.safes.has(payer)
        if not (
            self.safes.takes(payer, digest, signature) if is_safe else recover(digest, signature) == checksum(payer)
        ):
            return "invalid_exact_evm_payload_signature"
        return None

    def _account_problem(self, given: _Authorization) -> str | None:
        if not self._knows(given.sender):
            return stranger(given.sender)
        if (given.sender.lower(), given.nonce.lower()) in self._used:
            return "invalid_exact_evm_nonce_already_used"
        short = self._balances.get(given.sender.lower(), 0) < given.value
        return "invalid_exact_evm_insufficient_balance" if short else None

    def execute(self, permit: SponsoredPermit) -> bool:
        """Submit a permit: Permit2 may take its amount from then on. Return False if the token does not take it."""
        with self._lock:
            return self._execute(permit)

    def _execute(self, permit: SponsoredPermit) -> bool:
        if not self.permits.use(permit, self._clock.now()):
            return False
        self.permit2.approve(permit.owner, permit.amount)
        return True

    def _settle_permit(
        self,
        signed: permit2.Permit | None,
        offer: Mapping[str, Any],
        path: str,
        charge: int | None,
        permit: SponsoredPermit | None,
    ) -> Settlement | str:
        with self._lock:
            amount = int(offer["amount"]) if charge is None else charge
            problem = self._permit_problem(signed, offer, amount, permit)
            if problem is None and amount and permit is not None and not self._execute(permit):
                # A permit that fails does not matter where the allowance is there.
                problem = self._permit_problem(signed, offer, amount, None)
            if signed is None or problem is not None:
                return problem or "invalid_payload"
            given, block = signed.given, self.head()
            transaction = "0x" + keccak(bytes.fromhex(signed.signature[2:])).hex() if amount else ""
            if amount:  # a charge of zero never touches the chain
                self._transfer(block, transaction, given.nonce, given.sender, given.witness.to, amount)
                self.permit2.use(signed, amount, block)
        payer, pay_to = checksum(given.sender), checksum(given.witness.to)
        return Settlement(self.token.network, transaction, payer, pay_to, amount, str(given.nonce), path)

    def _permit_problem(
        self, signed: permit2.Permit | None, offer: Mapping[str, Any], charge: int, permit: SponsoredPermit | None
    ) -> str | None:
        if signed is None:
            return "invalid_payload"
        if not self._knows(signed.given.sender):
            return stranger(signed.given.sender)
        balance, now, given = self._balances.get, self._clock.now(), signed.given
        problem = self.permit2.problem(signed, offer, now, charge, lambda who: balance(who.lower(), 0))
        if problem != "permit2_allowance_required" or permit is None:
            return problem
        return self.permits.problem(permit, given.permitted.amount, given.sender, now)

    def _transfer(self, block: int, transaction: str, nonce: int, sender: str, to: str, value: int) -> None:
        self._move(block, sender, -value)
        self._move(block, to, value)
        self.transfers.append((block, transaction, nonce, sender.lower(), to.lower(), value))

    def _move(self, block: int, address: str, by: int) -> None:
        self._balances[address.lower()] = self._balances.get(address.lower(), 0) + by
        self._changes.append((block, address.lower(), by))


def nonce_of(payload: Any) -> str | None:
    """Return the nonce that tells this payment from others. None if it is not a payment."""
    if permit2.is_permit(payload):
        permit = permit2.read(payload)
        return None if permit is None else str(permit.given.nonce)
    signed = _read(payload)
    return None if isinstance(signed, str) else signed.authorization.nonce


def _read(payload: Any) -> _Payload | str:
    try:
        return _Payload.model_validate(payload)
    except ValidationError:
        return "invalid_payload"


def _message(given: _Authorization) -> dict[str, Any]:
    """Return the transfer as it was signed."""
    numbers = {name: str(getattr(given, name)) for name in ("value", "validAfter", "validBefore")}
    return {"from": given.sender, "to": given.to, "nonce": given.nonce, **numbers}
