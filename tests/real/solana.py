"""The test's view of the Solana chain: what is on it, what the buyer asked of it, and what a test may break."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address

from .chain import RpcFailed

SOLANA_NETWORK = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"
SOLANA_NETWORK_V1 = "solana-devnet"
USDC_DEVNET = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"
PYUSD_DEVNET = "CXk2AMBfi3TwaEL2468s6zP8xq9NxTXjp9gjMgzeUynM"
TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
TOKEN_PROGRAMS = {USDC_DEVNET: TOKEN, PYUSD_DEVNET: TOKEN_2022}
DECIMALS = 6
SLOT_SECONDS = 0.4
BLOCKHASH_SLOTS = 150
FINAL_SLOTS = 32
EVERY_METHOD = "*"


class _Keypair(Protocol):
    def pubkey(self) -> Pubkey: ...


Owner = str | Pubkey | _Keypair


@dataclass(frozen=True)
class SolanaTransfer:
    sender: str
    to: str
    mint: str
    amount: int
    signature: str
    slot: int


def address(owner: Owner) -> str:
    return str(owner if isinstance(owner, str | Pubkey) else owner.pubkey())


def token_account(owner: Owner, mint: str = USDC_DEVNET) -> Pubkey:
    program = Pubkey.from_string(TOKEN_PROGRAMS[mint])
    return get_associated_token_address(Pubkey.from_string(address(owner)), Pubkey.from_string(mint), program)


class SolanaChain:
    """Owners, not token accounts, are named everywhere; a Keypair names its owner.

    `url` is the buyer's way in: only what comes through it is counted, delayed, refused, spoiled or answered late.
    The facilitator ("facilitator"), the seller's hints ("seller") and this view have ways of their own; `door` aims
    a fault at one of the first two. `shared`: other tests use the chain too, so it must not be jumped or troubled.
    """

    def __init__(self, url: str, *, shared: bool = False) -> None:
        self.url = url
        self._shared = shared
        self._ids = itertools.count(1)
        self._http = httpx.Client(timeout=20, trust_env=False)

    def rpc(self, method: str, *params: Any) -> Any:
        """Past all faults, and not counted."""
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        answer = self._http.post(self.url + "/test", json=request).json()
        if "error" in answer:
            raise RpcFailed(answer["error"])
        return answer["result"]

    def close(self) -> None:
        self._http.close()

    # --- what is there

    def slot(self) -> int:
        return int(self.rpc("getSlot", {"commitment": "processed"}))

    def blockhash(self, commitment: str = "confirmed") -> str:
        return str(self.rpc("getLatestBlockhash", {"commitment": commitment})["value"]["blockhash"])

    def balance(self, owner: Owner, mint: str = USDC_DEVNET) -> int:
        """0 too if there is no account."""
        options = {"encoding": "jsonParsed", "commitment": "processed"}
        found = self.rpc("getAccountInfo", str(token_account(owner, mint)), options)["value"]
        return int(found["data"]["parsed"]["info"]["tokenAmount"]["amount"]) if found else 0

    def lamports(self, owner: Owner) -> int:
        return int(self.rpc("getBalance", address(owner), {"commitment": "processed"})["value"])

    def transaction(self, signature: str) -> dict[str, Any] | None:
        """jsonParsed, failed ones too; None if it never landed."""
        options = {"encoding": "jsonParsed", "commitment": "confirmed", "maxSupportedTransactionVersion": 0}
        found: dict[str, Any] | None = self.rpc("getTransaction", signature, options)
        return found

    def transfers(self, since: int) -> list[SolanaTransfer]:
        """Those that really happened in that slot and after it; minting is none.

        Take `slot()` before you pay. A slot is long: what others did in that very slot is there too.
        """
        return [SolanaTransfer(**one) for one in self.rpc("test_transfers", since)]

    def calls(self, door: str = "") -> dict[str, int]:
        """By RPC method, since the start or `reset_calls`; every test of a shared chain adds to them."""
        found: dict[str, int] = self.rpc("test_calls", door)
        return found

    def reset_calls(self, door: str = "") -> None:
        self.rpc("test_resetCalls", door)

    # --- what a test changes

    def mint_to(self, owner: Owner, amount: int, mint: str = USDC_DEVNET) -> None:
        """Makes the owner's account too: with an amount of 0, that is all."""
        self.rpc("test_mintTo", address(owner), amount, mint)

    def fund(self, owner: Owner, lamports: int = 10**9) -> None:
        """SOL, for a test that sends transactions of its own; buyers need none."""
        self.rpc("test_fund", address(owner), lamports)

    def jump(self, slots: int) -> None:
        """The chain's clock only; there is no way back. A blockhash from before dies after 150 slots."""
        self._alone()
        self.rpc("test_jump", slots)

    def confirm_after(self, slots: int) -> None:
        """What lands is `processed` for so long; 0, the start, confirms at once, which facilitators wait for."""
        self._alone()
        self.rpc("test_confirmAfter", slots)

    # --- what a test breaks

    def drop_sends(self, count: int = 1) -> None:
        """The next transactions sent, by anybody, are accepted and never land."""
        self._alone()
        self.rpc("test_holdSends", count, None)

    def hold_sends(self, slots: int, count: int = 1) -> None:
        """They land so much later, if their blockhash still lives then."""
        self._alone()
        self.rpc("test_holdSends", count, slots)

    def fail_sends(self, count: int = 1) -> None:
        """They land as failed, as if the buyer's money had gone since the simulation; it is there again after."""
        self._alone()
        self.rpc("test_failSends", count)

    def delay(self, milliseconds: float, *methods: str, door: str = "") -> None:
        self._alone()
        self.rpc("test_delay", methods or [EVERY_METHOD], milliseconds, door)

    def refuse(self, calls: int, *methods: str, door: str = "") -> None:
        """Status 429 for the next calls, of any method if none is named."""
        self._alone()
        self.rpc("test_refuse", methods or [EVERY_METHOD], calls, door)

    def spoil(self, calls: int, *methods: str, door: str = "") -> None:
        """A page of HTML with status 200."""
        self._alone()
        self.rpc("test_garbage", methods or [EVERY_METHOD], calls, door)

    def lag(self, slots: int, door: str = "") -> None:
        """A node that is behind: it knows nothing newer, blockhashes included."""
        self._alone()
        self.rpc("test_lag", slots, door)

    def mend(self, door: str = "") -> None:
        """Ends delay, refuse, spoil and lag."""
        self.rpc("test_mend", door)

    def _alone(self) -> None:
        if self._shared:
            raise RuntimeError("this chain is shared: a test that jumps or breaks it takes the fixture own_world")
