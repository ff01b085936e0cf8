"""Permit2 on the sandbox's EVM chain: what owners approved, the bits of used nonces, and the checks of the proxies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..chains.evm import checksum, recover
from ..model.money import Token
from ..schemes.permit2 import SPENDERS, typed_data

_ADDRESS = r"^0x[0-9a-fA-F]{40}$"
_Address = Field(pattern=_ADDRESS)
_Number = Field(ge=0, lt=2**256)
#: Seconds. Facilitators refuse a payment that would expire earlier, before they are done.
_LEAST_LEFT = 6


class _Permitted(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    token: str = _Address
    amount: int = _Number


class _Witness(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    to: str = _Address
    facilitator: str | None = Field(default=None, pattern=_ADDRESS)
    validAfter: int = _Number


class _Authorization(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", populate_by_name=True)

    sender: str = Field(alias="from", pattern=_ADDRESS)
    permitted: _Permitted
    spender: str = _Address
    nonce: int = _Number
    deadline: int = _Number
    witness: _Witness


class Permit(BaseModel):
    """A payment by Permit2, as it stands in the payload."""

    signature: str = Field(pattern=r"^0x[0-9a-fA-F]{130}$")
    permit2Authorization: _Authorization

    @property
    def given(self) -> _Authorization:
        """Return what was signed."""
        return self.permit2Authorization

    def message(self) -> dict[str, Any]:
        """Return what was signed, as it was signed."""
        given = self.given
        to = {"to": given.witness.to, "validAfter": str(given.witness.validAfter)}
        facilitator = {} if given.witness.facilitator is None else {"facilitator": given.witness.facilitator}
        return {
            "from": given.sender,
            "permitted": {"token": given.permitted.token, "amount": str(given.permitted.amount)},
            "spender": given.spender,
            "nonce": str(given.nonce),
            "deadline": str(given.deadline),
            "witness": to | facilitator,
        }


def is_permit(payload: Any) -> bool:
    """Return True if a payload claims to be paid by Permit2."""
    return isinstance(payload, dict) and "permit2Authorization" in payload


def read(payload: Any) -> Permit | None:
    """Return a payment by Permit2. None if it is none."""
    try:
        return Permit.model_validate(payload)
    except ValidationError:
        return None


class Permit2:
    """Allowances and used nonces. The chain that has it holds its own lock around each call."""

    def __init__(self, token: Token) -> None:
        self._token = token
        self._allowances: dict[str, int] = {}
        #: The block in which a nonce was used, by its owner.
        self._used: dict[tuple[str, int], int] = {}

    def approve(self, owner: str, amount: int) -> None:
        """Let Permit2 take this much of an owner's tokens."""
        self._allowances[owner.lower()] = amount

    def allowance(self, owner: str) -> int:
        """Return what Permit2 may take of an owner's tokens."""
        return self._allowances.get(owner.lower(), 0)

    def bitmap(self, owner: str, word: int, block: int) -> int:
        """Return a word of an owner's bits, as it was after a block."""
        found = (
            n for (whose, n), at in self._used.items() if whose == owner.lower() and n >> 8 == word and at <= block
        )
        return sum(1 << (nonce & 0xFF) for nonce in found)

    def use(self, signed: Permit, amount: int, block: int) -> None:
        """Use a nonce, and take its amount off the allowance."""
        owner = signed.given.sender.lower()
        self._used[owner, signed.given.nonce] = block
        self._allowances[owner] -= amount

    def problem(
        self, signed: Permit, offer: Mapping[str, Any], now: float, charge: int, balance: Callable[[str], int]
    ) -> str | None:
        """Return the reason why a facilitator would not settle this for these terms. None if it would."""
        given, scheme = signed.given, str(offer["scheme"])
        facilitator = offer["extra"].get("facilitatorAddress") if scheme == "upto" else None
        checks = (
            (given.spender == SPENDERS.get(scheme), "invalid_permit2_spender"),
            (given.witness.to.lower() == str(offer["payTo"]).lower(), "invalid_permit2_recipient_mismatch"),
            (given.witness.facilitator == facilitator, "upto_facilitator_mismatch"),
            (given.deadline >= now + _LEAST_LEFT, "permit2_deadline_expired"),
            (given.witness.validAfter <= now, "permit2_not_yet_valid"),
            (given.permitted.amount == int(offer["amount"]), "permit2_amount_mismatch"),
            (given.permitted.token.lower() == self._token.address.lower(), "permit2_token_mismatch"),
            (self._is_signed(scheme, signed), "invalid_permit2_signature"),
            ((given.sender.lower(), given.nonce) not in self._used, "permit2_invalid_nonce"),
            (charge <= given.permitted.amount, "invalid_upto_evm_payload_settlement_exceeds_amount"),
            (balance(given.sender) >= given.permitted.amount, "permit2_insufficient_balance"),
            (self.allowance(given.sender) >= given.permitted.amount, "permit2_allowance_required"),
        )
        return next((reason for good, reason in checks if not good), None)

    def _is_signed(self, scheme: str, signed: Permit) -> bool:
        digest = typed_data(scheme, self._token.network, signed.message()).digest
        return recover(digest, bytes.fromhex(signed.signature[2:])) == checksum(signed.given.sender)
