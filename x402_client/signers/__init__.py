"""Holders of keys. The rest of the package sees a signer: an address, and signatures on request.

ContractSigner(address, sign=...)  the signer of a wallet that is a contract
SafeSigner(address, owners=[...])  the signer of a Safe
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract import ContractSigner
    from .safe import SafeSigner

__all__ = ["ContractSigner", "SafeSigner"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "ContractSigner":
            from .contract import ContractSigner as found
        elif name == "SafeSigner":
            from .safe import SafeSigner as found
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
