"""The compiled contracts of ../token, and how to call them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

FOLDER = Path(__file__).resolve().parent.parent / "token"


#: The contracts of Permit2 payments, at the addresses that the protocol fixes.
PERMIT2 = {
    "Permit2": "0x000000000022D473030F116dDEE9F6B43aC78BA3",
    "ExactPermit2Proxy": "0x402085c248EeA27D92E8b30b2C58ed07f9E20001",
    "UptoPermit2Proxy": "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002",
}


def runtime_code(name: str) -> bytes:
    artefact = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    source = FOLDER / ("Permit2Proxies.sol" if name.endswith("Permit2Proxy") else f"{name}.sol")
    if name != "Permit2" and artefact["sourceSha256"] != hashlib.sha256(source.read_bytes()).hexdigest():
        raise RuntimeError(f"{name}.json was not made from this {source.name}: run compile.mjs in {FOLDER}")
    return bytes.fromhex(artefact["runtime"].removeprefix("0x"))


def call_data(signature: str, *arguments: Any) -> bytes:
    """`signature` as Solidity writes it for selectors: "mint(address,uint256)"."""
    types = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + encode(types.split(",") if types else [], arguments)
