"""Settlement without a chain: balances, nonces, expiry and signatures, checked as the token's contract checks them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..chains.evm import checksum, keccak, recover
from ..money import Token
from ..schemes.exact_evm import typed_data


class _Authorization(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    sender: str = Field(alias="from", pattern=r"^0x[0-9a-fA-F]{40}$")
    to: str = Field(pattern=r"^0x[0-9a-fA-F]{40}$")
    value: int
    validAfter: int
    validBefore: int
    nonce: str = Field(pattern=r"^0x[0-9a-f]{64}$")


class _Payload(BaseModel):
    signature: str = Field(pattern=r"^0x[0-9a-f]{130}$")
    authorization: _Authorization


@dataclass(frozen=True, slots=True)
class Settlement:
    """One transfer that happened."""

    transaction: str
    payer: str
    pay_to: str
    amount: int
    nonce: str


class Engine:
    """Token balances of one test network, and the EIP-3009 transfers between them."""

    def __init__(self, token: Token) -> None:
        self.token = token
        self.settlements: list[Settlement] = []
        self._balances: dict[str, int] = {}
        self._lock = threading.Lock()

    def fund(self, address: str, amount: int) -> None:
        """Give an account invented money."""
        with self._lock:
            self._balances[address.lower()] = self.balance(address) + amount

    def balance(self, address: str) -> int:
        """What an account has left, in the token's smallest units."""
        return self._balances.get(address.lower(), 0)

    def settle(self, payload: Mapping[str, Any], pay_to: str, amount: int) -> Settlement | str:
        """Transfer, or say why not, as a facilitator would."""
        try:
            signed = _Payload.model_validate(payload)
        except ValidationError:
            return "invalid_payload"
        given = signed.authorization
        with self._lock:
            problem = self._problem(signed, pay_to, amount)
            if problem is not None:
                return problem
            self._balances[given.sender.lower()] -= amount
            self._balances[pay_to.lower()] = self.balance(pay_to) + amount
            transaction = "0x" + keccak(bytes.fromhex(given.nonce[2:])).hex()
            done = Settlement(transaction, checksum(given.sender), pay_to, amount, given.nonce)
            self.settlements.append(done)
            return done

    def _problem(self, signed: _Payload, pay_to: str, amount: int) -> str | None:
        given = signed.authorization
        if given.to.lower() != pay_to.lower():
            return "recipient_mismatch"
        if given.value != amount:
            return "invalid_amount"
        if not given.validAfter <= time.time() < given.validBefore:
            return "authorization_expired"
        if any(done.nonce == given.nonce for done in self.settlements):
            return "nonce_already_used"
        digest = typed_data(self.token, _message(given)).digest
        if recover(digest, bytes.fromhex(signed.signature[2:])) != checksum(given.sender):
            return "invalid_signature"
        return "insufficient_funds" if self.balance(given.sender) < amount else None


def _message(given: _Authorization) -> dict[str, Any]:
    """The transfer as it was signed."""
    numbers = {name: str(getattr(given, name)) for name in ("value", "validAfter", "validBefore")}
    return {"from": given.sender, "to": given.to, "nonce": given.nonce, **numbers}
