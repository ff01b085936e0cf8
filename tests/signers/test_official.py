"""Signers in the shape of the official SDK's: typed data in four parts. The SDK's own are tried in ``tests/real``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from eth_account import Account

from x402_client.model.money import Token
from x402_client.schemes.exact_evm import typed_data
from x402_client.signers.evm import ForeignEvmSigner, LocalEvmSigner, read_signature
from x402_client.signers.official import takes_parts

KEY = "ca" * 32
ACCOUNT = Account.from_key(KEY)
TOKEN = Token("eip155:8453", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "USDC", 6, "USD Coin", "2")
MESSAGE: dict[str, Any] = {
    "from": ACCOUNT.address, "to": "0x" + "1" * 40, "value": 10_000, "validAfter": 0, "validBefore": 2_000_000_000,
    "nonce": "0x" + "ab" * 32,
}  # fmt: skip


@dataclass
class TypedDataDomain:
    name: str
    version: str
    chain_id: int
    verifying_contract: str


@dataclass
class TypedDataField:
    name: str
    type: str


class InParts:
    """Signs as the SDK's protocol says, and takes dictionaries as well as the SDK's own classes."""

    address = ACCOUNT.address
    given: Any = None

    def sign_typed_data(self, domain: Any, types: Any, primary_type: str, message: dict[str, Any]) -> bytes:
        self.given = (type(domain).__name__, primary_type)
        if isinstance(domain, TypedDataDomain):
            names = {"chainId": domain.chain_id, "verifyingContract": domain.verifying_contract}
            domain = {"name": domain.name, "version": domain.version, **names}
            types = {name: [vars(one) for one in fields] for name, fields in types.items()}
        signed = ACCOUNT.sign_typed_data(domain_data=domain, message_types=types, message_data=message)
        return bytes(signed.signature)


class OfAService:
    """A client whose method is compiled, so that it tells nothing of its parameters."""

    address = ACCOUNT.address
    sign_typed_data = type


@pytest.mark.parametrize("installed", [False, True], ids=["without the SDK", "with it"])
def test_typed_data_in_parts_is_signed_as_whole(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("x402.mechanisms.evm.types")
    vars(module).update(TypedDataDomain=TypedDataDomain, TypedDataField=TypedDataField)
    monkeypatch.setitem(sys.modules, module.__name__, module if installed else None)
    for name in ("x402", "x402.mechanisms", "x402.mechanisms.evm"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    data = typed_data(TOKEN, MESSAGE)
    theirs = InParts()
    signer = ForeignEvmSigner(theirs)
    assert read_signature(signer.sign(data)) == LocalEvmSigner(bytes.fromhex(KEY)).sign(data)
    assert theirs.given == ("TypedDataDomain" if installed else "dict", "TransferWithAuthorization")


def test_only_methods_with_these_parameters_take_parts() -> None:
    assert takes_parts(InParts().sign_typed_data)
    assert not takes_parts(ACCOUNT.sign_typed_data)
    assert not takes_parts(OfAService().sign_typed_data)
    assert not takes_parts(lambda full_message: b"")
