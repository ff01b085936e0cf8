"""``sign-in-with-x``: signs a text about a seller, to open what was bought there before. It moves no money."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from typing import Any

from ..chains.evm import personal_digest, recover
from ..core.asks import Ask, SignatureGiven, SignMessage, SignText
from ..errors import SigningError
from ..guards.forks import in_each_child
from ..guards.handlers import raise_callers_stop
from ..model.hosts import Origin
from ..model.networks import EVM_FAMILY, family_of
from ..model.offers import SignIn
from ..policy.sign_in import challenge_objection
from ..wire.bounds import Bounds
from ..wire.sign_in import sign_in_header, sign_in_text

#: Challenges that were signed and are remembered, so that none is signed twice. The oldest are outdated anyway.
_REMEMBERED = 1_000
_USED = "this same challenge was signed before, and a sign-in is for one use"


class SignInWithX:
    """The sign-ins of one wallet.

    ``accounts`` are its addresses, by family of chains, of the keys that can sign a text. ``is_ours`` tells whether a
    key may sign for a network.
    """

    def __init__(self, accounts: Mapping[str, str], is_ours: Callable[[str], bool], bounds: Bounds) -> None:
        self._accounts, self._is_ours, self._bounds = dict(accounts), is_ours, bounds
        self._signed: OrderedDict[tuple[str, str], None] = OrderedDict()
        in_each_child(self, SignInWithX._start_anew)

    def _start_anew(self) -> None:
        self._lock = threading.Lock()

    def objection(self, challenge: SignIn, origin: Origin) -> str | None:
        """Return why a challenge that an origin made is not signed now, or None."""
        if self._key(challenge) in self._signed:
            return _USED
        return challenge_objection(challenge, origin, time.time())

    def account(self, network: str) -> str:
        """Return the account that signs in on a network; "" if there is none."""
        return self._accounts.get(family_of(network), "") if self._is_ours(network) else ""

    def sign(self, challenge: SignIn, network: str) -> Generator[Ask[Any], Any, tuple[str, str]]:
        """Sign a challenge, once. Return name and value of the header that signs in."""
        address = self.account(network)
        if not self._remember(challenge):
            raise SigningError(f"It was not signed: {_USED}. Nothing was sent.")
        text = sign_in_text(challenge, network, address).encode()
        on_evm = family_of(network) == EVM_FAMILY
        try:
            given = yield from SignText(text) if on_evm else SignMessage(text)
        except SigningError:
            raise
        except Exception as failure:
            raise_callers_stop(failure)
            raise SigningError(f"Signing in failed with {type(failure).__name__}. Nothing was sent.") from failure
        if not given.trusted and not (_is_by if on_evm else _is_by_solana)(address, text, given):
            raise SigningError(f"The signature that came back is not by {address}, the signer's address.")
        # The signature is kept in no variable: tools that print those of a traceback would show it.
        return sign_in_header(challenge, network, address, (_hex if on_evm else _base58)(given), self._bounds)

    def _key(self, challenge: SignIn) -> tuple[str, str]:
        return challenge.domain.lower(), challenge.nonce

    def _remember(self, challenge: SignIn) -> bool:
        """Take a challenge for one use. Return False if another call has taken it since it was judged."""
        with self._lock:
            if self._key(challenge) in self._signed:
                return False
            self._signed[self._key(challenge)] = None
            while len(self._signed) > _REMEMBERED:
                self._signed.popitem(last=False)
            return True


def _is_by(address: str, text: bytes, given: SignatureGiven) -> bool:
    return recover(personal_digest(text), given.signature) == address


def _is_by_solana(address: str, text: bytes, given: SignatureGiven) -> bool:
    from solders.pubkey import Pubkey
    from solders.signature import Signature

    return Signature.from_bytes(given.signature).verify(Pubkey.from_string(address), text)


def _hex(given: SignatureGiven) -> str:
    return "0x" + given.signature.hex()


def _base58(given: SignatureGiven) -> str:
    from solders.signature import Signature

    return str(Signature.from_bytes(given.signature))
