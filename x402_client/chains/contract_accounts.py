"""Accounts with code on EVM chains: what code that is, and which signatures it takes (EIP-1271, ERC-6492, EIP-7702).

An endpoint that is asked sees a hash and a signature of it. It cannot settle the payment with them: the token wants the
fields that were hashed, and the nonce among them is random.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import ChainUnavailable
from .evm import checksum
from .rpc import Reverted, Rpc

_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII)
#: isValidSignature(bytes32,bytes), and the first bytes of its answer if the signature is right.
_MAGIC = bytes.fromhex("1626ba7e")
_YES = _MAGIC + bytes(28)
#: EIP-7702: the code of an account that is delegated, before the address that it is delegated to.
_DELEGATED = bytes.fromhex("ef0100")
#: ERC-6492: the last bytes of a signature that brings along how its wallet is made.
_WRAPPED = bytes.fromhex("6492" * 16)


class Undeployed(NamedTuple):
    """Signature by a wallet that may not be on the chain: its factory, the call that makes it, and the inner part."""

    factory: str
    calldata: bytes
    signature: bytes


def read_code(rpc: Rpc, address: str, seconds: float, once: bool = False) -> bytes:
    """Return the code at an address. Empty: a key's account, or a wallet that is not deployed."""
    return _bytes(rpc.call("eth_getCode", address, "latest", seconds=seconds, once=once), f"the code at {address}")


def delegate_of(code: bytes) -> str | None:
    """Return the address that an account is delegated to by EIP-7702; None if it is not."""
    return checksum("0x" + code[3:].hex()) if len(code) == 23 and code.startswith(_DELEGATED) else None


def takes(rpc: Rpc, address: str, digest: bytes, signature: bytes, seconds: float, once: bool = False) -> bool:
    """Return True if the code at an address says that a signature is right. Tokens ask it the same question."""
    question = {"to": address, "data": "0x" + _question(digest, signature).hex()}
    try:
        answer = rpc.call("eth_call", question, "latest", seconds=seconds, once=once)
    except Reverted:  # many wallets give up instead of saying no
        return False
    return _bytes(answer, f"what {address} says to a signature")[:32] == _YES


def takes_once_deployed(rpc: Rpc, address: str, digest: bytes, given: Undeployed, seconds: float) -> bool:
    """Return True if the wallet would say that a signature is right, once its factory had made it.

    The endpoint tries both calls out and keeps neither: ERC-6492, validation off the chain.
    """
    try:
        answer = rpc.call("eth_call", {"data": "0x" + _trial(address, digest, given).hex()}, "latest", seconds=seconds)
    except Reverted:
        return False
    found = _bytes(answer, f"what {address} would say to a signature")
    if found not in (b"\x01", b"\x00", b""):
        raise ChainUnavailable(f"The endpoint's answer about a signature by {address} makes no sense.")
    return found == b"\x01"


def wrap(given: Undeployed) -> bytes:
    """Return the signature as ERC-6492 sends it: abi.encode(factory, calldata, signature), and the mark."""
    calldata, signature = _padded(given.calldata), _padded(given.signature)
    head = bytes(12) + bytes.fromhex(given.factory[2:]) + (96).to_bytes(32) + (96 + len(calldata)).to_bytes(32)
    return head + calldata + signature + _WRAPPED


def unwrap(signature: bytes) -> Undeployed | None:
    """Return the parts of an ERC-6492 signature; None if it is another one, or not sound."""
    if not signature.endswith(_WRAPPED):
        return None
    body = signature[:-32]
    calldata, inner = _part(body, 1), _part(body, 2)
    if len(body) < 96 or any(body[:12]) or calldata is None or inner is None:
        return None
    return Undeployed(checksum("0x" + body[12:32].hex()), calldata, inner)


def _question(digest: bytes, signature: bytes) -> bytes:
    return _MAGIC + digest + (64).to_bytes(32) + _padded(signature)


def _trial(address: str, digest: bytes, given: Undeployed) -> bytes:
    """Return a program that calls the factory, asks the wallet, and returns one byte: 1 for yes, 0 for no."""
    question = _question(digest, given.signature)
    # CODECOPY the call data, CALL the factory and drop its result. CODECOPY the question, STATICCALL the wallet. Yes
    # is: no failure, 32 bytes or more returned (RETURNDATASIZE, LT), and they begin as EIP-1271 says (MLOAD, EQ).
    program = "62{make}62{at}600039" + "6000600062{make}6000600073{factory}5af150"
    program += "62{ask}62{then}600039" + "6020600062{ask}600073{wallet}5afa"
    program += "3d601f10" + "16" + "7f{yes}60005114" + "16" + "600052" + "6001601ff3"
    size = len(bytes.fromhex(_filled(program, address, given, question, 0)))
    return bytes.fromhex(_filled(program, address, given, question, size)) + given.calldata + question


def _filled(program: str, address: str, given: Undeployed, question: bytes, size: int) -> str:
    make = len(given.calldata)
    return program.format(
        make=make.to_bytes(3).hex(),
        at=size.to_bytes(3).hex(),
        ask=len(question).to_bytes(3).hex(),
        then=(size + make).to_bytes(3).hex(),
        factory=given.factory[2:].lower(),
        wallet=address[2:].lower(),
        yes=_YES.hex(),
    )


def _padded(data: bytes) -> bytes:
    return len(data).to_bytes(32) + data + bytes(-len(data) % 32)


def _part(body: bytes, place: int) -> bytes | None:
    at = int.from_bytes(body[32 * place : 32 * place + 32])
    size = int.from_bytes(body[at : at + 32]) if at + 32 <= len(body) else len(body)
    return body[at + 32 : at + 32 + size] if at + 32 + size <= len(body) else None


def _bytes(answer: object, about: str) -> bytes:
    if not isinstance(answer, str) or not _HEX.fullmatch(answer):
        raise ChainUnavailable(f"The endpoint's answer about {about} makes no sense.")
    return bytes.fromhex(answer[2:])
