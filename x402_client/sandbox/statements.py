"""Offers and receipts that the sandbox's seller signs: by the account that is paid on the EVM chain, else as a JWS."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..model.networks import EVM_FAMILY, family_of
from ..model.signing import TypedData
from ..model.statements import OFFER_RECEIPT
from ..schemes.offer_receipt import typed_digest
from ..signers.evm import LocalEvmSigner

#: Alters what is signed, for a fault.
Alter = Callable[[dict[str, Any]], dict[str, Any]]
#: Seconds for which an offer is good.
_GOOD_FOR = 300


class SellerSignatures:
    """The keys of the seller. ``forged`` asks for a signature that fits none of them."""

    def __init__(self) -> None:
        self._signer = LocalEvmSigner.generate()
        self.address: str = self._signer.address

    def offers(
        self, url: str, accepts: Iterable[Mapping[str, Any]], alter: Alter | None = None, forged: bool = False
    ) -> dict[str, Any]:
        """Return the extension for a 402: a signed offer for each entry."""
        made = []
        for index, entry in enumerate(accepts):
            said = {name: entry.get(name, "") for name in ("scheme", "network", "asset", "payTo", "amount")}
            payload = {"version": 1, "resourceUrl": url, **said, "validUntil": int(time.time()) + _GOOD_FOR}
            payload = payload if alter is None else alter(payload)
            made.append({"acceptIndex": index, **self._signed(payload, said["network"], forged)})
        return {OFFER_RECEIPT: {"info": {"offers": made}, "schema": {"type": "object"}}}

    def receipt(
        self, url: str, said: Mapping[str, Any], alter: Alter | None = None, forged: bool = False
    ) -> dict[str, Any]:
        """Return the extension for a receipt."""
        named = {"network": said["network"], "resourceUrl": url, "payer": said.get("payer", "")}
        payload = {"version": 1, **named, "issuedAt": int(time.time()), "transaction": said["transaction"]}
        payload = payload if alter is None else alter(payload)
        receipt = self._signed(payload, said["network"], forged)
        return {OFFER_RECEIPT: {"info": {"receipt": receipt}, "schema": {"type": "object"}}}

    def _signed(self, payload: dict[str, Any], network: str, forged: bool) -> dict[str, Any]:
        if family_of(network) != EVM_FAMILY:
            return {"format": "jws", "signature": self._jws(payload, forged)}
        signature = b"\xff" * 65 if forged else self._signer.sign(TypedData(typed_digest(payload), dict))
        return {"format": "eip712", "payload": payload, "signature": "0x" + signature.hex()}

    def _jws(self, payload: dict[str, Any], forged: bool) -> str:
        import base58
        from solders.keypair import Keypair

        # The key is made of the other one, so that it stays the same while the sandbox runs.
        pair = Keypair.from_seed(bytes.fromhex(self.address[2:]) + bytes(12))
        did = "did:key:z" + base58.b58encode(b"\xed\x01" + bytes(pair.pubkey())).decode()
        header = {"alg": "EdDSA", "kid": f"{did}#{did.removeprefix('did:key:')}"}
        signed = ".".join(_base64(json.dumps(part).encode()) for part in (header, payload))
        signature = bytes([90]) * 64 if forged else bytes(pair.sign_message(signed.encode()))
        return f"{signed}.{_base64(signature)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
