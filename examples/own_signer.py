"""Signers of your own: keys that live in a service, a hardware device or a vault, one for each family of chains.

A signer has an `address` and one method, sync or async. What it returns is checked before it is used, so a service that
signs with another key costs an error and no money.

Run it: python examples/own_signer.py
"""

import base58
import httpx
from eth_account import Account
from solders.keypair import Keypair

from x402_client import Policy, Wallet
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox


class VaultForEvm:
    """Sees the whole EIP-712 message, so it can have rules of its own."""

    def __init__(self, key: str) -> None:
        self._account = Account.from_key(key)
        self.address: str = self._account.address

    def sign_typed_data(self, full_message: dict[str, object]) -> bytes:
        message = full_message["message"]
        assert isinstance(message, dict)
        print("The vault signs a transfer of", message["value"], "units to", str(message["to"])[:6])
        return bytes(self._account.sign_typed_data(full_message=full_message).signature)


class VaultForSolana:
    """Sees the bytes of the transaction. With an async method, only async clients can use it."""

    def __init__(self, key: str) -> None:
        self._keypair = Keypair.from_bytes(base58.b58decode(key))
        self.address = str(self._keypair.pubkey())

    def sign_message(self, message: bytes) -> bytes:
        print("The vault signs", len(message), "bytes")
        return bytes(self._keypair.sign_message(message))


with Sandbox() as seller:
    wallet = Wallet(evm=VaultForEvm(seller.key("evm")), solana=VaultForSolana(seller.key("solana")))
    buyer = seller.buyer(Policy(per_request="0.10"), wallet=wallet)
    with wrap(httpx.Client(), buyer) as client:
        client.get(f"{seller.url}/evm/weather")
        client.get(f"{seller.url}/solana/weather")
    print("Spent", buyer.spent(), "in", len(seller.settlements), "payments")
