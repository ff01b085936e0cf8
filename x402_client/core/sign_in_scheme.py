"""The port through which the flow signs in."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..model.hosts import Origin
    from ..model.offers import SignIn
    from .asks import Ask


class SignInScheme(Protocol):
    """The signer of challenges: the wallet's keys, and the rules of the extension."""

    def objection(self, challenge: SignIn, origin: Origin) -> str | None:
        """Return why a challenge that an origin made is not signed now, or None."""
        ...

    def account(self, network: str) -> str:
        """Return the account that signs in on a network; "" if there is none."""
        ...

    def sign(self, challenge: SignIn, network: str) -> Generator[Ask[Any], Any, tuple[str, str]]:
        """Sign a challenge, and return the header that signs in."""
        ...
