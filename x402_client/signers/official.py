"""Signers that were made for the official x402 SDK: they take typed data in four parts."""

from __future__ import annotations

import inspect
from typing import Any

_PARTS = {"domain", "types", "primary_type", "message"}
_DOMAIN = {"name", "version", "chainId", "verifyingContract"}


def takes_parts(method: Any) -> bool:
    """Return True if ``sign_typed_data`` is that of the SDK's ``ClientEvmSigner``."""
    try:
        return inspect.signature(method).parameters.keys() >= _PARTS
    except (TypeError, ValueError):  # a compiled method may have no signature
        return False


def in_parts(full_message: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments for such a method, in the SDK's own classes if it is installed."""
    domain: Any = full_message["domain"]
    types = {name: fields for name, fields in full_message["types"].items() if name != "EIP712Domain"}
    try:
        from x402.mechanisms.evm.types import (  # pyright: ignore[reportMissingImports]  # may be there
            TypedDataDomain,
            TypedDataField,
        )
    except ImportError:
        pass
    else:
        types = {name: [TypedDataField(f["name"], f["type"]) for f in fields] for name, fields in types.items()}
        if domain.keys() == _DOMAIN:
            domain = TypedDataDomain(domain["name"], domain["version"], domain["chainId"], domain["verifyingContract"])
    return {
        "domain": domain,
        "types": types,
        "primary_type": full_message["primaryType"],
        "message": full_message["message"],
    }
