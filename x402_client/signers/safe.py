"""Signer of a Safe: its owners sign, and their signatures stand in the order of their addresses."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, NoReturn

from ..chains.evm import keccak, recover
from ..errors import ConfigurationError, SigningError
from ..model.signing import TypedData
from .contract import ContractSigner, address_problem
from .evm import ForeignEvmSigner, LocalEvmSigner, evm_signer, read_signature
from .play_keys import is_play_signer

# Safe 1.3 and later, CompatibilityFallbackHandler: isValidSignature(hash, signatures) checks the owners' signatures
# over SafeMessage(abi.encode(hash)) in the Safe's own domain, which has no name and no version.
_DOMAIN_TYPE = "EIP712Domain(uint256 chainId,address verifyingContract)"
_MESSAGE_TYPE = "SafeMessage(bytes message)"
_TYPES = {
    "EIP712Domain": [{"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"}],
    "SafeMessage": [{"name": "message", "type": "bytes"}],
}

_Owner = LocalEvmSigner | ForeignEvmSigner


class SafeSigner(ContractSigner):
    """Signer of a Safe, version 1.3 or later: ``Wallet(evm=SafeSigner(address, owners=[...]))``.

    Every owner that is given signs each payment, so give as many as the Safe's threshold asks for.

    Args:
        address: The Safe's address. The money is there, and payments come from it.
        owners: Keys, ``eth_account`` accounts or signers of the owners, as ``Wallet(evm=...)`` takes them.
        deploy: The factory's address and the call data that make the Safe, if it may not be on the chain yet. Default:
            none, it is there.
    """

    __slots__ = ("_owners", "is_play")
    _owners: tuple[_Owner, ...]

    def __init__(self, address: str, owners: Iterable[Any], *, deploy: tuple[str, bytes | str] | None = None) -> None:
        problem = address_problem(address)
        found: list[_Owner] = []
        try:
            found = _signers_of(owners) if problem is None else []
        except ConfigurationError as failure:
            problem = str(failure.args[0])
        # Raised out here, after the keys are let go: tools that print the variables of a traceback find none.
        owners = ()
        if problem is not None:
            address = ""
            raise ConfigurationError(problem)
        self._owners = tuple(sorted(found, key=lambda owner: int(owner.address, 16)))
        #: True if anybody may know the key of one of these owners.
        self.is_play: bool = any(map(is_play_signer, self._owners))
        super().__init__(address, sign_digest=self._signed, deploy=deploy)
        self.is_async: bool = any(owner.is_async for owner in self._owners)
        self.blocking: bool = any(owner.blocking for owner in self._owners)

    def sign(self, data: TypedData) -> Any:
        """Return the owners' signatures in the order of their addresses, awaitable or not.

        Args:
            data: What is signed.
        """
        asked = safe_message(self.address, int(data.full()["domain"]["chainId"]), data.digest)
        if self.is_async:
            return self._asigned(asked)
        returned = [owner.sign(asked) for owner in self._owners]
        if any(map(inspect.isawaitable, returned)):
            return self._awaited(asked, returned)
        return self._joined(asked, returned)

    def __repr__(self) -> str:
        owners = getattr(self, "_owners", ())
        return f"SafeSigner({getattr(self, 'address', None)}, {len(owners)} owner{'s' * (len(owners) != 1)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A signer holds keys and is not pickled; build it where it is used.")

    def _signed(self, digest: bytes) -> NoReturn:
        raise AssertionError("A Safe's owners sign its own message.")  # pragma: no cover - sign() does it

    async def _asigned(self, asked: TypedData) -> bytes:
        import anyio.to_thread

        returned: list[Any] = []
        for owner in self._owners:
            blocks = owner.blocking and not owner.is_async
            returned.append(await anyio.to_thread.run_sync(owner.sign, asked) if blocks else owner.sign(asked))
        return await self._awaited(asked, returned)

    async def _awaited(self, asked: TypedData, returned: list[Any]) -> bytes:
        returned[:] = [await one if inspect.isawaitable(one) else one for one in returned]
        return self._joined(asked, returned)

    def _joined(self, asked: TypedData, returned: list[Any]) -> bytes:
        signatures = []
        for owner, one in zip(self._owners, returned, strict=True):
            signatures.append(one if isinstance(owner, LocalEvmSigner) else read_signature(one))
            by = recover(asked.digest, signatures[-1])
            if by != owner.address:
                one, signatures, returned[:] = None, [], []  # tools print the variables of a traceback
                raise SigningError(
                    f"The signature that came back is not by {owner.address}, an owner of the Safe {self.address}. "
                    "Nothing was sent."
                )
        return b"".join(signatures)


def safe_message(safe: str, chain_id: int, digest: bytes) -> TypedData:
    """Return what the owners of a Safe sign: its own message with this hash."""
    domain = keccak(keccak(_DOMAIN_TYPE.encode()) + chain_id.to_bytes(32) + bytes(12) + bytes.fromhex(safe[2:]))
    message = keccak(keccak(_MESSAGE_TYPE.encode()) + keccak(digest))
    document = {
        "types": _TYPES,
        "primaryType": "SafeMessage",
        "domain": {"chainId": chain_id, "verifyingContract": safe},
        "message": {"message": "0x" + digest.hex()},
    }
    return TypedData(keccak(b"\x19\x01" + domain + message), lambda: document)


def _signers_of(owners: Any) -> list[_Owner]:
    if isinstance(owners, (str, bytes, bytearray)) or not isinstance(owners, Iterable):
        owners = None
        raise ConfigurationError("owners is a list of the Safe's owners: keys, accounts or signers.")
    found: list[_Owner] = []
    for owner in owners:
        if isinstance(owner, ContractSigner):
            raise ConfigurationError(
                f"The owner {owner.address} is a contract itself. Sign for such a Safe with a function of your own: "
                "ContractSigner(address, sign=...)."
            )
        found.append(evm_signer(owner))
    twice = {one.address for one in found if sum(other.address == one.address for other in found) > 1}
    if not found or twice:
        given = f"{min(twice)} stands there twice" if twice else "none is given"
        raise ConfigurationError(f"owners has each owner of the Safe that signs, once; {given}.")
    return found
