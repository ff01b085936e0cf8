"""Wallets that are contracts, on the test's chain: a Safe, an ERC-4337 account, accounts delegated by EIP-7702.

The Safe's code, that of the delegates and the ERC-6492 validator are what their packages publish. The account is that
of ``token/SmartAccounts.sol``, as no package was found that has one with both ERC-4337 and EIP-1271 as bytecode.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from tests.soak.matrix import npm

from .chain import CHAIN_ID, Chain
from .world import ACCOUNT_FACTORY, SAFE_FACTORY

SINGLETON = "0x41675C099F32341bf84BFc5382aF534df5C7461a"
HANDLER = "0xfd0732Dc9E303f09fCEf3a7388Ad10A83459Ec99"
#: Real delegates of both sorts: one that takes the key's own signatures, and one that has no isValidSignature.
TAKES_RAW, TAKES_NONE = "0x7702000000000000000000000000000000007702", "0x4337000000000000000000000000000000000001"
_ZERO = "0x" + "00" * 20
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Deployment:
    """A wallet and what makes it."""

    address: str
    factory: str
    calldata: bytes


class ContractWallets:
    """All of them on one chain."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        safe, accounts = (
            "@safe-global/safe-contracts/build/artifacts/contracts",
            "@account-abstraction/contracts/artifacts",
        )
        self._place(SINGLETON, _published(f"{safe}/Safe.sol/Safe.json"))
        self._place(SAFE_FACTORY, _published(f"{safe}/proxies/SafeProxyFactory.sol/SafeProxyFactory.json"))
        handler = "handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json"
        self._place(HANDLER, _published(f"{safe}/{handler}"))
        self._place(TAKES_RAW, _published(f"{accounts}/Simple7702Account.json"))
        self._place(TAKES_NONE, _published(f"{accounts}/SimpleAccount.json"))
        own = json.loads((_HERE / "token" / "SmartAccounts.json").read_text("utf-8"))
        self._place(ACCOUNT_FACTORY, own["runtime"])

    def safe(self, owners: list[str], threshold: int) -> Deployment:
        """A Safe to be made."""
        setup = _call(
            "setup(address[],uint256,address,bytes,address,address,uint256,address)",
            (sorted(owners, key=str.lower), threshold, _ZERO, b"", HANDLER, _ZERO, 0, _ZERO),
        )
        salt = int.from_bytes(secrets.token_bytes(8))
        made = _call("createProxyWithNonce(address,bytes,uint256)", (SINGLETON, setup, salt))
        return self._to_be_made(SAFE_FACTORY, made)

    def account(self, owner: str) -> Deployment:
        """An ERC-4337 account to be made."""
        salt = int.from_bytes(secrets.token_bytes(8))
        return self._to_be_made(ACCOUNT_FACTORY, _call("create(address,uint256)", (owner, salt)))

    def delegated(self, key: str, delegate: str) -> LocalAccount:
        """The key's account, delegated to code by EIP-7702."""
        account: LocalAccount = Account.from_key(key)
        self._place(account.address, "0xef0100" + delegate[2:])
        return account

    def deploy(self, wallet: Deployment) -> Deployment:
        self.chain.rpc("test_send", wallet.factory, "0x" + wallet.calldata.hex())
        assert self.is_there(wallet.address)
        return wallet

    def is_there(self, address: str) -> bool:
        return bool(self.chain.rpc("eth_getCode", address, "latest") != "0x")

    def _place(self, address: str, code: str) -> None:
        self.chain.rpc("test_placeCode", address, code)

    def _to_be_made(self, factory: str, calldata: bytes) -> Deployment:
        found = self.chain.rpc("eth_call", {"to": factory, "data": "0x" + calldata.hex()}, "latest")
        return Deployment(to_checksum_address("0x" + found[-40:]), factory, calldata)


def account_signature(wallet: str, owner: LocalAccount, digest: bytes) -> bytes:
    """What a ``SmartAccount`` takes: its owner's signature of its own message with the digest, wrapped with 0."""
    kind = keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    words = (kind, keccak(text="Smart Account"), keccak(text="1"), CHAIN_ID, wallet)
    domain = keccak(encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], words))
    message = keccak(keccak(text="SmartAccountMessage(bytes32 hash)") + digest)
    signed = owner.unsafe_sign_hash(keccak(b"\x19\x01" + domain + message))
    return encode(["uint256", "bytes"], [0, bytes(signed.signature)])


def reference_validator() -> bytes:
    """The program of ERC-6492 that clients send to an endpoint, as viem has it."""
    text = (_modules() / "viem" / "constants" / "contracts.ts").read_text("utf-8")
    found = re.search(r"erc6492SignatureValidatorByteCode =\s*'0x([0-9a-f]+)'", text)
    assert found is not None
    return bytes.fromhex(found[1])


def _modules() -> Path:
    return npm.installed("wallets") / "node_modules"


def _published(path: str) -> str:
    return str(json.loads((_modules() / path).read_text("utf-8"))["deployedBytecode"])


def _call(signature: str, arguments: tuple[Any, ...]) -> bytes:
    types = signature[signature.index("(") + 1 : -1].split(",")
    return keccak(text=signature)[:4] + encode(types, arguments)
