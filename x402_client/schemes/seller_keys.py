"""Keys by which sellers sign, as JSON Web Keys and decentralized identifiers write them, and checks by them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..chains.evm import address_of
from ..errors import MalformedQuote
from ..wire.json_text import load

#: The most characters of an identifier.
_MOST = 1_024
#: What the first bytes of a ``did:key`` say of the rest: the curve, and the length of the key.
_CURVES: Mapping[bytes, tuple[str, int]] = {
    b"\xed\x01": ("Ed25519", 32), b"\xe7\x01": ("secp256k1", 33), b"\x80\x24": ("P-256", 33),
}  # fmt: skip
#: The algorithms of a JWS, with the curve of the key of each.
ALGORITHMS: Mapping[str, str] = {
    "EdDSA": "Ed25519", "Ed25519": "Ed25519", "ES256": "P-256", "ES256K": "secp256k1",
}  # fmt: skip


class SellerKey(NamedTuple):
    """A public key: 32 bytes of Ed25519, or 64 bytes (x and y) of another curve."""

    curve: str
    public: bytes

    @property
    def account(self) -> str:
        """Return the account on a chain whose key it is, or ""."""
        if self.curve == "secp256k1":
            return address_of(self.public)
        if self.curve == "Ed25519":
            import base58

            return str(base58.b58encode(self.public).decode())
        return ""


def key_of_did(did: str) -> SellerKey:
    """Return the key in a ``did:key`` or a ``did:jwk``. Raise a ValueError, in words, for any other text."""
    method, _, rest = did.partition("#")[0].removeprefix("did:").partition(":")
    if not did.startswith("did:") or len(did) > _MOST or method not in ("key", "jwk"):
        raise ValueError("it is no did:key and no did:jwk")
    return key_of_multibase(rest) if method == "key" else key_of_jwk(_json(rest))


def key_of_multibase(text: str) -> SellerKey:
    """Return the key in the text of a ``did:key``, after its last colon."""
    import base58

    try:
        data = base58.b58decode(text[1:]) if text[:1] == "z" and text.isascii() else b""
    except ValueError:
        data = b""
    curve, length = _CURVES.get(data[:2], ("", 0))
    if not curve or len(data) != 2 + length:
        raise ValueError("its key is none of Ed25519, P-256 or secp256k1")
    return SellerKey(curve, data[2:] if curve == "Ed25519" else _whole_point(curve, data[2:]))


def key_of_jwk(jwk: Any) -> SellerKey:
    """Return the key in a JSON Web Key."""
    if not isinstance(jwk, dict):
        raise ValueError("its key is no object")
    curve, parts = jwk.get("crv"), [jwk.get("x"), jwk.get("y")]
    if (jwk.get("kty"), curve) == ("OKP", "Ed25519"):
        return SellerKey("Ed25519", _number(parts[0]))
    if jwk.get("kty") == "EC" and curve in ("P-256", "secp256k1"):
        return SellerKey(str(curve), b"".join(map(_number, parts)))
    raise ValueError("its key is none of Ed25519, P-256 or secp256k1")


def _number(text: Any) -> bytes:
    data = _plain(text) if isinstance(text, str) and len(text) < 64 else b""
    if len(data) != 32:
        raise ValueError("a part of its key has not 32 bytes")
    return data


def _json(text: str) -> Any:
    try:
        return load(_plain(text), 4)
    except MalformedQuote:
        raise ValueError("its key is no JSON") from None


def _plain(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("its key is not base64") from None


def _whole_point(curve: str, compressed: bytes) -> bytes:
    """Return x and y of a point that is written by x alone."""
    if curve == "P-256":
        from Crypto.PublicKey import ECC

        point = ECC.import_key(compressed, curve_name="P-256").pointQ
        return int(point.x).to_bytes(32) + int(point.y).to_bytes(32)
    from eth_keys.datatypes import PublicKey

    try:
        return bytes(PublicKey.from_compressed_bytes(compressed).to_bytes())
    except Exception:  # it has errors of its own
        raise ValueError("its key is no point of secp256k1") from None


def fits(key: SellerKey, message: bytes, signature: bytes) -> bool:
    """Return True if this key signed the message, as a JWS is signed."""
    if len(signature) != 64:
        return False
    try:
        return _CHECKS[key.curve](key.public, message, signature)
    except Exception:  # each library has its own errors for points off the curve
        return False


def _is_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    from solders.pubkey import Pubkey
    from solders.signature import Signature

    return bool(Signature.from_bytes(signature).verify(Pubkey.from_bytes(public), message))


def _is_p256(public: bytes, message: bytes, signature: bytes) -> bool:
    from Crypto.Hash import SHA256
    from Crypto.PublicKey import ECC
    from Crypto.Signature import DSS

    x, y = int.from_bytes(public[:32]), int.from_bytes(public[32:])
    key = ECC.construct(curve="P-256", point_x=x, point_y=y)
    DSS.new(key, "fips-186-3").verify(SHA256.new(message), signature)  # it raises unless the signature fits
    return True


def _is_secp256k1(public: bytes, message: bytes, signature: bytes) -> bool:
    from eth_keys.datatypes import NonRecoverableSignature, PublicKey

    digest = hashlib.sha256(message).digest()
    return bool(NonRecoverableSignature(signature).verify_msg_hash(digest, PublicKey(public)))


_CHECKS: Mapping[str, Callable[[bytes, bytes, bytes], bool]] = {
    "Ed25519": _is_ed25519, "P-256": _is_p256, "secp256k1": _is_secp256k1,
}  # fmt: skip
