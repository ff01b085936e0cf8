"""A Solana chain: solders' litesvm, with the slots, blockhashes and history it does not have. No JSON here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import svm_tokens
from solders.account import Account
from solders.litesvm import LiteSVM
from solders.message import MessageHeader
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata
from svm_slots import LIFETIME, Slots

SIGNATURE_FEE = 5_000
MAX_UNITS = 1_400_000
UNITS_PER_INSTRUCTION = 200_000
COMPUTE_BUDGET = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
NEVER = -1


class NotIncluded(Exception):
    """The transaction does not make it into a block; `err` is the chain's name for why."""

    def __init__(self, err: Any) -> None:
        super().__init__(str(err))
        self.err = err


@dataclass(frozen=True)
class Balances:
    lamports: tuple[int, ...]
    tokens: tuple[svm_tokens.Held | None, ...]


@dataclass(frozen=True)
class Outcome:
    err: Any
    logs: tuple[str, ...]
    units: int


@dataclass(frozen=True)
class Landed:
    transaction: VersionedTransaction
    slot: int
    outcome: Outcome
    fee: int
    before: Balances
    after: Balances

    @property
    def signature(self) -> str:
        return str(self.transaction.signatures[0])

    @property
    def keys(self) -> list[Pubkey]:
        return list(self.transaction.message.account_keys)


@dataclass(frozen=True)
class Kept:
    """Accepted, and kept back by order of a test."""

    transaction: VersionedTransaction
    until: int


class Ledger:
    def __init__(self, slot_seconds: float) -> None:
        self.slots = Slots(slot_seconds)
        self._vm = LiteSVM().with_blockhash_check(False).with_transaction_history(0)
        self.landed: list[Landed] = []
        self.by_signature: dict[str, Landed] = {}
        self.addresses: dict[Pubkey, list[Landed]] = {}
        self.token_accounts: dict[Pubkey, None] = {}
        self._messages: dict[bytes, int] = {}
        self._history: dict[Pubkey, list[tuple[int, Account | None]]] = {}
        self._kept: list[Kept] = []
        self.hold_next: list[int] = []  # one entry for each send to hold: for how many slots
        self.fail_next = 0

    # --- accounts

    def account(self, address: Pubkey, slot: int | None = None) -> Account | None:
        """As it was after that slot; unrecorded accounts never changed."""
        changes = self._history.get(address)
        if slot is None or changes is None:
            return self._vm.get_account(address)
        return next((account for at, account in reversed(changes) if at <= slot), None)

    def rent(self, size: int) -> int:
        return int(self._vm.minimum_balance_for_rent_exemption(size))

    def _put(self, address: Pubkey, account: Account) -> None:
        """What a test puts where nothing was has been there for ever and is final at once."""
        new = address not in self._history
        self._vm.set_account(address, account)
        self._remember(address, 0 if new else self.slots.now())

    def _remember_before(self, address: Pubkey) -> None:
        if address not in self._history:
            self._remember(address, 0)

    def _remember(self, address: Pubkey, slot: int) -> None:
        account = self._vm.get_account(address)
        self._history.setdefault(address, []).append((slot, account))
        if svm_tokens.read_holding(account):
            self.token_accounts[address] = None

    # --- changes that need no signature

    def place_mint(self, address: Pubkey, program: Pubkey, decimals: int) -> None:
        self._put(address, svm_tokens.mint(address, program, 0, decimals))

    def mint_to(self, owner: Pubkey, amount: int, mint: Pubkey) -> Pubkey:
        """Makes the owner's associated account if there is none: with an amount of 0, that is all."""
        minted = self._vm.get_account(mint)
        token = svm_tokens.read_mint(minted)
        if minted is None or token is None:
            raise ValueError(f"{mint} is not a mint")
        address = svm_tokens.associated(owner, mint, minted.owner)
        held = svm_tokens.read_holding(self._vm.get_account(address))
        self._put(address, svm_tokens.holding(owner, mint, (held.amount if held else 0) + amount, minted.owner))
        self._put(mint, svm_tokens.with_supply(minted, token.supply + amount))
        return address

    def fund(self, address: Pubkey, lamports: int) -> None:
        had = self._vm.get_account(address)
        owner, data = (had.owner, had.data) if had else (Pubkey.default(), b"")
        self._put(address, Account((had.lamports if had else 0) + lamports, data, owner))

    # --- transactions

    def submit(self, transaction: VersionedTransaction) -> None:
        """Lands in this slot, or raises NotIncluded, unless a test ordered something else."""
        slots = self.hold_next.pop(0) if self.hold_next else 0
        if slots:
            until = NEVER if slots == NEVER else self.slots.now() + slots
            self._kept.append(Kept(transaction, until))
        elif self.fail_next:
            self.fail_next -= 1
            self._land_without_money(transaction)
        else:
            self._land(transaction)

    def catch_up(self) -> None:
        """Lands what was held until now, if it still can."""
        due = [one for one in self._kept if one.until != NEVER and one.until <= self.slots.now()]
        for kept in due:
            self._kept.remove(kept)
            try:
                self._land(kept.transaction)
            except NotIncluded:  # it was accepted long ago: a real node forgets it without a word
                continue

    def check(self, transaction: VersionedTransaction, bank: int, *, any_blockhash: bool = False) -> None:
        """What a bank asks before it runs anything. Raises NotIncluded."""
        message = transaction.message
        if list(getattr(message, "address_table_lookups", ())):
            raise NotIncluded("AddressLookupTableNotFound")
        if not any_blockhash and not self.slots.usable(str(message.recent_blockhash), bank):
            raise NotIncluded("BlockhashNotFound")
        if self._messages.get(bytes(message), NEVER) >= self.slots.now() - LIFETIME:
            raise NotIncluded("AlreadyProcessed")
        payer = self._vm.get_account(message.account_keys[0])
        if payer is None:
            raise NotIncluded("AccountNotFound")
        if payer.lamports < fee(transaction):
            raise NotIncluded("InsufficientFundsForFee")

    def simulate(self, transaction: VersionedTransaction, *, verify: bool) -> tuple[Outcome, dict[Pubkey, Account]]:
        """The outcome and the accounts afterwards; always on the newest state."""
        self._vm.with_sigverify(verify)
        try:
            result = self._vm.simulate_transaction(transaction)
        finally:
            self._vm.with_sigverify(True)
        return _outcome(result), {} if isinstance(result, FailedTransactionMetadata) else dict(result.post_accounts())

    def _land(self, transaction: VersionedTransaction) -> Landed:
        slot = self.slots.now()
        self.check(transaction, slot)
        keys = list(transaction.message.account_keys)
        for key in keys:
            self._remember_before(key)
        before = self._balances(keys)
        outcome = _outcome(self._vm.send_transaction(transaction))
        if outcome.err and self._vm.get_balance(keys[0]) == before.lamports[0]:
            raise NotIncluded(outcome.err)
        self._charge_priority(keys[0], transaction)
        for key in keys:
            self._remember(key, slot)
        landed = Landed(transaction, slot, outcome, fee(transaction), before, self._balances(keys))
        self._messages[bytes(transaction.message)] = landed.slot
        self._enter(landed)
        return landed

    def _land_without_money(self, transaction: VersionedTransaction) -> None:
        """As if the money had gone elsewhere since the simulation; afterwards it is there again."""
        keys = list(transaction.message.account_keys)
        found = [(key, self._vm.get_account(key)) for key in keys]
        saved = {key: account for key, account in found if account and svm_tokens.read_holding(account)}
        for key, account in saved.items():
            self._vm.set_account(key, svm_tokens.with_amount(account, 0))
        try:
            self._land(transaction)
        finally:
            for key, account in saved.items():
                self._put(key, account)

    def _charge_priority(self, payer: Pubkey, transaction: VersionedTransaction) -> None:
        """This litesvm charges for signatures only."""
        account = self._vm.get_account(payer)
        assert account is not None
        lamports = account.lamports - priority_fee(transaction)
        self._vm.set_account(payer, Account(lamports, account.data, account.owner))

    def _balances(self, keys: list[Pubkey]) -> Balances:
        accounts = [self._vm.get_account(key) for key in keys]
        return Balances(
            tuple(account.lamports if account else 0 for account in accounts),
            tuple(svm_tokens.read_holding(account) for account in accounts),
        )

    def _enter(self, landed: Landed) -> None:
        self.landed.append(landed)
        self.by_signature[landed.signature] = landed
        for key in landed.keys:
            self.addresses.setdefault(key, []).append(landed)


def fee(transaction: VersionedTransaction) -> int:
    header: MessageHeader = transaction.message.header
    return SIGNATURE_FEE * header.num_required_signatures + priority_fee(transaction)


def priority_fee(transaction: VersionedTransaction) -> int:
    """Unit price times unit limit, rounded up."""
    return priority_fee_of(transaction.message)


def priority_fee_of(message: Any) -> int:
    limit, price, others = None, 0, 0
    for instruction in message.instructions:
        data = bytes(instruction.data)
        if message.account_keys[instruction.program_id_index] != COMPUTE_BUDGET:
            others += 1
        elif data[:1] == b"\2":
            limit = int.from_bytes(data[1:5], "little")
        elif data[:1] == b"\3":
            price = int.from_bytes(data[1:9], "little")
    units = min(limit if limit is not None else others * UNITS_PER_INSTRUCTION, MAX_UNITS)
    return -(-units * price // 1_000_000)


def _outcome(result: Any) -> Outcome:
    failed = isinstance(result, FailedTransactionMetadata)
    meta = result.meta() if failed or hasattr(result, "meta") else result
    err = json.loads(result.to_json())["err"] if failed else None
    return Outcome(err, tuple(meta.logs()), meta.compute_units_consumed())


def verified(transaction: VersionedTransaction) -> bool:
    """Every required signature is there and right."""
    signatures = list(transaction.signatures)
    return Signature.default() not in signatures and all(transaction.verify_with_results())
