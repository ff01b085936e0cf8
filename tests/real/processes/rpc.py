"""The node's JSON-RPC methods over blocks.Chain, answering and failing the way geth does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonrpc
import views
from blocks import BACKLOG, FINAL_DEPTH, FIRST_BLOCK, SAFE_DEPTH, TIP, Block, Chain, Rejected
from eth_abi.abi import decode
from eth_utils.address import to_checksum_address
from jsonrpc import RpcError
from state import BASE_FEE, CALL_GAS, InvalidTransaction, Message, Outcome, State, When
from transactions import BadTransaction, parse

ZERO_ADDRESS = "0x" + "00" * 20
ERROR_STRING = bytes.fromhex("08c379a0")
GAS_PRICE = BASE_FEE + TIP


class Node:
    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._methods: dict[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(chain.chain_id),
            "net_version": lambda: str(chain.chain_id),
            "net_listening": lambda: True,
            "web3_clientVersion": lambda: "x402-buyer-tests/1",
            "eth_syncing": lambda: False,
            "eth_accounts": list,
            "eth_blockNumber": lambda: hex(chain.head.when.number),
            "eth_gasPrice": lambda: hex(GAS_PRICE),
            "eth_maxPriorityFeePerGas": lambda: hex(TIP),
            "eth_feeHistory": self.fee_history,
            "eth_getBlockByNumber": self.block_by_number,
            "eth_getBlockByHash": self.block_by_hash,
            "eth_call": self.call,
            "eth_estimateGas": self.estimate_gas,
            "eth_getBalance": lambda address, block="latest": hex(self._state(block).balance(_address(address))),
            "eth_getCode": lambda address, block="latest": views.hexed(self._state(block).code(_address(address))),
            "eth_getStorageAt": self.storage_at,
            "eth_getTransactionCount": self.transaction_count,
            "eth_sendRawTransaction": self.send_raw,
            "eth_getTransactionReceipt": self.receipt,
            "eth_getTransactionByHash": self.transaction,
            "eth_getLogs": self.logs,
            "test_mint": lambda token, to, amount: chain.mint(_address(token), _address(to), int(amount)),
            "test_approve": lambda token, owner, spender, amount: chain.approve(
                _address(token), _address(owner), _address(spender), int(amount)
            ),
            "test_placeToken": lambda at, name, version, decimals: chain.place_token(
                _address(at), name, version, decimals
            ),
            "test_placeCode": lambda address, code: chain.place_code(_address(address), _data(code)),
            "test_send": lambda to, data: chain.send(_address(to), _data(data)),
            "test_fund": lambda address, wei: chain.fund(_address(address), int(wei)),
            "test_advanceTime": lambda seconds: chain.advance(float(seconds)),
            "test_mine": lambda count=1: chain.mine(int(count)),
        }

    def answer(self, request: Any) -> Any:
        self.chain.catch_up()
        return jsonrpc.answer(request, self._run)

    def _run(self, name: str, params: Any) -> Any:
        method = self._methods.get(name)
        if method is None:
            raise RpcError(-32601, f"the method {name} does not exist/is not available")
        try:
            return method(*params)
        except (Rejected, BadTransaction, InvalidTransaction) as error:
            raise RpcError(-32000, str(error)) from error
        except (TypeError, ValueError, KeyError) as error:
            raise RpcError(-32602, f"invalid argument: {error}") from error

    # --- blocks

    def _find(self, tag: Any) -> Block | None:
        chain, head = self.chain, self.chain.head
        if isinstance(tag, dict):  # EIP-1898
            return chain.by_hash.get(tag["blockHash"]) if "blockHash" in tag else self._find(tag["blockNumber"])
        depth = {"latest": 0, "pending": 0, "safe": SAFE_DEPTH, "finalized": FINAL_DEPTH}.get(tag)
        if depth is not None:
            return chain.block(head.when.number - depth)
        return chain.block(FIRST_BLOCK if tag == "earliest" else int(tag, 16))

    def _state(self, tag: Any) -> State:
        return self.chain.history.after(self._when(tag).number)

    def _when(self, tag: Any) -> When:
        if (block := self._find(tag)) is None:
            raise RpcError(-32000, "header not found")
        return block.when

    def block_by_number(self, tag: str, full: bool = False) -> Any:
        return self._view(self._find(tag), full)

    def block_by_hash(self, block_hash: str, full: bool = False) -> Any:
        return self._view(self.chain.by_hash.get(block_hash), full)

    def _view(self, block: Block | None, full: bool) -> Any:
        if block is None:
            return None
        return views.block(block, [self.transaction(one) for one in block.transactions] if full else None)

    def fee_history(self, count: Any, newest: Any, percentiles: Any = ()) -> Any:
        size = min(int(count, 16) if isinstance(count, str) else int(count), BACKLOG)
        return {
            "oldestBlock": hex(self._when(newest).number - size + 1),
            "baseFeePerGas": [hex(BASE_FEE)] * (size + 1),
            "gasUsedRatio": [0.1] * size,
            "reward": [[hex(TIP)] * len(percentiles or ())] * size,
        }

    # --- calls

    def call(self, request: dict[str, Any], tag: Any = "latest", overrides: Any = None) -> str:
        return views.hexed(self._try(request, tag).output)

    def estimate_gas(self, request: dict[str, Any], tag: Any = "latest") -> str:
        # More than was used: calls keep back one 64th of the gas, and refunds, up to a fifth, come only at the end.
        # Like a node this goes on until the transaction succeeds.
        enough = self._try(request, tag).gas_used * 5 // 4
        while enough < CALL_GAS and self.chain.try_out(self._message(request | {"gas": hex(enough)}, tag)).error:
            enough += enough // 8
        return hex(enough)

    def _try(self, request: dict[str, Any], tag: Any) -> Outcome:
        outcome = self.chain.try_out(self._message(request, tag))
        if outcome.error == "revert":
            raise RpcError(3, "execution reverted" + _reason(outcome.output), views.hexed(outcome.output))
        if outcome.error:
            raise RpcError(-32000, outcome.error)
        return outcome

    def _message(self, request: dict[str, Any], tag: Any) -> Message:
        return Message(
            self._when(tag),
            sender=_address(request.get("from") or ZERO_ADDRESS),
            to=_address(request["to"]) if request.get("to") else None,
            data=_data(request.get("input") or request.get("data") or "0x"),
            value=int(request.get("value") or "0x0", 16),
            gas=min(int(request.get("gas") or hex(CALL_GAS), 16), CALL_GAS),
        )

    def storage_at(self, address: str, slot: str, tag: Any = "latest") -> str:
        return views.word(self._state(tag).storage(_address(address), int(slot, 16)))

    # --- transactions

    def transaction_count(self, address: str, tag: Any = "latest") -> str:
        return hex(self.chain.nonce(_address(address), pending=tag == "pending"))

    def send_raw(self, raw: str) -> str:
        return self.chain.submit(parse(_data(raw)))

    def receipt(self, tx_hash: str) -> Any:
        included = self.chain.included.get(tx_hash.lower())
        return included and views.receipt(included)

    def transaction(self, tx_hash: str) -> Any:
        if included := self.chain.included.get(tx_hash.lower()):
            return views.transaction(included.transaction, included)
        waiting = self.chain.waiting(tx_hash.lower())
        return waiting and views.transaction(waiting, None)

    def logs(self, wanted: dict[str, Any]) -> list[Any]:
        if "blockHash" in wanted:
            first = last = self._when({"blockHash": wanted["blockHash"]}).number
        else:
            first = self._when(wanted.get("fromBlock") or "latest").number
            tag = wanted.get("toBlock") or "latest"
            last = self._when(tag).number if self._find(tag) else self.chain.head.when.number
        blocks = [self.chain.block(number) for number in range(first, last + 1)]
        found = [(block, *entry) for block in blocks if block for entry in self.chain.logs_of(block)]
        return [
            views.log(block, tx_hash, index, log)
            for block, tx_hash, index, log in found
            if views.matches(log, wanted.get("address"), wanted.get("topics") or [])
        ]


def _reason(output: bytes) -> str:
    if output[:4] != ERROR_STRING:
        return ""
    return f": {decode(['string'], output[4:])[0]}"


def _address(text: str) -> str:
    if len(text) != 42:
        raise ValueError(f"not an address: {text!r}")
    return to_checksum_address(text)


def _data(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
