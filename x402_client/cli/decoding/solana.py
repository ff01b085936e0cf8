"""Reads the transaction inside of a Solana payment: its instructions, its signers, and whom it pays."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Any

from ...chains.solana_address import is_address
from ...chains.tokens import Tokens
from ...model.counts import counted
from ...model.money import Token
from ...model.offers import words
from ...schemes.solana_message import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from ..balances import token_account, whole_tokens
from .findings import Reading

_COMPUTE = "ComputeBudget111111111111111111111111111111"
_MEMO = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"
_TOKENS = (TOKEN_PROGRAM, TOKEN_2022_PROGRAM)
_MOST_UNITS, _MOST_PRICE = 100_000, 1_000_000
_PLACE = "payload.transaction"
#: Stands for an account that is not among those of the transaction.
_NOWHERE = "?"


@dataclass(frozen=True, slots=True)
class _Transfer:
    """A TransferChecked instruction, as it stands in the transaction."""

    program: str
    source: str
    mint: str
    target: str
    owner: str
    amount: int
    decimals: int


def read_transaction(text: Any, accepted: dict[str, Any], network: str | None, reading: Reading) -> None:
    """Read all that can be said about a transaction without asking the chain."""
    made = _opened(text)
    if made is None or not made.message.account_keys:
        reading.wrong(_PLACE, "it is not the base64 of a Solana transaction")
        return
    message = made.message
    keys = [str(key) for key in message.account_keys]
    if getattr(message, "address_table_lookups", None):
        reading.note(_PLACE, "it uses address lookup tables; those accounts are not shown")
    reading.fact("fee payer", keys[0])
    extra = accepted.get("extra")
    if isinstance(extra, dict) and keys[0] != extra.get("feePayer", keys[0]):
        reading.wrong(_PLACE, "its fee payer is not the offer's extra.feePayer")
    reading.fact("recent blockhash", str(message.recent_blockhash))
    transfers = []
    for position, instruction in enumerate(message.instructions, start=1):
        program = keys[instruction.program_id_index] if instruction.program_id_index < len(keys) else _NOWHERE
        accounts = [keys[index] if index < len(keys) else _NOWHERE for index in instruction.accounts]
        transfer = _instruction(f"instruction {position}", program, accounts, bytes(instruction.data), network, reading)
        transfers += [transfer] if transfer else []
    if len(transfers) != 1:
        reading.wrong(_PLACE, f"it has {len(transfers)} token transfers; a payment has one")
    for transfer in transfers[:1]:
        _as_accepted(transfer, accepted, reading)
    _signatures(made, keys, transfers, reading)


def _opened(text: Any) -> Any:
    from solders.transaction import VersionedTransaction

    try:
        return VersionedTransaction.from_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, TypeError):
        return None


def _instruction(
    name: str, program: str, accounts: list[str], data: bytes, network: str | None, reading: Reading
) -> _Transfer | None:
    if program == _COMPUTE:
        _compute(name, data, reading)
    elif program == _MEMO:
        reading.fact(name, f"memo {data.decode('utf-8', 'replace')!r}")
    elif program in _TOKENS and _NOWHERE in accounts:
        reading.wrong(name, "it names an account that does not stand in the transaction, so it cannot be read")
    elif program in _TOKENS and data[:1] == b"\x0c" and len(data) == 10 and len(accounts) == 4:
        source, mint, target, owner = accounts
        transfer = _Transfer(program, source, mint, target, owner, int.from_bytes(data[1:9], "little"), data[9])
        token = _token(transfer, network)
        what = f"{whole_tokens(transfer.amount, token)} {token.symbol or transfer.mint}"
        reading.fact(name, f"transfer {what} from {transfer.source} to {transfer.target}")
        if token.symbol and token.decimals != transfer.decimals:
            reading.wrong(name, f"it says {counted(transfer.decimals, 'decimal')}; {token.symbol} has {token.decimals}")
        return transfer
    else:
        reading.wrong(name, f"it calls {words(program, 60)}, which has no place in a payment")
    return None


def _token(transfer: _Transfer, network: str | None) -> Token:
    known = Tokens().find(network, transfer.mint) if network else None
    return replace(known, program=transfer.program) if known else Token(
        network or "solana", transfer.mint, decimals=min(transfer.decimals, 36), program=transfer.program
    )  # fmt: skip


def _compute(name: str, data: bytes, reading: Reading) -> None:
    number = int.from_bytes(data[1:], "little")
    if data[:1] == b"\x02":
        reading.fact(name, f"compute limit {counted(number, 'unit')}")
        if number >= _MOST_UNITS:
            reading.wrong(name, f"facilitators refuse a limit of {_MOST_UNITS} units or more")
    elif data[:1] == b"\x03":
        reading.fact(name, f"compute price {number} micro-lamports a unit")
        if number > _MOST_PRICE:
            reading.wrong(name, f"facilitators refuse a price above {_MOST_PRICE}")
    else:
        reading.wrong(name, "it is a compute budget instruction that has no place in a payment")


def _as_accepted(transfer: _Transfer, accepted: dict[str, Any], reading: Reading) -> None:
    reading.fact("paid by", transfer.owner)
    asks, to, asset = accepted.get("amount"), accepted.get("payTo"), accepted.get("asset")
    if asks is not None and str(transfer.amount) != str(asks):
        reading.wrong(_PLACE, f"it transfers {transfer.amount}, and the offer asks {words(str(asks), 80)}")
    if isinstance(asset, str) and is_address(asset) and asset != transfer.mint:
        reading.wrong(_PLACE, "it transfers another token than the offer asks for")
    if isinstance(to, str) and is_address(to):
        token = Token("solana", transfer.mint, program=transfer.program)
        if token_account(to, token) != transfer.target:
            reading.wrong(_PLACE, "its destination is not the token account of the offer's payTo")
    elif not accepted:
        reading.note(_PLACE, "version 1 does not say whom the offer pays; compare the destination yourself")


def _signatures(made: Any, keys: list[str], transfers: list[_Transfer], reading: Reading) -> None:
    from solders.message import to_bytes_versioned
    from solders.pubkey import Pubkey
    from solders.signature import Signature

    signed = to_bytes_versioned(made.message)
    for key, signature in zip(keys, made.signatures, strict=False):
        if signature == Signature.default():
            later = " (the fee payer does so at the end)" if key == keys[0] else ""
            reading.facts.append(("not signed yet", f"{key}{later}"))
        elif signature.verify(Pubkey.from_string(key), signed):
            reading.facts.append(("signed by", f"{key}; the signature is not shown"))
        else:
            reading.wrong(_PLACE, f"the signature that stands for {key} is not by it")
    for transfer in transfers:
        if transfer.owner == keys[0]:
            reading.wrong(_PLACE, "the buyer is the fee payer; the seller's side has to be")
        if transfer.owner not in keys[: len(made.signatures)]:
            reading.wrong(_PLACE, "the owner of the tokens is not among its signers")
