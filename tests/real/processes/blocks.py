"""The chain: blocks that come with time, one transaction to a block, receipts and logs. No JSON here."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from contracts import PERMIT2, call_data, runtime_code
from eth_utils.crypto import keccak
from state import BASE_FEE, CALL_GAS, Fund, History, InvalidTransaction, Log, Message, Outcome, Place, When
from transactions import Transaction

BLOCK_SECONDS = 2
FIRST_BLOCK = 20_000_000  # nothing should depend on a small number
BACKLOG = 64  # blocks that exist from the start, and at least as many after a jump of the clock
SAFE_DEPTH = 8
FINAL_DEPTH = 16
TIP = 1_000_000
MINTER = "0x00000000000000000000000000000000000C0FfE"
MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"


class Rejected(Exception):
    """The node does not take this transaction."""


@dataclass(frozen=True)
class Block:
    when: When
    hash: str
    parent: str
    transactions: tuple[str, ...] = ()
    gas_used: int = 0


@dataclass(frozen=True)
class Included:
    transaction: Transaction
    block: Block
    outcome: Outcome
    gas_price: int


class Chain:
    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id
        self.history = History(chain_id)
        self.blocks: list[Block] = []
        self.by_hash: dict[str, Block] = {}
        self.included: dict[str, Included] = {}
        self._waiting: dict[tuple[str, int], Transaction] = {}  # their turn has not come: a lower nonce is missing
        self._nonces: dict[str, int] = {}
        self._ahead = 0.0
        self._append(int(self.now()) - BACKLOG * BLOCK_SECONDS)
        self.place_code(MULTICALL3, runtime_code("Multicall"))
        for name, address in PERMIT2.items():
            self.place_code(address, runtime_code(name))

    # --- time and blocks

    def now(self) -> float:
        return time.time() + self._ahead

    @property
    def head(self) -> Block:
        return self.blocks[-1]

    def catch_up(self) -> None:
        """Adds the empty blocks that a real chain would have made since the last question."""
        now = int(self.now())
        start = max(self.head.when.timestamp, now - BACKLOG * BLOCK_SECONDS)
        for timestamp in range(start + BLOCK_SECONDS, now + 1, BLOCK_SECONDS):
            self._append(timestamp)

    def advance(self, seconds: float) -> None:
        self._ahead += seconds
        self.catch_up()

    def mine(self, count: int) -> None:
        for _ in range(count):
            self._append(self._next().timestamp)

    def block(self, number: int) -> Block | None:
        place = number - FIRST_BLOCK
        if place < 0 <= number:  # nothing happened before, as on a chain that is older than what is kept of it here
            when = When(number, self.blocks[0].when.timestamp + place * BLOCK_SECONDS)
            return Block(when, "0x" + number.to_bytes(32).hex(), "0x" + (number - 1).to_bytes(32).hex())
        return self.blocks[place] if 0 <= place < len(self.blocks) else None

    def _next(self) -> When:
        return When(self.head.when.number + 1, max(int(self.now()), self.head.when.timestamp))

    def _append(self, timestamp: int, transactions: tuple[str, ...] = (), gas_used: int = 0) -> Block:
        parent = self.blocks[-1].hash if self.blocks else "0x" + "00" * 32
        number = FIRST_BLOCK + len(self.blocks)
        digest = keccak(text=f"{parent} {number} {timestamp} {transactions}").hex()
        block = Block(When(number, timestamp), "0x" + digest, parent, transactions, gas_used)
        self.blocks.append(block)
        self.by_hash[block.hash] = block
        return block

    # --- changes that need no signature

    def place_code(self, address: str, code: bytes) -> None:
        self.history.apply(Place(self._next(), address, code))
        self._append(self._next().timestamp)

    def place_token(self, address: str, name: str, version: str, decimals: int) -> None:
        self.place_code(address, runtime_code("Token"))
        settings = call_data("initialize(string,string,string,uint8)", name, name, version, decimals)
        self._include(_unsigned(self, address, settings))

    def mint(self, token: str, to: str, amount: int) -> str:
        return self._include(_unsigned(self, token, call_data("mint(address,uint256)", to, amount)))

    def send(self, to: str, data: bytes) -> str:
        return self._include(_unsigned(self, to, data))

    def approve(self, token: str, owner: str, spender: str, amount: int) -> None:
        data = call_data("approve(address,uint256)", spender, amount)
        self.history.apply(Message(self._next(), owner, token, data))
        self._append(self._next().timestamp)

    def fund(self, address: str, wei: int) -> None:
        self.history.apply(Fund(self._next(), address, wei))
        self._append(self._next().timestamp)

    # --- transactions

    def nonce(self, address: str, *, pending: bool = False) -> int:
        nonce = self._nonces.get(address, 0)
        while pending and (address, nonce) in self._waiting:
            nonce += 1
        return nonce

    def submit(self, transaction: Transaction) -> str:
        expected = self.nonce(transaction.sender)
        if transaction.hash in self.included or self.waiting(transaction.hash):
            raise Rejected("already known")
        if transaction.chain_id not in (self.chain_id, 0):
            raise Rejected(f"invalid chain id for signer: have {transaction.chain_id} want {self.chain_id}")
        if transaction.nonce < expected:
            raise Rejected(f"nonce too low: next nonce {expected}, tx nonce {transaction.nonce}")
        if transaction.max_fee < BASE_FEE:
            raise Rejected("max fee per gas less than block base fee")
        if transaction.nonce > expected:
            self._waiting[transaction.sender, transaction.nonce] = transaction
            return transaction.hash
        self._include(transaction)
        self._include_waiting(transaction.sender)
        return transaction.hash

    def waiting(self, tx_hash: str) -> Transaction | None:
        return next((one for one in self._waiting.values() if one.hash == tx_hash), None)

    def _include_waiting(self, sender: str) -> None:
        while follower := self._waiting.pop((sender, self.nonce(sender)), None):
            try:
                self._include(follower)
            except Rejected:  # it was accepted long ago; a node drops it without a word
                return

    def _include(self, transaction: Transaction) -> str:
        when = self._next()
        price = min(transaction.max_fee, BASE_FEE + transaction.tip)
        message = Message(
            when, transaction.sender, transaction.to, transaction.data, transaction.value, transaction.gas, price
        )
        try:
            outcome = self.history.apply(message)
        except InvalidTransaction as error:
            raise Rejected(str(error)) from error
        self._nonces[transaction.sender] = transaction.nonce + 1
        block = self._append(when.timestamp, (transaction.hash,), outcome.gas_used)
        self.included[transaction.hash] = Included(transaction, block, outcome, price)
        return transaction.hash

    def logs_of(self, block: Block) -> list[tuple[str, int, Log]]:
        """(transaction, index in the block, log): one transaction to a block keeps the counting simple."""
        return [
            (tx_hash, index, log)
            for tx_hash in block.transactions
            for index, log in enumerate(self.included[tx_hash].outcome.logs)
        ]

    def try_out(self, message: Message) -> Outcome:
        block = self.block(message.when.number) or self.head
        return self.history.after(block.when.number).try_out(replace(message, when=block.when))


def _unsigned(chain: Chain, to: str, data: bytes) -> Transaction:
    """A transaction of the test's own making; it costs nothing and its signature is made up."""
    nonce = chain.nonce(MINTER)
    return Transaction(
        hash="0x" + keccak(text=f"unsigned {nonce} {chain.chain_id}").hex(),
        kind=2,
        chain_id=chain.chain_id,
        sender=MINTER,
        nonce=nonce,
        to=to,
        value=0,
        data=data,
        gas=CALL_GAS,
        max_fee=0,
        tip=0,
        v=0,
        r=1,
        s=1,
    )
