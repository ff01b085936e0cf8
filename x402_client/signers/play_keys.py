"""Keys that anybody may know: the sandbox's, and those of development tools. They sign for no real network."""

from __future__ import annotations

import secrets

from ..model.networks import TEST_NETWORKS
from ..model.sandbox_settings import PLAY_NETWORK

#: Bytes of the keys that the manual shows: each key is one of them, 32 times.
WELL_KNOWN_BYTES = (0xCA, 0xCB, 0xCC, 0xCD)
#: The addresses of those keys and of other well-known ones, for signers that do not show their key. EVM
#: addresses are in lower case.
_WELL_KNOWN = frozenset({
    "0xa55aa83c7090d87b7aa151346862455d6209d789",
    "0xa5db450b952001d272a2883bf9abd7fbd8c5704f",
    "0xe8acf143afbf8b1371a20ea934d334180190eac1",
    "0x89aef553a06ab0c3173e79de1ce241a9ed3b992c",
    "5jotNjSnm9ZJRefVfqHato9FC4d9t6CHb2xS1726MTyY",
    "E6Lu6twRJzX5iXouS9o23fBHX9upgXbApcZyRY3cLYVL",
    "Ecs89dz8NsNoSxyUtp54G2HPbmvJr8qZnxnWUqiLT92r",
    "Hzy3XXUm8mQBTLW2oWmHSYVKHBGVPZrwM5DjPzLQhUxN",
    # Anvil's and Hardhat's ten accounts, of the mnemonic "test test ... junk", and that mnemonic's account on Solana.
    "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
    "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
    "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
    "0x90f79bf6eb2c4f870365e785982e1f101e93b906",
    "0x15d34aaf54267db7d7c367839aaf71a00a2c6a65",
    "0x9965507d1a55bcc2695c58ba16fb37d819b0a4dc",
    "0x976ea74026e726554db657fa54763abd0c3a0aa9",
    "0x14dc79964da2c08b23698b3d3cc7ca32193d9955",
    "0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f",
    "0xa0ee7a142d267c1f36714e4a8f75612f20a79720",
    "oeYf6KAJkLYhBuR8CiGc6L4D4Xtfepr85fuDgA9kq96",
    # The first of Ganache and of Truffle, of the mnemonic "abandon ... about", and the key 1.
    "0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1",
    "0x627306090abab3a6e1400e9345bc60c78a8bef57",
    "0x9858effd232b4033e47d90003d41ec34ecaeda94",
    "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk",
    "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf",
})  # fmt: skip
#: The first bytes of all other keys that a sandbox makes. The rest is random.
_MARK = b"x402 sandbox"


def new_play_secret() -> bytes:
    """Make a throw-away key for any chain. Its first bytes tell it from others."""
    return _MARK + secrets.token_bytes(32 - len(_MARK))


def is_play_secret(secret: bytes) -> bool:
    """Return True for a key that a sandbox made or that is well known."""
    return secret.startswith(_MARK) or (secret[:1] * 32 == secret and secret[0] in WELL_KNOWN_BYTES)


def is_play_signer(signer: object) -> bool:
    """Return True for a signer whose key anybody may know, as far as its key or address shows it."""
    return bool(getattr(signer, "is_play", False)) or is_well_known(str(getattr(signer, "address", "")))


def is_well_known(address: str) -> bool:
    """Return True for an address whose key anybody may know."""
    return (address.lower() if address.startswith("0x") else address) in _WELL_KNOWN


def takes_play_keys(network: str) -> bool:
    """Return True for a network whose money is worth nothing."""
    return network == PLAY_NETWORK or network in TEST_NETWORKS
