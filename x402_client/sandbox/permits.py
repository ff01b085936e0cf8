"""Permits (EIP-2612) on the sandbox's EVM chain: the owners' nonces, and what the token says to a signed permit."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..chains.evm import checksum, recover
from ..chains.permit2_settlement import PERMIT2
from ..model.money import Token
from ..schemes.permits import KEY, permit_data
from ..schemes.token_domain import separator

_ADDRESS = r"^0x[0-9a-fA-F]{40}$"


class SponsoredPermit(BaseModel):
    """A permit, as the extension of a payment has it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(populate_by_name=True)

    owner: str = Field(alias="from", pattern=_ADDRESS)
    asset: str = Field(pattern=_ADDRESS)
    spender: str = Field(pattern=_ADDRESS)
    amount: int = Field(ge=0, lt=2**256)
    nonce: int = Field(ge=0, lt=2**256)
    deadline: int = Field(ge=0, lt=2**256)
    signature: str = Field(pattern=r"^0x[0-9a-fA-F]{130}$")


def sponsored_permit(payment: Any) -> SponsoredPermit | None:
    """Return the permit that a payment brings along. None: it brings none, or none that can be read."""
    extensions = payment.get("extensions") if isinstance(payment, dict) else None
    declared = extensions.get(KEY) if isinstance(extensions, dict) else None
    info = declared.get("info") if isinstance(declared, dict) else None
    try:
        return SponsoredPermit.model_validate(info)
    except ValidationError:
        return None


class Permits:
    """The nonces of a token's owners. The chain that has it holds its own lock around each call."""

    def __init__(self, token: Token) -> None:
        self._domain = (token.name or "", token.version or "", int(token.network.partition(":")[2]), token.address)
        self._nonces: dict[str, int] = {}

    @property
    def separator(self) -> bytes:
        """Return the hash of the token's domain."""
        return separator(*self._domain)

    def nonce(self, owner: str) -> int:
        """Return the nonce of an owner's next permit."""
        return self._nonces.get(owner.lower(), 0)

    def problem(self, given: SponsoredPermit, amount: int, owner: str, now: float) -> str | None:
        """Return the reason why a facilitator would not submit a permit for this amount. None if it would."""
        if given.owner.lower() != owner.lower():
            return "eip2612_from_mismatch"
        if given.asset.lower() != self._domain[3].lower():
            return "eip2612_asset_mismatch"
        if given.spender.lower() != PERMIT2.lower():
            return "eip2612_spender_not_permit2"
        if given.deadline < now:
            return "eip2612_deadline_expired"
        return None if given.amount == amount else "permit2_2612_amount_mismatch"

    def use(self, given: SponsoredPermit, now: float) -> bool:
        """Use a permit's nonce. Return False if the token would revert: then nothing changes."""
        message = {
            "owner": given.owner, "spender": given.spender, "value": given.amount, "nonce": self.nonce(given.owner),
            "deadline": given.deadline,
        }  # fmt: skip
        digest, signature = permit_data(self._domain, message).digest, bytes.fromhex(given.signature[2:])
        if given.deadline < now or recover(digest, signature) != checksum(given.owner):
            return False
        self._nonces[given.owner.lower()] = self.nonce(given.owner) + 1
        return True
