"""The payment schemes that a buyer can sign, by the keys of its wallet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..chains.tokens import Tokens
from ..core.ports import Scheme
from ..model.money import Token
from ..model.networks import short_name
from ..model.offers import Offer, words

if TYPE_CHECKING:
    pass


_KNOWN_SCHEMES = ("exact",)


class _Means:
    """What this buyer knows and can sign."""

    __slots__ = ("_schemes", "_tokens")

    def __init__(self, tokens: Tokens, schemes: Mapping[tuple[str, str], Scheme]) -> None:
        self._tokens, self._schemes = tokens, schemes

    def token(self, network: str, asset: str) -> Token | None:
        return self._tokens.find(network, asset)

    def objection(self, offer: Offer) -> str | None:
        family = offer.network.partition(":")[0]
        scheme = self._schemes.get((offer.scheme, family))
        if scheme is not None:
            return scheme.objection(offer)
        if offer.scheme in _KNOWN_SCHEMES:
            return f"the wallet has no key for {words(short_name(offer.network), 60)}"
        return f"payment scheme {words(offer.scheme, 40)!r} is not supported"
