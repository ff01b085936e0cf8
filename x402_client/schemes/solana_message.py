"""The message of a Solana payment, as it is signed.

Strategy: a message is compiled once for its accounts. Of two payments between the same accounts only the amount, the
unit price, the memo and the blockhash differ, and each of these has one length and one place. So the compiled bytes are
kept around those places, and the next payment fills them in.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ..chains.solana_address import public_key

TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
TOKEN_2022_PROGRAM = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
_MEMO_PROGRAM = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"
#: Bytes before the accounts: the version, three counts of signers and readers, the number of accounts.
_HEAD = 5
_KEY = 32
#: Bytes between the blockhash and the unit price: the number of instructions, the whole of the first (the program, no
#: accounts, five bytes of data), and of the second all that comes before its number.
_TO_PRICE = 1 + 8 + 4
#: Bytes between the unit price and the amount: the program, four accounts with their number, the length of the data,
#: and the instruction's number.
_TO_AMOUNT = 1 + 5 + 1 + 1
_U64 = 8
#: The number of lookup tables, which is none: the last byte.
_TAIL = 1


class Accounts(NamedTuple):
    """Accounts of a payment, with the token's decimals: what payments to one seller have in common."""

    fee_payer: str
    payer: str
    pay_to: str
    mint: str
    program: str
    decimals: int


class Layout(NamedTuple):
    """Parts of one payment's message. ``blockhash`` is 32 bytes."""

    accounts: Accounts
    amount: int
    memo: bytes | None
    units: int
    unit_price: int
    blockhash: bytes


def message(layout: Layout) -> bytes:
    """Return the compiled message as it is signed."""
    memo = layout.memo or b""
    start, to_price, to_amount, to_memo, end = _around(
        layout.accounts, layout.units, None if layout.memo is None else len(memo)
    )
    price, amount = layout.unit_price.to_bytes(_U64, "little"), layout.amount.to_bytes(_U64, "little")
    return b"".join((start, layout.blockhash, to_price, price, to_amount, amount, to_memo, memo, end))


@lru_cache(maxsize=256)
def _around(accounts: Accounts, units: int, memo: int | None) -> tuple[bytes, ...]:
    """Return what stands before, between and behind the blockhash, the unit price, the amount and the memo.

    ``memo`` is the number of its bytes, or None if there is none.
    """
    whole = compiled(Layout(accounts, 0, None if memo is None else b"m" * memo, units, 0, bytes(_KEY)))
    blockhash = _HEAD + _KEY * whole[_HEAD - 1]
    price = blockhash + _KEY + _TO_PRICE
    amount = price + _U64 + _TO_AMOUNT
    end = len(whole) - _TAIL
    return (
        whole[:blockhash],
        whole[blockhash + _KEY : price],
        whole[price + _U64 : amount],
        whole[amount + _U64 : end - (memo or 0)],
        whole[end:],
    )


def compiled(layout: Layout) -> bytes:
    """Return the message as solders compiles it."""
    from solders.hash import Hash
    from solders.message import MessageV0, to_bytes_versioned

    payer, blockhash = public_key(layout.accounts.fee_payer), Hash(layout.blockhash)
    return to_bytes_versioned(MessageV0.try_compile(payer, _instructions(layout), [], blockhash))


def _instructions(layout: Layout) -> list[Any]:
    from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
    from solders.instruction import Instruction

    # TransferChecked: the instruction's number, the amount, the decimals.
    data = bytes([12]) + layout.amount.to_bytes(_U64, "little") + bytes([layout.accounts.decimals])
    budget = [set_compute_unit_limit(layout.units), set_compute_unit_price(layout.unit_price)]
    transfer = [Instruction(public_key(layout.accounts.program), data, _transferring(layout.accounts))]
    memo = [] if layout.memo is None else [Instruction(public_key(_MEMO_PROGRAM), layout.memo, [])]
    return budget + transfer + memo


def _transferring(accounts: Accounts) -> list[Any]:
    """Return the accounts of a TransferChecked: from where, of what, to where, by whom."""
    from solders.instruction import AccountMeta

    mint, program = accounts.mint, accounts.program
    source, target = (public_key(token_account(owner, mint, program)) for owner in (accounts.payer, accounts.pay_to))
    return [
        AccountMeta(source, is_signer=False, is_writable=True),
        AccountMeta(public_key(mint), is_signer=False, is_writable=False),
        AccountMeta(target, is_signer=False, is_writable=True),
        AccountMeta(public_key(accounts.payer), is_signer=True, is_writable=False),
    ]


@lru_cache(maxsize=1024)
def token_account(owner: str, mint: str, program: str) -> str:
    """Return the address of an owner's associated account for a token."""
    from solders.token.associated import get_associated_token_address

    return str(get_associated_token_address(*map(public_key, (owner, mint, program))))
