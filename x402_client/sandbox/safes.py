"""Safes on the sandbox's EVM chain: contracts that take their owners' signatures, by a Safe's own rules."""

from __future__ import annotations

import secrets
import threading

from ..chains.evm import checksum, recover
from ..model.networks import canonical_evm
from ..signers.safe import safe_message

#: What is shown as a contract's code: the instruction that stops.
CODE = "0xfe"
#: The first bytes of each Safe's address here, to be recognised.
_MARK = "5afe"


class Safes:
    """The Safes that were made here, each with its owners and its threshold. Safe between threads."""

    def __init__(self, chain_id: int) -> None:
        self._chain_id = chain_id
        self._lock = threading.Lock()
        self._made: dict[str, tuple[frozenset[str], int]] = {}

    def make(self, owners: frozenset[str], threshold: int) -> str:
        """Return the address of a new one."""
        address = checksum("0x" + _MARK + secrets.token_hex(18))
        with self._lock:
            self._made[canonical_evm(address)] = (owners, threshold)
        return address

    def has(self, address: str) -> bool:
        """Return True for the address of one."""
        return canonical_evm(address) in self._made

    def takes(self, address: str, digest: bytes, signatures: bytes) -> bool:
        """Return True if the first signatures, as many as the threshold, are by owners in the order of addresses."""
        owners, threshold = self._made[canonical_evm(address)]
        asked = safe_message(address, self._chain_id, digest).digest
        by = [recover(asked, signatures[at : at + 65]) for at in range(0, 65 * threshold, 65)]
        order = [int(one or "0", 16) for one in by]
        return owners.issuperset(by) and order == sorted(set(order))
