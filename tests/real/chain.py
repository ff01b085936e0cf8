"""The test's view of the chain: what is on it, seen over JSON-RPC with nothing of the library in between."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import httpx

CHAIN_ID = 84532
USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3"
_ALLOWANCE = "dd62ed3e"
_NONCE_BITMAP = "4fe02b44"
_BALANCE_OF = "70a08231"
_AUTHORIZATION_STATE = "e94a0102"


class RpcFailed(Exception):
    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error["code"]
        self.data: Any = error.get("data")


@dataclass(frozen=True)
class Transfer:
    sender: str
    to: str
    value: int
    tx_hash: str
    block: int


class Chain:
    """Addresses come back in lower case. `shared`: other tests use it too, so its clock must not be moved."""

    def __init__(self, url: str, *, shared: bool = False) -> None:
        self.url = url
        self._shared = shared
        self._ids = itertools.count(1)
        self._http = httpx.Client(timeout=20, trust_env=False)

    def rpc(self, method: str, *params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        answer = self._http.post(self.url, json=request).json()
        if "error" in answer:
            raise RpcFailed(answer["error"])
        return answer["result"]

    def close(self) -> None:
        self._http.close()

    # --- what is there

    def balance(self, address: str, token: str = USDC) -> int:
        return int(self._view(token, _BALANCE_OF + _word(address)), 16)

    def authorization_used(self, address: str, nonce: str, token: str = USDC) -> bool:
        return int(self._view(token, _AUTHORIZATION_STATE + _word(address) + _word(nonce)), 16) == 1

    def allowance(self, owner: str, token: str = USDC, spender: str = PERMIT2) -> int:
        return int(self._view(token, _ALLOWANCE + _word(owner) + _word(spender)), 16)

    def permit_used(self, address: str, nonce: str) -> bool:
        """Whether the bit of a Permit2 nonce, in decimal, is set."""
        word, bit = divmod(int(nonce), 256)
        return bool(int(self._view(PERMIT2, _NONCE_BITMAP + _word(address) + f"{word:064x}"), 16) >> bit & 1)

    def block(self) -> int:
        return int(self.rpc("eth_blockNumber"), 16)

    def timestamp(self) -> int:
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def receipt(self, tx_hash: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.rpc("eth_getTransactionReceipt", tx_hash)
        return found

    def transfers(self, since_block: int, token: str = USDC) -> list[Transfer]:
        """Those in blocks after that one (take `block()` before you pay); minting is not a transfer."""
        wanted = {"address": token, "fromBlock": hex(since_block + 1), "topics": [TRANSFER_TOPIC]}
        if self.block() <= since_block:
            return []
        found = [_transfer(log) for log in self.rpc("eth_getLogs", wanted)]
        return [one for one in found if int(one.sender, 16)]

    # --- what a test changes

    def mint(self, address: str, amount: int, token: str = USDC) -> None:
        self.rpc("test_mint", token, address, amount)

    def approve(self, owner: str, amount: int, token: str = USDC, spender: str = PERMIT2) -> None:
        """What the owner would do by a transaction of their own."""
        self.rpc("test_approve", token, owner, spender, amount)

    def fund(self, address: str, wei: int = 10**18) -> None:
        """Gas money, for a test that sends transactions of its own."""
        self.rpc("test_fund", address, wei)

    def place_token(self, address: str, name: str, version: str = "1", decimals: int = 6) -> None:
        self.rpc("test_placeToken", address, name, version, decimals)

    def mine(self, blocks: int = 1) -> None:
        self.rpc("test_mine", blocks)

    def advance(self, seconds: float) -> None:
        """The chain's clock only: facilitator and sellers keep the real time, and there is no way back."""
        if self._shared:
            raise RuntimeError("this chain is shared: a test that moves its clock takes the fixture own_world")
        self.rpc("test_advanceTime", seconds)

    def _view(self, token: str, data: str) -> str:
        answer: str = self.rpc("eth_call", {"to": token, "data": "0x" + data}, "latest")
        return answer


def _word(value: str) -> str:
    return value.removeprefix("0x").lower().zfill(64)


def _transfer(log: dict[str, Any]) -> Transfer:
    sender, to = ("0x" + topic[-40:] for topic in log["topics"][1:3])
    return Transfer(sender, to, int(log["data"], 16), log["transactionHash"], int(log["blockNumber"], 16))
