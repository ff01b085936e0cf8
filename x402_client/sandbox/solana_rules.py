"""Checks that facilitators make of a Solana payment before they sign and send it.

Facilitators differ. These checks accept what all of them accept. Version 2, and version 1 under a CAIP-2 name: compute
limit, compute price, TransferChecked, one Memo. Version 1 under a plain name: the first three only. The amount has to
be exact, and the seller's token account has to exist. The buyer is the owner and never the fee payer. There are fewer
than 100,000 compute units, at 1,000,000 micro-lamports each at most.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.token.associated import get_associated_token_address
from solders.transaction import VersionedTransaction

TOKEN: Pubkey = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
MEMO: Pubkey = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
BUDGET: Pubkey = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
_PACKET = 1232  # bytes of a whole transaction
_UNITS, _UNIT_PRICE = 100_000, 1_000_000
_NO_TRANSFER = "invalid_exact_svm_payload_no_transfer_instruction"


@dataclass(frozen=True, slots=True)
class Instruction:
    """Instruction with the addresses of its accounts."""

    program: Pubkey
    accounts: tuple[Pubkey, ...]
    data: bytes


class Unfit(Exception):
    """Error: a payment is not settled. Its message is the facilitator's reason."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Transaction that a buyer signed."""

    transaction: VersionedTransaction
    instructions: tuple[Instruction, ...]

    @property
    def message(self) -> MessageV0:
        """Return the message that was signed."""
        message = self.transaction.message
        if not isinstance(message, MessageV0) or list(message.address_table_lookups):
            raise Unfit("invalid_exact_svm_payload_transaction_could_not_be_decoded")
        return message

    @property
    def payer(self) -> Pubkey:
        """Return the owner of the tokens that move."""
        return self.instructions[2].accounts[3]

    @property
    def signature(self) -> Signature:
        """Return the buyer's signature."""
        return self.transaction.signatures[1]

    @property
    def memo(self) -> str | None:
        """Return the text of the memo, if there is one."""
        texts = [one.data.decode(errors="replace") for one in self.instructions if one.program == MEMO]
        return texts[0] if texts else None

    @property
    def amount(self) -> int:
        """Return the amount in the token's smallest units."""
        return int.from_bytes(self.instructions[2].data[1:9], "little")

    def signed_by(self, fee_payer: Any) -> VersionedTransaction:
        """Return the transaction with the fee payer's signature, ready to be sent."""
        own = fee_payer.sign_message(to_bytes_versioned(self.message))
        return VersionedTransaction.populate(self.message, [own, self.signature])


def read(payload: Any) -> Payment:
    """Read the payload of a payment. Raise Unfit if it is not one."""
    text = payload.get("transaction") if isinstance(payload, Mapping) else None
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
        if not 0 < len(raw) <= _PACKET:
            raise Unfit("invalid_exact_svm_payload_transaction_could_not_be_decoded")
        transaction = VersionedTransaction.from_bytes(raw)
        transaction.sanitize()
    except (binascii.Error, ValueError, RuntimeError) as problem:
        raise Unfit("invalid_exact_svm_payload_transaction_could_not_be_decoded") from problem
    keys = list(transaction.message.account_keys)
    try:
        instructions = tuple(
            Instruction(keys[one.program_id_index], tuple(keys[at] for at in bytes(one.accounts)), bytes(one.data))
            for one in transaction.message.instructions
        )
    except IndexError:  # it names accounts of a lookup table
        raise Unfit("invalid_exact_svm_payload_transaction_could_not_be_decoded") from None
    return Payment(transaction, instructions)


def check(payment: Payment, offer: Mapping[str, Any], fee_payer: Pubkey, *, plain: bool) -> None:
    """Raise Unfit unless this is exactly the offer's payment.

    ``plain`` is True for version 1 under a plain name.
    """
    _check_layout(payment, plain)
    _check_budget(payment)
    _check_transfer(payment, offer)
    _check_people(payment, fee_payer)
    asked = offer["extra"].get("memo")
    if asked and not plain and payment.memo != asked:
        raise Unfit("invalid_exact_svm_payload_memo_mismatch")


def _check_layout(payment: Payment, plain: bool) -> None:
    wanted = [BUDGET, BUDGET, TOKEN] if plain else [BUDGET, BUDGET, TOKEN, MEMO]
    if len(payment.instructions) != len(wanted):
        raise Unfit("invalid_exact_svm_payload_transaction_instructions_length")
    if [one.program for one in payment.instructions] != wanted:
        raise Unfit("invalid_exact_svm_payload_transaction_instructions")


def _check_budget(payment: Payment) -> None:
    limit, price = (one.data for one in payment.instructions[:2])
    name = "invalid_exact_svm_payload_transaction_instructions_compute"
    if limit[:1] != b"\2" or len(limit) != 5 or int.from_bytes(limit[1:], "little") >= _UNITS:
        raise Unfit(f"{name}_limit_instruction")
    if price[:1] != b"\3" or len(price) != 9:
        raise Unfit(f"{name}_price_instruction")
    if int.from_bytes(price[1:], "little") > _UNIT_PRICE:
        raise Unfit(f"{name}_price_instruction_too_high")


def _check_transfer(payment: Payment, offer: Mapping[str, Any]) -> None:
    transfer = payment.instructions[2]
    if transfer.data[:1] != b"\x0c" or len(transfer.data) != 10 or len(transfer.accounts) != 4:
        raise Unfit(_NO_TRANSFER)
    mint = Pubkey.from_string(offer["asset"])
    if transfer.accounts[1] != mint:
        raise Unfit("invalid_exact_svm_payload_mint_mismatch")
    if transfer.accounts[2] != token_account(Pubkey.from_string(offer["payTo"]), mint):
        raise Unfit("invalid_exact_svm_payload_recipient_mismatch")
    if payment.amount != int(offer.get("amount") or offer.get("maxAmountRequired") or 0):
        raise Unfit("invalid_exact_svm_payload_amount_insufficient")


def _check_people(payment: Payment, fee_payer: Pubkey) -> None:
    keys, header = list(payment.message.account_keys), payment.message.header
    if keys[0] != fee_payer or header.num_required_signatures != 2 or keys[1] != payment.payer:
        raise Unfit("invalid_exact_svm_payload_transaction_signers")
    if any(fee_payer in one.accounts for one in payment.instructions):
        raise Unfit("invalid_exact_svm_payload_transaction_fee_payer_transferring_funds")


def token_account(owner: Pubkey, mint: Pubkey) -> Pubkey:
    """Return the account that keeps an owner's tokens."""
    return get_associated_token_address(owner, mint, TOKEN)
