"""SPL Token and Token-2022 accounts as bytes, and the two mints that sellers are paid in."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from solders.account import Account
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address
from solders.token.state import Mint, TokenAccount, TokenAccountState

TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
PROGRAM_NAMES = {TOKEN: "spl-token", TOKEN_2022: "spl-token-2022"}
PLAIN_ACCOUNT, PLAIN_MINT = 165, 82
RENT = 5_000_000  # more than any of these accounts needs

# Extension numbers of Token-2022. The mint has those of PYUSD that cost a transfer compute units.
_FEE_CONFIG, _FEE_AMOUNT, _CLOSE_AUTHORITY, _IMMUTABLE, _DELEGATE, _HOOK, _HOOK_ACCOUNT = 1, 2, 3, 7, 12, 14, 15


@dataclass(frozen=True)
class Held:
    """A token account, read."""

    owner: Pubkey
    mint: Pubkey
    amount: int
    program: Pubkey


def mint(address: Pubkey, program: Pubkey, supply: int, decimals: int) -> Account:
    data = bytes(Mint(Pubkey.default(), supply, decimals, True, None))
    if program == TOKEN_2022:
        no_fee = bytes(18)  # epoch, highest fee, basis points
        data = data.ljust(PLAIN_ACCOUNT, b"\0") + b"\1"
        data += _extension(_FEE_CONFIG, bytes(64 + 8) + no_fee * 2) + _extension(_HOOK, bytes(64))
        data += _extension(_DELEGATE, bytes(address)) + _extension(_CLOSE_AUTHORITY, bytes(address))
    return Account(RENT, data, program)


def holding(owner: Pubkey, of: Pubkey, amount: int, program: Pubkey) -> Account:
    data = bytes(TokenAccount(of, owner, amount, None, TokenAccountState.Initialized, None, 0, None))
    if program == TOKEN_2022:
        data += b"\2" + _extension(_IMMUTABLE, b"")
        data += _extension(_FEE_AMOUNT, bytes(8)) + _extension(_HOOK_ACCOUNT, b"\0")
    return Account(RENT, data, program)


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def with_amount(account: Account, amount: int) -> Account:
    data = account.data
    return Account(account.lamports, data[:64] + struct.pack("<Q", amount) + data[72:], account.owner)


def with_supply(account: Account, supply: int) -> Account:
    data = account.data
    return Account(account.lamports, data[:36] + struct.pack("<Q", supply) + data[44:], account.owner)


def read_holding(account: Account | None) -> Held | None:
    """None for anything that is not a token account."""
    if account is None or account.owner not in PROGRAM_NAMES or len(account.data) < PLAIN_ACCOUNT:
        return None
    if len(account.data) > PLAIN_ACCOUNT and account.data[PLAIN_ACCOUNT] != 2:
        return None
    found = TokenAccount.from_bytes(account.data[:PLAIN_ACCOUNT])
    return Held(found.owner, found.mint, found.amount, account.owner)


def read_mint(account: Account | None) -> Mint | None:
    if account is None or account.owner not in PROGRAM_NAMES or read_holding(account) is not None:
        return None
    return Mint.from_bytes(account.data[:PLAIN_MINT]) if len(account.data) >= PLAIN_MINT else None


def associated(owner: Pubkey, of: Pubkey, program: Pubkey) -> Pubkey:
    return get_associated_token_address(owner, of, program)
