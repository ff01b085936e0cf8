"""Keys for play money. The sandbox makes them, anybody may know them, and they sign for no real network."""

from __future__ import annotations

import secrets

from ..model.networks import TEST_NETWORKS

#: The sandbox's own EVM network: a chain id that no chain has.
PLAY_NETWORK = "eip155:402402402402"
#: Bytes of the keys that the manual shows: each key is one of them, 32 times.
WELL_KNOWN_BYTES = (0xCA, 0xCB, 0xCC, 0xCD)
#: The addresses of those keys, for signers that do not show their key. EVM addresses are in lower case.
_WELL_KNOWN = frozenset({
    "0xa55aa83c7090d87b7aa151346862455d6209d789",
    "0xa5db450b952001d272a2883bf9abd7fbd8c5704f",
    "0xe8acf143afbf8b1371a20ea934d334180190eac1",
    "0x89aef553a06ab0c3173e79de1ce241a9ed3b992c",
    "5jotNjSnm9ZJRefVfqHato9FC4d9t6CHb2xS1726MTyY",
    "E6Lu6twRJzX5iXouS9o23fBHX9upgXbApcZyRY3cLYVL",
    "Ecs89dz8NsNoSxyUtp54G2HPbmvJr8qZnxnWUqiLT92r",
    "Hzy3XXUm8mQBTLW2oWmHSYVKHBGVPZrwM5DjPzLQhUxN",
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
    """Return True for a signer of play money, as far as its key or address shows it."""
    address = str(getattr(signer, "address", ""))
    known = address.lower() if address.startswith("0x") else address
    return bool(getattr(signer, "is_play", False)) or known in _WELL_KNOWN


def takes_play_keys(network: str) -> bool:
    """Return True for a network whose money is worth nothing."""
    return network == PLAY_NETWORK or network in TEST_NETWORKS
