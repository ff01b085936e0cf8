"""Allowances to Permit2 on the oracles' chain, and the permits (EIP-2612) that set them: verified with eth_account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data

from tests.adapters.cash_register import NETWORK, USDC

from .broken import PERMITTED, Broken
from .clock import Clock
from .terms import PERMIT, TRANSACTION

PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3"
_AMPLE = 2**200
_DOMAIN = ("string name", "string version", "uint256 chainId", "address verifyingContract")
_FIELDS = ("address owner", "address spender", "uint256 value", "uint256 nonce", "uint256 deadline")


@dataclass
class Permit:
    """One permit that left the buyer's machine."""

    owner: str
    amount: int
    nonce: int
    deadline: int
    used: bool = False


class Permits:
    """The token's allowances and nonces. The chain that has it holds its lock around each call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.begin(None)

    def begin(self, approved: int | None) -> None:
        """Begin a script: each account has approved so much. None: far more than it needs, and it stays so."""
        self.approved = approved
        self._allowances: dict[str, int] = {}
        self._nonces: dict[str, int] = {}
        self.seen: list[Permit] = []
        #: Calls that handed over a permit beside another one that could be used, or one that does not come next.
        self.conflicts: list[tuple[int, str]] = []

    def allowance(self, owner: str) -> int:
        """Return what Permit2 may take of an account."""
        return _AMPLE if self.approved is None else self._allowances.get(owner.lower(), self.approved)

    def open(self, owner: str) -> list[Permit]:
        """Return the permits of an account that the token takes now."""
        return [one for one in self.seen if one.owner == owner.lower() and self._is_good(one)]

    def handed(self, whole: dict[str, Any], signed: dict[str, Any], call: int) -> Permit | None:
        """Note the permit that a payment brings along. One that is not of exactly this payment is a failure."""
        extensions = whole.get("extensions") or {}
        if "signedTransaction" in (extensions.get(TRANSACTION) or {}).get("info", {}):
            raise Broken(PERMITTED, "an approval was signed as a transaction")
        info = (extensions.get(PERMIT) or {}).get("info", {})
        if "signature" not in info:
            return None
        message = {
            "owner": signed["from"], "spender": PERMIT2, "value": int(signed["permitted"]["amount"]),
            "nonce": int(info["nonce"]), "deadline": int(signed["deadline"]),
        }  # fmt: skip
        written = [info[name] for name in ("from", "spender", "amount", "deadline", "asset")]
        if written != [message["owner"], PERMIT2, str(message["value"]), str(message["deadline"]), USDC]:
            raise Broken(PERMITTED, f"a permit for {message} is written as {info}")
        if _signer(message, info["signature"]) != signed["from"]:
            raise Broken(PERMITTED, f"a permit was signed that is not of exactly the payment: {message}, {info}")
        permit = Permit(message["owner"].lower(), message["value"], message["nonce"], message["deadline"])
        self._check_order(permit, call)
        self.seen.append(permit)
        return permit

    def _check_order(self, permit: Permit, call: int) -> None:
        following, others = self._nonces.get(permit.owner, 0), self.open(permit.owner)
        if others:
            self.conflicts.append((call, f"{permit} was signed while {others} could be used"))
        if permit.nonce != following:
            self.conflicts.append((call, f"{permit} was signed, and the next nonce is {following}"))

    def _is_good(self, permit: Permit) -> bool:
        is_next = permit.nonce == self._nonces.get(permit.owner, 0)
        return not permit.used and is_next and permit.deadline >= self._clock.chain()

    def submit(self, permit: Permit | None) -> None:
        """Use a permit, as anybody may. It sets the allowance, and adds nothing."""
        if permit is not None and self._is_good(permit):
            permit.used = True
            self._allowances[permit.owner] = permit.amount
            self._nonces[permit.owner] = permit.nonce + 1

    def take(self, owner: str, amount: int) -> bool:
        """Take an amount off an allowance. Return False if it is too small."""
        left = self.allowance(owner) - amount
        if left >= 0:
            self._allowances[owner.lower()] = left
        return left >= 0

    def answer(self, data: str) -> str | None:
        """Return what the token says to a call, or None if the call is about something else."""
        if data.startswith("0xdd62ed3e"):  # allowance
            return f"0x{self.allowance('0x' + data[34:74]):064x}"
        if data.startswith("0x7ecebe00"):  # nonces
            return f"0x{self._nonces.get('0x' + data[34:74], 0):064x}"
        if data.startswith("0x3644e515"):  # DOMAIN_SEPARATOR
            return "0x" + _SEPARATOR
        return None


def _typed(lines: tuple[str, ...]) -> list[dict[str, str]]:
    return [dict(zip(("type", "name"), line.split(), strict=True)) for line in lines]


def _signable(message: dict[str, Any]) -> Any:
    domain = {"name": "USD Coin", "version": "2", "chainId": int(NETWORK[2][7:]), "verifyingContract": USDC}
    types = {"EIP712Domain": _typed(_DOMAIN), "Permit": _typed(_FIELDS)}
    full = {"types": types, "primaryType": "Permit", "domain": domain, "message": message}
    return encode_typed_data(full_message=full)


def _signer(message: dict[str, Any], signature: str) -> str:
    found: str = Account.recover_message(_signable(message), signature=signature)
    return found


_SEPARATOR: str = _signable(
    dict.fromkeys(("value", "nonce", "deadline"), 0) | {"owner": USDC, "spender": USDC}
).header.hex()
assert len(_SEPARATOR) == 64
