"""The EIP-712 domain of a token that has a name and a version in it: transfers and permits are signed under it."""

from __future__ import annotations

from functools import lru_cache

from ..chains.evm import keccak

DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"


@lru_cache(maxsize=256)
def separator(name: str, version: str, chain_id: int, contract: str) -> bytes:
    """Return the hash of a token's domain, the same as the token's own ``DOMAIN_SEPARATOR()``."""
    parts = (
        type_hash(DOMAIN),
        keccak(name.encode()),
        keccak(version.encode()),
        chain_id.to_bytes(32),
        bytes(12) + bytes.fromhex(contract[2:]),
    )
    return keccak(b"".join(parts))


@lru_cache(maxsize=8)
def type_hash(declaration: str) -> bytes:
    """Return the hash of a type of EIP-712, by its declaration."""
    return keccak(declaration.encode())


def fields(declaration: str) -> list[dict[str, str]]:
    """Return the fields of a type as a document of EIP-712 lists them."""
    inside = declaration[declaration.index("(") + 1 : -1]
    return [{"type": kind, "name": name} for kind, name in (part.split(" ") for part in inside.split(","))]
