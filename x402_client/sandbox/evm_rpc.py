"""Answers of the EVM chain over JSON-RPC: the reads that a buyer makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

from ..chains.evm import keccak
from ..chains.permit2_settlement import PERMIT2
from .evm import FIRST_BLOCK, SAFE_DEPTH, EvmChain
from .jsonrpc import RpcError
from .safes import CODE

#: The topic of AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce).
AUTHORIZATION_USED = "0x" + keccak(b"AuthorizationUsed(address,bytes32)").hex()
_IS_VALID = bytes.fromhex("1626ba7e")
_TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"  # Transfer(address,address,uint256)
_DEPTHS = {"latest": 0, "pending": 0, "safe": SAFE_DEPTH, "finalized": 2 * SAFE_DEPTH}


def methods(chain: EvmChain) -> dict[str, Callable[..., Any]]:
    """Return the methods by name."""
    return {
        "eth_chainId": lambda: hex(int(chain.token.network.partition(":")[2])),
        "net_version": lambda: chain.token.network.partition(":")[2],
        "eth_blockNumber": lambda: hex(chain.head()),
        "eth_getBlockByNumber": lambda tag, full=False: _block(chain, _number(chain, tag)),
        "eth_getBalance": lambda address, tag="latest": "0x0",
        "eth_getCode": lambda address, tag="latest": CODE if _is_contract(chain, address) else "0x",
        "eth_call": lambda call, tag="latest": _call(chain, call, _number(chain, tag)),
        "eth_getTransactionReceipt": lambda transaction: _receipt(chain, transaction),
        "eth_getTransactionByHash": lambda transaction: _transaction(chain, transaction),
        "eth_getLogs": lambda wanted: _logs(chain, wanted),
    }


def _number(chain: EvmChain, tag: str) -> int:
    if tag in _DEPTHS:
        return chain.head() - _DEPTHS[tag]
    return FIRST_BLOCK if tag == "earliest" else int(tag, 16)


def _block(chain: EvmChain, number: int) -> dict[str, Any] | None:
    if not FIRST_BLOCK <= number <= chain.head():
        return None
    return {
        "number": hex(number),
        "timestamp": hex(chain.timestamp(number)),
        "hash": _hash(number),
        "parentHash": _hash(number - 1),
        "transactions": [],
    }


def _call(chain: EvmChain, call: dict[str, str], block: int) -> str:
    if not FIRST_BLOCK <= block <= chain.head():
        raise RpcError(-32000, "header not found")
    data = str(call.get("data") or call.get("input") or "")
    if chain.safes.has(str(call.get("to"))):
        return _safe_says(chain, str(call["to"]), bytes.fromhex(data[2:]))
    selector, words = data[2:10], [data[at : at + 64] for at in range(10, len(data), 64)]
    if str(call.get("to")).lower() == PERMIT2.lower() and selector == "4fe02b44" and len(words) == 2:
        return _word(chain.permit2.bitmap("0x" + words[0][-40:], int(words[1], 16), block))
    if str(call.get("to")).lower() != chain.token.address.lower():
        return "0x"
    if selector == "dd62ed3e" and len(words) == 2 and words[1][-40:] == PERMIT2[2:].lower():
        return _word(chain.permit2.allowance("0x" + words[0][-40:]))
    if selector == "7ecebe00" and words:
        return _word(chain.permits.nonce("0x" + words[0][-40:]))
    if selector == "3644e515":
        return "0x" + chain.permits.separator.hex()
    if selector == "70a08231" and words:
        return _word(chain.balance("0x" + words[0][-40:], block))
    if selector == "e94a0102" and len(words) == 2:
        return _word(chain.used("0x" + words[0][-40:], "0x" + words[1], block))
    if selector == "313ce567":
        return _word(chain.token.decimals)
    raise RpcError(3, "execution reverted")


def _safe_says(chain: EvmChain, safe: str, data: bytes) -> str:
    """Answer isValidSignature(bytes32,bytes). A Safe gives up instead of saying no."""
    at = 4 + int.from_bytes(data[36:68])
    size = int.from_bytes(data[at : at + 32])
    if data[:4] != _IS_VALID or not chain.safes.takes(safe, data[4:36], data[at + 32 : at + 32 + size]):
        raise RpcError(3, "execution reverted: GS026")
    return "0x" + _IS_VALID.hex() + "0" * 56


def _is_contract(chain: EvmChain, address: str) -> bool:
    return chain.safes.has(address) or address.lower() == chain.token.address.lower()


def _receipt(chain: EvmChain, transaction: str) -> dict[str, Any] | None:
    block = chain.mined(transaction)
    if block is None:
        return None
    return {"transactionHash": transaction, "blockNumber": hex(block), "blockHash": _hash(block), "status": "0x1"}


def _transaction(chain: EvmChain, transaction: str) -> dict[str, Any] | None:
    """Return a settlement. Its calldata has the payment's nonce; the rest is left out."""
    moved = next((one for one in chain.transfers if one[1] == transaction), None)
    if moved is None:
        return None
    return {"hash": transaction, "blockNumber": hex(moved[0]), "from": moved[3], "input": f"0x{0:08x}{moved[2]:064x}"}


def _logs(chain: EvmChain, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the token's events in a range of blocks that fit ``topics``."""
    first, last = (_number(chain, wanted.get(name) or "latest") for name in ("fromBlock", "toBlock"))
    if str(wanted.get("address") or chain.token.address).lower() != chain.token.address.lower():
        return []
    asked = [None if topic is None else topic.lower() for topic in wanted.get("topics") or ()]
    return [
        {"address": chain.token.address, "blockNumber": hex(block), "transactionHash": transaction, "topics": topics,
         "data": data, "logIndex": "0x0", "removed": False}
        for block, transaction, topics, data in _events(chain)
        if first <= block <= last
        and all(want in (None, topic) for want, topic in zip_longest(asked, topics[: len(asked)]))
    ]  # fmt: skip


def _events(chain: EvmChain) -> Iterator[tuple[int, str, list[str], str]]:
    """Give block, transaction, topics and data of the events that the token keeps: used authorizations, transfers."""
    for payer, nonce, block, transaction in chain.uses():
        yield block, transaction, [AUTHORIZATION_USED, _topic(payer), nonce], "0x"
    for moved in list(chain.transfers):
        yield moved[0], moved[1], [_TRANSFER, _topic(moved[3]), _topic(moved[4])], _word(moved[5])


def _topic(address: str) -> str:
    return "0x" + address[2:].lower().zfill(64)


def _word(number: int) -> str:
    return f"0x{int(number):064x}"


def _hash(number: int) -> str:
    return "0x" + keccak(number.to_bytes(32)).hex()
