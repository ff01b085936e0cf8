"""The compiled contracts of ../token, and how to call them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

FOLDER = Path(__file__).resolve().parent.parent / "token"


def runtime_code(name: str) -> bytes:
    artefact = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    if artefact["sourceSha256"] != hashlib.sha256((FOLDER / f"{name}.sol").read_bytes()).hexdigest():
        raise RuntimeError(f"{name}.json was not made from this {name}.sol: run compile.mjs in {FOLDER}")
    return bytes.fromhex(artefact["runtime"].removeprefix("0x"))


def call_data(signature: str, *arguments: Any) -> bytes:
    """`signature` as Solidity writes it for selectors: "mint(address,uint256)"."""
    types = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + encode(types.split(",") if types else [], arguments)
