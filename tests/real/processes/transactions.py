"""Signed transactions as they come in: legacy, EIP-2930 and EIP-1559."""

from __future__ import annotations

from dataclasses import dataclass

import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak


class BadTransaction(ValueError):
    pass


@dataclass(frozen=True)
class Transaction:
    hash: str
    kind: int
    chain_id: int
    sender: str
    nonce: int
    to: str
    value: int
    data: bytes
    gas: int
    max_fee: int
    tip: int
    v: int
    r: int
    s: int


def parse(raw: bytes) -> Transaction:
    kind = raw[0] if raw[:1] < b"\x80" else 0
    try:
        fields = rlp.decode(raw[1:] if kind else raw, strict=True)
        return _from_fields(raw, kind, fields)
    except BadTransaction:
        raise
    except Exception as error:  # rlp and eth_keys have a dozen exceptions for bytes that make no sense
        raise BadTransaction(f"invalid transaction: {error}") from error


def _from_fields(raw: bytes, kind: int, fields: list[bytes]) -> Transaction:
    numbers = [int.from_bytes(field, "big") if isinstance(field, bytes) else 0 for field in fields]
    v, r, s = numbers[-3:]
    if kind == 0:
        nonce, tip, gas, _, value = numbers[:5]
        # Without EIP-155 it names no chain: 0. The official facilitator deploys a wallet (ERC-6492) by such a one.
        max_fee, to, data, chain_id = tip, fields[3], fields[5], (v - 35) // 2 if v >= 35 else 0
    elif kind == 1:
        chain_id, nonce, tip, gas, _, value = numbers[:6]
        max_fee, to, data = tip, fields[4], fields[6]
    elif kind == 2:
        chain_id, nonce, tip, max_fee, gas, _, value = numbers[:7]
        to, data = fields[5], fields[7]
    else:
        raise BadTransaction("transaction type not supported")
    if len(to) != 20:
        raise BadTransaction("contract creation is not supported on this test chain: use test_placeCode")
    return Transaction(
        hash="0x" + keccak(raw).hex(),
        kind=kind,
        chain_id=chain_id,
        sender=Account.recover_transaction(raw),
        nonce=nonce,
        to=to_checksum_address(to),
        value=value,
        data=data,
        gas=gas,
        max_fee=max_fee,
        tip=tip,
        v=v,
        r=r,
        s=s,
    )
