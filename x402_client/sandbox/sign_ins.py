"""Sign-in at the sandbox: challenges for one use, and the check of what a wallet signed."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ..chains.evm import personal_digest, recover
from ..model.networks import EVM_FAMILY, family_of
from ..model.sign_in import SIGN_IN, SIGNATURE_TYPES
from ..wire.sign_in import HEADER, read_sign_in, sign_in_text
from .answers import opened

#: Seconds for which a challenge is good.
_GOOD_FOR = 300
Info = dict[str, Any]


class SignIns:
    """Challenges that are out. Each is good for one sign-in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._out: dict[str, float] = {}

    def challenge(self, url: str, networks: Iterable[str], alter: Callable[[Info], Info] | None = None) -> Info:
        """Return the extension for a 402: a challenge about this URL, altered if a fault wants it."""
        now, nonce = time.time(), secrets.token_hex(16)
        info: Info = {
            "domain": urlsplit(url).netloc,
            "uri": url,
            "version": "1",
            "nonce": nonce,
            "issuedAt": _written(now),
            "expirationTime": _written(now + _GOOD_FOR),
            "statement": "Sign in to see again what you bought.",
            "resources": [url],
        }
        info = info if alter is None else alter(info)
        with self._lock:
            self._out[str(info["nonce"])] = now
        chains = [{"chainId": network, "type": SIGNATURE_TYPES[family_of(network)]} for network in networks]
        return {SIGN_IN: {"info": info, "supportedChains": chains, "schema": {"type": "object"}}}

    def account(self, headers: Mapping[str, str], url: str) -> str | None:
        """Return the account that signed in for this URL, or None. Its challenge is used then."""
        said = opened(headers.get(HEADER) or "") or {}
        network, address = said.get("chainId"), said.get("address")
        read = read_sign_in({SIGN_IN: {"info": said, "supportedChains": [said]}})
        if read is None or read.reason is not None or not isinstance(network, str) or not isinstance(address, str):
            return None
        if (read.domain, urlsplit(read.uri).netloc) != (urlsplit(url).netloc,) * 2:
            return None
        text = sign_in_text(read, network, address).encode()
        signed_by = _is_by_evm if family_of(network) == EVM_FAMILY else _is_by_solana
        if not signed_by(address, text, str(said.get("signature"))):
            return None
        with self._lock:
            made = self._out.pop(read.nonce, None)
        return address if made is not None and time.time() - made <= _GOOD_FOR else None


def _written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _is_by_evm(address: str, text: bytes, signature: str) -> bool:
    try:
        return recover(personal_digest(text), bytes.fromhex(signature.removeprefix("0x"))) == address
    except ValueError:
        return False


def _is_by_solana(address: str, text: bytes, signature: str) -> bool:
    from solders.pubkey import Pubkey
    from solders.signature import Signature

    try:
        return Signature.from_string(signature).verify(Pubkey.from_string(address), text)
    except ValueError:
        return False
