"""Machine of the sandbox's Solana chain: solders' virtual machine, with the slots and blockhashes that it lacks.

The machine belongs to the thread that made it, so all code here runs on one thread. ``solana.py`` ensures that.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from solders.account import Account
from solders.hash import Hash
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.token.state import Mint, TokenAccount, TokenAccountState
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from .records import Clock
from .solana_rules import TOKEN, Payment, Unfit, check, read, token_account

SLOT_SECONDS = 0.4
FIRST_SLOT = 300_000_000  # a large number, so that no program depends on a small one
SKIPPED = 12_000_000  # slots without a block: the block height is not the slot
LIFETIME, FINAL_DEPTH = 150, 32
_BACKLOG = 600
_RENT = 5_000_000  # more than a token account or a mint needs


@dataclass(frozen=True, slots=True)
class Landed:
    """Transaction on the chain."""

    transaction: VersionedTransaction
    slot: int
    memo: str | None

    @property
    def signature(self) -> str:
        """Return the chain's name for it: the fee payer's signature."""
        return str(self.transaction.signatures[0])


class Slots:
    """Slots of the chain, which follow its clock, and a blockhash for each of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seed = secrets.token_bytes(16)
        self._started = clock.now() - _BACKLOG * SLOT_SECONDS

    def now(self) -> int:
        """Return the newest slot."""
        return FIRST_SLOT + int((self._clock.now() - self._started) / SLOT_SECONDS)

    def time(self, slot: int) -> int:
        """Return the chain's time at that slot."""
        return int(self._started + (slot - FIRST_SLOT) * SLOT_SECONDS)

    def blockhash(self, slot: int) -> str:
        """Return the last blockhash at that slot."""
        return str(Hash(hashlib.sha256(self._seed + slot.to_bytes(8, "little")).digest()))

    def usable(self, blockhash: str, slot: int) -> bool:
        """Return True if a transaction that names ``blockhash`` can land at that slot."""
        return any(self.blockhash(slot - age) == blockhash for age in range(LIFETIME + 1))


class Machine:
    """Accounts of the chain, and the transactions that landed."""

    def __init__(self, mint: str, clock: Clock, fee_payer: Keypair) -> None:
        self.slots: Slots = Slots(clock)
        self.mint: Pubkey = Pubkey.from_string(mint)
        self.landed: dict[str, Landed] = {}
        self.by_account: dict[Pubkey, list[Landed]] = {}
        self._messages: set[bytes] = set()
        self._fee_payer = fee_payer
        self._vm = LiteSVM().with_blockhash_check(False).with_transaction_history(0)
        self._vm.set_account(self.mint, Account(_RENT, bytes(Mint(Pubkey.default(), 0, 6, True, None)), TOKEN))
        self._vm.airdrop(fee_payer.pubkey(), 10**12)

    def account(self, address: Pubkey) -> Account | None:
        """Return an account as it is now."""
        return self._vm.get_account(address)

    def fund(self, owner: Pubkey, amount: int) -> None:
        """Give invented money. The account is made if there is none."""
        held = TokenAccount(
            self.mint, owner, self.balance(owner) + amount, None, TokenAccountState.Initialized, None, 0, None
        )
        self._vm.set_account(token_account(owner, self.mint), Account(_RENT, bytes(held), TOKEN))

    def balance(self, owner: Pubkey) -> int:
        """Return a balance in the token's smallest units."""
        return held(self.account(token_account(owner, self.mint))) or 0

    def verify(self, payload: Any, offer: Mapping[str, Any], plain: bool) -> tuple[Payment, VersionedTransaction]:
        """Return the payment, and the transaction that a facilitator would send. Raise Unfit if it would not."""
        payment = read(payload)
        check(payment, offer, self._fee_payer.pubkey(), plain=plain)
        signed = payment.signed_by(self._fee_payer)
        if bytes(payment.message) in self._messages:
            raise Unfit("transaction_already_processed")
        if not self.slots.usable(str(payment.message.recent_blockhash), self.slots.now()):
            raise Unfit("transaction_simulation_failed: blockhash not found")
        failure = self.simulate(signed, verify=True)["err"]
        if failure is not None:
            raise Unfit(f"transaction_simulation_failed: {json.dumps(failure)}")
        return payment, signed

    def send(self, payment: Payment, signed: VersionedTransaction) -> Landed:
        """Send a verified payment. Raise Unfit if it fails."""
        result = self._vm.send_transaction(signed)
        if isinstance(result, FailedTransactionMetadata):
            raise Unfit(f"transaction_failed: {_err(result)}")
        landed = Landed(signed, self.slots.now(), payment.memo)
        self._messages.add(bytes(payment.message))
        self.landed[landed.signature] = landed
        for key in payment.message.account_keys:
            self.by_account.setdefault(key, []).append(landed)
        return landed

    def simulate(self, transaction: VersionedTransaction, *, verify: bool) -> dict[str, Any]:
        """Return the result that a transaction would have."""
        self._vm.with_sigverify(verify)
        try:
            result = self._vm.simulate_transaction(transaction)
        finally:
            self._vm.with_sigverify(True)
        failed = isinstance(result, FailedTransactionMetadata)
        meta = result.meta()
        units, logs = meta.compute_units_consumed(), list(meta.logs())
        return {"err": _err(result) if failed else None, "unitsConsumed": units, "logs": logs}


def held(account: Account | None) -> int | None:
    """Return the amount in a token account, or None for any other account."""
    if account is None or account.owner != TOKEN or len(account.data) != 165:
        return None
    return TokenAccount.from_bytes(account.data).amount


def _err(result: Any) -> Any:
    return json.loads(result.to_json())["err"]
