"""The payment schemes of a buyer: those that ship and its wallet has keys for, and those that the user adds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..chains.families import Families, Look
from ..chains.rpc import Endpoints
from ..chains.tokens import Tokens
from ..core.asks import Ask, Fetch
from ..core.ports import Scheme
from ..errors import ChainUnavailable, ConfigurationError
from ..guards.arguments import takes
from ..model.holds import Hold, payer_name
from ..model.money import Token
from ..model.networks import EVM_FAMILY, SOLANA_FAMILY, family_of, is_family, short_name
from ..model.offers import Offer, quoted, term
from ..model.signing import Signed
from ..schemes.not_paid import about_scheme
from ..signers.play_keys import is_play_signer, takes_play_keys
from .wallet import Wallet

if TYPE_CHECKING:
    from ..chains.solana import SolanaChain

#: The methods of a scheme, with their arguments.
_METHODS = {"objection": ("offer",), "remark": ("offer",), "sign": ("offer", "validity")}


class SolanaChains:
    """The facts that payments know of each Solana network, made when first asked for."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._made: dict[str, SolanaChain] = {}

    def of(self, network: str) -> SolanaChain:
        """Return the facts that are known of one network."""
        found = self._made.get(network)
        if found is None:
            from ..chains.solana import SolanaChain

            found = self._made.setdefault(network, SolanaChain(self._endpoints.of(network)))
        return found


def _exact_evm(signer: Any, endpoints: Endpoints, check_funds: bool, permits: bool) -> Scheme:
    from ..schemes.evm_payer import EvmPayer
    from ..schemes.exact_evm import ExactEvm

    account = EvmPayer(signer.address, signer, endpoints)
    return ExactEvm(signer.address, endpoints.of, check_funds, account, permits)


def _upto_evm(signer: Any, endpoints: Endpoints, check_funds: bool, permits: bool) -> Scheme:
    from ..schemes.evm_payer import EvmPayer
    from ..schemes.upto_evm import UptoEvm

    account = EvmPayer(signer.address, signer, endpoints)
    return UptoEvm(signer.address, endpoints.of, check_funds, account, permits)


def _exact_solana(signer: Any, endpoints: Endpoints, check_funds: bool, permits: bool) -> Scheme:
    from ..schemes.exact_solana import ExactSolana
    from ..signers.solana import LocalSolanaSigner

    return ExactSolana(signer.address, SolanaChains(endpoints).of, check_funds, isinstance(signer, LocalSolanaSigner))


#: The schemes that ship, by name and family, with the function that makes each. A scheme that the wallet has no key for
#: is not imported.
SHIPPED: Mapping[tuple[str, str], Callable[[Any, Endpoints, bool, bool], Scheme]] = {
    ("exact", EVM_FAMILY): _exact_evm,
    ("exact", SOLANA_FAMILY): _exact_solana,
    ("upto", EVM_FAMILY): _upto_evm,
}


class PaymentMeans:
    """The means of a buyer: its schemes, the families of chains they pay on, and the tokens it knows."""

    __slots__ = ("_endpoints", "_names", "_payers", "_play", "families", "payers", "schemes", "tokens")

    def __init__(
        self,
        wallet: Wallet,
        endpoints: Endpoints,
        check_funds: bool = False,
        further: Iterable[Scheme] = (),
        tokens: Iterable[Token] = (),
        permits: bool = True,
    ) -> None:
        added = _checked(further)
        self._endpoints = endpoints
        self.families: Families = Families(scheme.family for scheme in added if not isinstance(scheme.family, str))
        self.schemes: dict[tuple[str, str], Scheme] = {
            **_shipped(wallet, endpoints, check_funds, permits), **_by_place(added),
        }  # fmt: skip
        self.tokens: Tokens = Tokens(tokens, self.families)
        self._names = {name for name, _ in (*SHIPPED, *self.schemes)}
        #: The account that pays in each family of chains.
        self._payers = {family: payer_name(address) for family, address in wallet.addresses.items()}
        self.payers: tuple[str, ...] = tuple(self._payers.values())
        #: The families of chains that the wallet pays on with a key of the sandbox.
        self._play = {family for family in wallet.addresses if is_play_signer(wallet.signer(family))}

    def same_account(self, network: str, one: str, other: str) -> bool:
        """Return True if two addresses on a network are one account."""
        return self.families.same_account(network, one, other)

    def payer(self, network: str) -> str:
        """Return the account that pays on a network, as ``payer_name`` writes it; "" if there is none."""
        return self._payers.get(family_of(network), "")

    def token(self, network: str, asset: str) -> Token | None:
        """Return the token behind an address or a symbol, if the buyer knows it."""
        return self.tokens.find(network, asset)

    def objection(self, offer: Offer) -> str | None:
        """Return why an offer cannot be signed or must not be, or None."""
        place = (offer.scheme, family_of(offer.network))
        scheme = self.schemes.get(place)
        if scheme is None:
            return self._nothing_signs(offer)
        if not self.may_sign(offer.network):
            return (
                "anybody may know the wallet's key, one of a sandbox or a development tool; pay with a key of your own "
                f"on {term(short_name(offer.network), 60)}"
            )
        try:
            return scheme.objection(offer) or None
        except Exception as failure:  # the scheme is not ours, and the quote's other offers may be sound
            if place in SHIPPED:
                raise
            return f"payment scheme {quoted(offer.scheme, 40)} failed on it with {type(failure).__name__}"

    def _nothing_signs(self, offer: Offer) -> str:
        scheme, network = quoted(offer.scheme, 40), term(short_name(offer.network), 60)
        if offer.scheme not in self._names:
            return f"payment scheme {scheme} is not supported{about_scheme(offer.scheme)}"
        family = family_of(offer.network)
        if (offer.scheme, family) in SHIPPED:
            return f"the wallet has no key for {network}"
        return f"payment scheme {scheme} is not supported on {network}{about_scheme(offer.scheme, family)}"

    def may_sign(self, network: str) -> bool:
        """Return False where anybody may know the key that would sign for a network."""
        return family_of(network) not in self._play or takes_play_keys(network)

    def look(self, offer: Offer) -> Look | None:
        """Return the function that asks an endpoint whether a payment of this offer settled.

        It is the scheme's own, else its family's.
        """
        own = getattr(self.schemes.get((offer.scheme, family_of(offer.network))), "look", None)
        return own or self.families.look(offer.network)

    def balance(self, hold: Hold) -> int | None:
        """Return what the payer of a hold has of its token, in its smallest unit; None: that cannot be told."""
        read_balance = self.families.balance(hold.offer.network)
        if read_balance is None or hold.authorization is None or not self._endpoints.reach(hold.offer.network):
            return None
        try:
            return read_balance(self._endpoints.of(hold.offer.network), hold, hold.authorization)
        except ChainUnavailable:
            return None


def _shipped(wallet: Wallet, endpoints: Endpoints, check_funds: bool, permits: bool) -> dict[tuple[str, str], Scheme]:
    signers = {place: wallet.signer(place[1]) for place in SHIPPED}
    return {
        place: _opened_first(SHIPPED[place](signer, endpoints, check_funds, permits), signer)
        for place, signer in signers.items()
        if signer is not None
    }


def _opened_first(scheme: Scheme, signer: Any) -> Scheme:
    """Return a scheme that opens the signer's keystore before all else, if the signer has one."""
    open_keystore = getattr(signer, "open_keystore", None)
    return scheme if open_keystore is None else _OpenedFirst(scheme, open_keystore)


class _OpenedFirst:
    """Scheme whose signer has a locked keystore: a wrong passphrase is said before any chain is asked."""

    def __init__(self, scheme: Scheme, open_keystore: Callable[[], None]) -> None:
        self.name, self.family = scheme.name, scheme.family
        self.objection, self.remark = scheme.objection, scheme.remark
        self._scheme, self._open_keystore = scheme, open_keystore

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheme, name)  # what only some schemes have, such as a look of their own

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        """Open the keystore, and sign."""
        yield from Fetch(self._open_keystore)
        return (yield from self._scheme.sign(offer, validity))


def _checked(further: Iterable[Scheme]) -> list[Scheme]:
    """Return the user's schemes, checked.

    What one of them lacks is said now, not in the middle of a payment.
    """
    if isinstance(further, str) or not isinstance(further, Iterable):
        raise ConfigurationError(f"schemes is a list of payment schemes, not {type(further).__name__}.")
    schemes = list(further)
    for scheme in schemes:
        _check(scheme)
    return schemes


def _check(scheme: Any) -> None:
    if inspect.isclass(scheme):
        raise ConfigurationError(f"schemes holds objects: {scheme.__name__}(...), not the class {scheme.__name__}.")
    kind, name, family = type(scheme).__name__, getattr(scheme, "name", None), getattr(scheme, "family", None)
    lacks = [f"method {method}" for method in _METHODS if not callable(getattr(scheme, method, None))]
    lacks += [] if isinstance(name, str) and name else ["name"]
    lacks += ["family"] if family is None else []
    if lacks:
        raise ConfigurationError(f"{kind} is not a payment scheme; it has no {' and no '.join(lacks)}.")
    for method, given in _METHODS.items():
        if not takes(getattr(scheme, method), len(given)):
            raise ConfigurationError(
                f"{kind}.{method} does not take what it is called with; write `def {method}(self, {', '.join(given)})`."
            )
    if isinstance(family, str) and not is_family(family):
        raise ConfigurationError(
            f"{kind}.family names a family of chains, like {EVM_FAMILY!r} or {SOLANA_FAMILY!r}; {family!r} is not one."
        )
    if inspect.iscoroutinefunction(scheme.sign) or inspect.isasyncgenfunction(scheme.sign):
        raise ConfigurationError(
            f"{kind}.sign is async. A scheme is written once for sync and async clients: `def sign`, and "
            "`yield from` what has to be asked."
        )


def _by_place(added: Iterable[Scheme]) -> dict[tuple[str, str], Scheme]:
    """Return the user's schemes by name and family.

    None silently takes the place of another.
    """
    found: dict[tuple[str, str], Scheme] = {}
    for scheme in added:
        place = name, family = scheme.name, family_name(scheme)
        if place in SHIPPED:
            raise ConfigurationError(
                f"Payment scheme {name!r} on {family!r} ships with the package and is not replaced; give "
                f"{type(scheme).__name__} another name."
            )
        if place in found:
            raise ConfigurationError(f"schemes has {name!r} on {family!r} twice; keep one.")
        found[place] = scheme
    return found


def family_name(scheme: Scheme) -> str:
    """Return the name of the family of chains that a scheme pays on."""
    family = scheme.family
    return family if isinstance(family, str) else family.name
