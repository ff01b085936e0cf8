"""Networks, tokens and keys of the sandbox. Nothing signed here has any worth elsewhere, on purpose.

The EVM network has a chain id that no other chain has. Solana has devnet's name, because version 1's layout without a
memo needs a plain name. But a payment names a blockhash of the sandbox, so devnet would never accept it.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from ..chains.tokens import Tokens
from ..errors import ConfigurationError
from ..model.money import Token
from ..model.networks import SOLANA_DEVNET, caip2, canonical_evm
from ..model.sandbox_settings import PLAY_NETWORK
from ..signers.evm import LocalEvmSigner, read_hex_key
from ..signers.play_keys import WELL_KNOWN_BYTES, new_play_secret

EVM = PLAY_NETWORK
SOLANA = SOLANA_DEVNET
#: The networks' names in version 1.
V1_NAMES = {EVM: EVM, SOLANA: "solana-devnet"}
#: Short names of the networks, in ``Sandbox.sell(chains=...)`` and in URLs.
CHAINS = {"evm": EVM, "solana": SOLANA}

EVM_TOKEN = Token(EVM, "0x4024024024024024024024024024024024024024", "USDC", 6, "Sandbox USDC", "1")
# Counted as dollars, though devnet's token is test money elsewhere: a policy is tried out as it will be used.
SOLANA_TOKEN = replace(Tokens().find(SOLANA, "USDC") or Token(SOLANA, ""), currency="USD")
TOKENS = (EVM_TOKEN, SOLANA_TOKEN)

#: Well-known keys, for tests that need the same address every time. The sandbox accepts these and its own.
TEST_EVM_KEYS = tuple("0x" + bytes([byte] * 32).hex() for byte in WELL_KNOWN_BYTES)
TEST_SOLANA_KEYS = tuple(bytes([byte]) * 32 for byte in WELL_KNOWN_BYTES)


class Keyring:
    """Addresses that may pay here: those of keys that were made here, and those of the well-known test keys."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: set[str] = set()
        self._test_keys_known = False

    def evm_key(self) -> str:
        """Return a new throw-away key, 0x hex."""
        key = "0x" + new_play_secret().hex()
        self._add(LocalEvmSigner(read_hex_key(key)).address)
        return key

    def add(self, address: str) -> str:
        """Let an address that was made here pay here. Return it."""
        self._add(address)
        return address

    def solana_key(self) -> str:
        """Return a new throw-away key, base58 of 64 bytes."""
        from solders.keypair import Keypair

        keypair = Keypair.from_seed(new_play_secret())
        self._add(str(keypair.pubkey()))
        return str(keypair)

    def knows(self, address: str) -> bool:
        """Return True if this address may pay here."""
        folded = canonical_evm(address)
        with self._lock:
            if folded not in self._made and not self._test_keys_known:
                self._made |= {canonical_evm(one) for one in _test_addresses()}
                self._test_keys_known = True
            return folded in self._made

    def check(self, address: str) -> str:
        """Return the address. Raise ConfigurationError for one that may hold real money."""
        if not self.knows(address):
            raise ConfigurationError(
                f"{address[:60]} is not an address of this sandbox, which takes throw-away keys only: use "
                "sandbox.wallet(), sandbox.key() or x402_client.sandbox.TEST_EVM_KEYS."
            )
        return address

    def _add(self, address: str) -> None:
        with self._lock:
            self._made.add(canonical_evm(address))


def stranger(address: str) -> str:
    """Return the reason against a payer that the sandbox does not know, and the cure."""
    return (
        f"{address} is not an address of this sandbox, which takes throw-away keys only: read the settings file that "
        "it names (. FILE), or pay with sandbox.wallet()"
    )


def network_of(name: str) -> str:
    """Return the network for ``evm``, ``solana`` or a full name of one of the two.

    Real networks are refused.
    """
    network = CHAINS.get(name) or caip2(name)
    if network not in V1_NAMES:
        raise ConfigurationError(f'The sandbox has only its own networks "evm" and "solana", not {name!r}.')
    return network


def _test_addresses() -> list[str]:
    from solders.keypair import Keypair

    evm = [LocalEvmSigner(read_hex_key(key)).address for key in TEST_EVM_KEYS]
    return evm + [str(Keypair.from_seed(seed).pubkey()) for seed in TEST_SOLANA_KEYS]
