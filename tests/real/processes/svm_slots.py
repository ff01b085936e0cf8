"""Solana's clock: slots that come with time, and a blockhash for each of them, good for 150 slots."""

from __future__ import annotations

import hashlib
import secrets
import time

from solders.hash import Hash

FIRST_SLOT = 300_000_000  # nothing should depend on a small number
SKIPPED = 12_000_000  # slots without a block: the block height is not the slot
LIFETIME = 150
FINAL_DEPTH = 32
REMEMBERED = 600  # blockhashes that are still recognised, though too old to be used


class Slots:
    def __init__(self, slot_seconds: float) -> None:
        self._seconds = slot_seconds
        self._seed = secrets.token_bytes(16)
        self._started = time.time() - REMEMBERED * slot_seconds
        self._jumped = 0
        self._known: dict[str, int] = {}
        self._named = FIRST_SLOT - 1

    def now(self) -> int:
        return FIRST_SLOT + self._jumped + int((time.time() - self._started) / self._seconds)

    def jump(self, slots: int) -> None:
        self._jumped += slots

    def time(self, slot: int) -> int:
        """What the chain's clock said in that slot: it runs ahead after a jump."""
        return int(self._started + (slot - FIRST_SLOT) * self._seconds)

    def blockhash(self, slot: int) -> str:
        return str(Hash(hashlib.sha256(self._seed + slot.to_bytes(8, "little")).digest()))

    def slot_of(self, blockhash: str) -> int | None:
        """None for a blockhash that this chain never had, or has long forgotten."""
        self._name_new()
        return self._known.get(blockhash)

    def usable(self, blockhash: str, bank: int) -> bool:
        """In the eyes of a bank at that slot, which also refuses what is newer than itself."""
        slot = self.slot_of(blockhash)
        return slot is not None and 0 <= bank - slot <= LIFETIME

    def _name_new(self) -> None:
        now = self.now()
        for slot in range(max(self._named + 1, now - REMEMBERED), now + 1):
            self._known[self.blockhash(slot)] = slot
        self._named = now
        for old in list(self._known)[: max(0, len(self._known) - 2 * REMEMBERED)]:
            del self._known[old]


def height(slot: int) -> int:
    return slot - SKIPPED
