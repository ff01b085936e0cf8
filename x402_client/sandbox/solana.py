"""Solana chain of the sandbox, as the seller sees it. It is made when it is first needed, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from .play_money import SOLANA, SOLANA_TOKEN, stranger
from .records import Clock, Settlement

if TYPE_CHECKING:
    from .solana_vm import Machine

T = TypeVar("T")


class SolanaChain:
    """Solana chain with one mint, and transfers of it. Safe between threads."""

    def __init__(self, clock: Clock, knows: Callable[[str], bool]) -> None:
        self._clock, self._knows = clock, knows
        self._mine = threading.local()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="x402-sandbox-solana")
        self._pending: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        self._open = False

    @cached_property
    def fee_payer(self) -> str:
        """Return the address that pays the chain's fees for the buyers."""
        return str(self._fee_keypair.pubkey())

    @cached_property
    def seller(self) -> str:
        """Return the address that is paid. Its key is thrown away."""
        from solders.keypair import Keypair

        return str(Keypair().pubkey())

    def fund(self, owner: str, amount: int) -> None:
        """Give invented money to an owner."""
        with self._lock:
            if not self._open:  # the machine is made when the chain is first read
                self._pending.append((owner, amount))
                return
        self.on_machine(lambda machine: machine.fund(_key(owner), amount))

    def balance(self, owner: str) -> int:
        """Return a balance in the token's smallest units."""
        return self.on_machine(lambda machine: machine.balance(_key(owner)))

    def verify(self, payload: Any, offer: Mapping[str, Any]) -> str | None:
        """Return the reason why a facilitator would not settle this for these terms. None if it would."""

        def look(machine: Machine) -> str | None:
            payment, _ = machine.verify(payload, offer, _plain(offer))
            return self._stranger(str(payment.payer))

        found = self._result_or_reason(look)
        return found if isinstance(found, str) else None

    def settle(self, payload: Any, offer: Mapping[str, Any], path: str = "") -> Settlement | str:
        """Transfer the money, or return why not."""

        def send(machine: Machine) -> Settlement | str:
            payment, signed = machine.verify(payload, offer, _plain(offer))
            stranger = self._stranger(str(payment.payer))
            if stranger is not None:
                return stranger
            landed = machine.send(payment, signed)
            nonce = _nonce(payment, offer["extra"].get("memo"))
            payer, pay_to = str(payment.payer), str(offer["payTo"])
            return Settlement(SOLANA, landed.signature, payer, pay_to, payment.amount, nonce, path)

        return self._result_or_reason(send) or "unexpected_settle_error"

    def on_machine(self, work: Callable[[Machine], T]) -> T:
        """Run ``work`` on the one thread that may touch the machine."""
        return self._thread.submit(lambda: work(self._machine())).result()

    def close(self) -> None:
        """End the thread, and with it the machine."""
        self._thread.shutdown()

    def _machine(self) -> Machine:
        # Only this thread refers to the machine: it has to be released here too.
        machine: Machine | None = getattr(self._mine, "machine", None)
        if machine is None:
            from .solana_vm import Machine

            machine = self._mine.machine = Machine(SOLANA_TOKEN.address, self._clock, self._fee_keypair)
            with self._lock:
                self._open, waiting = True, [(self.seller, 0), *self._pending]
            for owner, amount in waiting:
                machine.fund(_key(owner), amount)
        return machine

    @cached_property
    def _fee_keypair(self) -> Any:
        from solders.keypair import Keypair

        return Keypair()

    def _stranger(self, payer: str) -> str | None:
        if self._knows(payer):
            return None
        return stranger(payer)

    def _result_or_reason(self, work: Callable[[Machine], T]) -> T | str:
        from .solana_rules import Unfit

        try:
            return self.on_machine(work)
        except Unfit as reason:
            return str(reason)


def nonce_of(payload: Any, memo: str | None) -> str | None:
    """Return the value that tells this payment from others. None if it is not a payment."""
    from .solana_rules import Unfit, read

    try:
        return _nonce(read(payload), memo)
    except (Unfit, IndexError):
        return None


def _nonce(payment: Any, asked: str | None) -> str:
    """Return the value of ``hold.nonce``: the memo if the buyer made it, else the signature."""
    return payment.memo if payment.memo and not asked else str(payment.signature)


def _plain(offer: Mapping[str, Any]) -> bool:
    return ":" not in str(offer["network"])


def _key(address: str) -> Any:
    from solders.pubkey import Pubkey

    return Pubkey.from_string(address)
