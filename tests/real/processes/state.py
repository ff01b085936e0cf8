"""What accounts and contracts hold: pyrevm, and a record of every change, so that older blocks can be asked too."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv, Env

CALL_GAS = 30_000_000
BASE_FEE = 1_000_000_000
BLOCK_GAS = 60_000_000

#: EIP-7702: the code of an account that is delegated, before the address that it is delegated to.
DELEGATED = bytes.fromhex("ef0100")
#: What the engine puts after the code of a contract that was created.
_PADDING = bytes(33)

_REVERT = re.compile(r"Revert \{ gas_used: (\d+), output: 0x([0-9a-f]*) \}")
_HALT = re.compile(r"Halt \{ reason: (.+), gas_used: (\d+) \}")


class InvalidTransaction(Exception):
    """The engine would not even start: the sender cannot pay, or the gas is below the minimum."""


@dataclass(frozen=True)
class When:
    number: int
    timestamp: int


@dataclass(frozen=True)
class Place:
    """Code appears at an address."""

    when: When
    address: str
    code: bytes


@dataclass(frozen=True)
class Fund:
    when: When
    address: str
    wei: int


@dataclass(frozen=True)
class Message:
    """A call; when it is applied as a change, `gas_price` is charged for the gas it used.

    To nobody, it is tried out as a contract's creation, whose output is the code that it would place."""

    when: When
    sender: str
    to: str | None
    data: bytes = b""
    value: int = 0
    gas: int = CALL_GAS
    gas_price: int = 0


@dataclass(frozen=True)
class Log:
    address: str
    topics: tuple[str, ...]
    data: bytes


@dataclass(frozen=True)
class Outcome:
    output: bytes
    gas_used: int
    error: str | None = None  # None: success; "revert": `output` is the revert data; else what stopped the machine
    logs: tuple[Log, ...] = ()


Change = Place | Fund | Message


class State:
    """One EVM. Each belongs to the thread that made it: pyrevm refuses to be touched from another."""

    def __init__(self, chain_id: int) -> None:
        self._evm = EVM(env=Env(cfg=CfgEnv(chain_id=chain_id)), spec_id="CANCUN")
        self._delegated: dict[str, bytes] = {}

    def apply(self, change: Change) -> Outcome:
        if isinstance(change, Message):
            return self._transact(change)
        if isinstance(change, Fund):
            self._evm.set_balance(change.address, self.balance(change.address) + change.wei)
        else:
            self._evm.insert_account_info(change.address, AccountInfo(code=self._runnable(change)))
        return Outcome(b"", 0)

    def _runnable(self, change: Place) -> bytes:
        """This engine does not know EIP-7702. A delegated account runs the same by EIP-1167's minimal proxy: the
        delegate's code, in the account's name, with its storage. What is shown as its code is the delegation."""
        if len(change.code) != 23 or not change.code.startswith(DELEGATED):
            return change.code
        self._delegated[change.address] = change.code
        return bytes.fromhex("363d3d373d3d3d363d73") + change.code[3:] + bytes.fromhex("5af43d82803e903d91602b57fd5bf3")

    def try_out(self, message: Message) -> Outcome:
        checkpoint = self._evm.snapshot()
        try:
            return self._run(message)
        finally:
            self._evm.revert(checkpoint)

    def balance(self, address: str) -> int:
        return self._evm.get_balance(address)

    def code(self, address: str) -> bytes:
        return self._delegated.get(address) or bytes(self._evm.get_code(address) or b"")

    def storage(self, address: str, slot: int) -> int:
        return self._evm.storage(address, slot)

    def _transact(self, message: Message) -> Outcome:
        if self.balance(message.sender) < message.gas * message.gas_price + message.value:
            raise InvalidTransaction("insufficient funds for gas * price + value")
        outcome = self._run(message)
        # pyrevm runs with a gas price of zero in mind, so the fee is taken here.
        fee = outcome.gas_used * message.gas_price
        self._evm.set_balance(message.sender, self.balance(message.sender) - fee)
        return outcome

    def _run(self, message: Message) -> Outcome:
        self._evm.set_block_env(
            BlockEnv(
                number=message.when.number,
                timestamp=message.when.timestamp,
                basefee=BASE_FEE,
                gas_limit=BLOCK_GAS,
            )
        )
        try:
            output = self._output(message)
        except RuntimeError as error:
            return _read_failure(str(error))
        result = self._evm.result
        assert result is not None
        logs = tuple(Log(log.address, tuple(log.topics), bytes(log.data[1])) for log in result.logs)
        return Outcome(bytes(output), result.gas_used, logs=logs)

    def _output(self, message: Message) -> bytes:
        if message.to is None:
            made = self._evm.deploy(message.sender, message.data, message.value, message.gas)
            return self.code(made)[: -len(_PADDING)]
        return self._evm.message_call(
            message.sender, message.to, calldata=message.data, value=message.value, gas=message.gas
        )


def _read_failure(text: str) -> Outcome:
    """pyrevm tells a revert from a halt only in the words of its exception."""
    if found := _REVERT.search(text):
        return Outcome(bytes.fromhex(found[2]), int(found[1]), error="revert")
    if found := _HALT.search(text):
        return Outcome(b"", int(found[2]), error="out of gas" if "OutOfGas" in found[1] else found[1])
    raise InvalidTransaction(text)


class History:
    """The newest state, and on request the state as it was after an older block, by replaying the changes."""

    def __init__(self, chain_id: int) -> None:
        self._chain_id = chain_id
        self._changes: list[Change] = []
        self.head = State(chain_id)
        self._past = State(chain_id)
        self._replayed = 0

    def apply(self, change: Change) -> Outcome:
        outcome = self.head.apply(change)
        self._changes.append(change)
        return outcome

    def after(self, number: int) -> State:
        if not self._changes or self._changes[-1].when.number <= number:
            return self.head
        if self._replayed and self._changes[self._replayed - 1].when.number > number:
            self._past, self._replayed = State(self._chain_id), 0
        while self._changes[self._replayed].when.number <= number:
            self._past.apply(self._changes[self._replayed])
            self._replayed += 1
        return self._past
