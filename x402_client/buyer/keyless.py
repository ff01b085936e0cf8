"""A wallet without keys: good enough to judge offers by, and it signs nothing."""

from __future__ import annotations

from typing import Any

from ..errors import SigningError
from .environment import no_wallet
from .wallet import Wallet


class KeylessWallet(Wallet):
    """A wallet without keys. To be told from one that signs."""

    __slots__ = ()


def keyless_wallet() -> KeylessWallet:
    """Return a wallet with an address in every family that ships, and no key behind them."""
    from solders.keypair import Keypair

    from ..signers.evm import LocalEvmSigner

    return KeylessWallet(evm=_Keyless(LocalEvmSigner.generate().address), solana=_Keyless(str(Keypair().pubkey())))


class _Keyless:
    """A signer with an address and without a key: asked to sign, it says that there is no wallet."""

    def __init__(self, address: str) -> None:
        self.address = address

    def sign_typed_data(self, full_message: dict[str, Any], /) -> bytes:
        """Refuse to sign."""
        raise SigningError(f"{no_wallet()} Nothing was sent.")

    def sign_message(self, message: bytes, /) -> bytes:
        """Refuse to sign."""
        raise SigningError(f"{no_wallet()} Nothing was sent.")
