"""Blocks, transactions, receipts and logs as a node shows them in JSON."""

from __future__ import annotations

from typing import Any

from blocks import Block, Included
from state import BASE_FEE, BLOCK_GAS, Log
from transactions import Transaction

NOTHING = "0x" + "00" * 32
ANY_LOG = "0x" + "ff" * 256  # a bloom filter may say "perhaps" to everything, never a wrong "no"


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


def word(number: int) -> str:
    return f"0x{number:064x}"


def block(one: Block, transactions: list[Any] | None) -> dict[str, Any]:
    return {
        "number": hex(one.when.number),
        "hash": one.hash,
        "parentHash": one.parent,
        "timestamp": hex(one.when.timestamp),
        "baseFeePerGas": hex(BASE_FEE),
        "gasLimit": hex(BLOCK_GAS),
        "gasUsed": hex(one.gas_used),
        "transactions": list(one.transactions) if transactions is None else transactions,
        "logsBloom": ANY_LOG,
        "stateRoot": NOTHING,
        "transactionsRoot": NOTHING,
        "receiptsRoot": NOTHING,
        "sha3Uncles": NOTHING,
        "mixHash": NOTHING,
        "uncles": [],
        "miner": "0x" + "00" * 20,
        "nonce": "0x" + "00" * 8,
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "extraData": "0x",
        "size": "0x400",
    }


def transaction(one: Transaction, included: Included | None) -> dict[str, Any]:
    price = included.gas_price if included else one.max_fee
    view: dict[str, Any] = {
        "hash": one.hash,
        "type": hex(one.kind),
        "chainId": hex(one.chain_id),
        "from": one.sender.lower(),
        "to": one.to.lower(),
        "nonce": hex(one.nonce),
        "value": hex(one.value),
        "input": hexed(one.data),
        "gas": hex(one.gas),
        "gasPrice": hex(price),
        "blockHash": included and included.block.hash,
        "blockNumber": included and hex(included.block.when.number),
        "transactionIndex": "0x0" if included else None,
        "v": hex(one.v),
        "r": hex(one.r),
        "s": hex(one.s),
    }
    if one.kind == 2:
        view |= {"maxFeePerGas": hex(one.max_fee), "maxPriorityFeePerGas": hex(one.tip), "accessList": []}
    return view


def receipt(included: Included) -> dict[str, Any]:
    one, outcome = included.transaction, included.outcome
    return {
        "transactionHash": one.hash,
        "transactionIndex": "0x0",
        "blockHash": included.block.hash,
        "blockNumber": hex(included.block.when.number),
        "from": one.sender.lower(),
        "to": one.to.lower(),
        "contractAddress": None,
        "type": hex(one.kind),
        "status": "0x0" if outcome.error else "0x1",
        "gasUsed": hex(outcome.gas_used),
        "cumulativeGasUsed": hex(outcome.gas_used),
        "effectiveGasPrice": hex(included.gas_price),
        "logsBloom": ANY_LOG,
        "logs": [log(included.block, one.hash, index, entry) for index, entry in enumerate(outcome.logs)],
    }


def log(inside: Block, tx_hash: str, index: int, one: Log) -> dict[str, Any]:
    return {
        "address": one.address.lower(),
        "topics": list(one.topics),
        "data": hexed(one.data),
        "blockHash": inside.hash,
        "blockNumber": hex(inside.when.number),
        "transactionHash": tx_hash,
        "transactionIndex": "0x0",
        "logIndex": hex(index),
        "removed": False,
    }


def matches(one: Log, address: Any, topics: list[Any]) -> bool:
    """`address` is one or a list; a topic is one, a list of alternatives, or null for anything."""
    if address is not None and not _among(one.address, address):
        return False
    if len(topics) > len(one.topics):
        return False
    return all(wanted is None or _among(topic, wanted) for topic, wanted in zip(one.topics, topics, strict=False))


def _among(value: str, wanted: Any) -> bool:
    choices = [wanted] if isinstance(wanted, str) else wanted
    return value.lower() in [choice.lower() for choice in choices]
