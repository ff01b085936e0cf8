"""Families of chains: what an address is, when two are one account, and how to learn whether a payment settled.

A family is the namespace of CAIP-2 names: ``eip155`` for all EVM chains, ``solana``. These two ship; a payment scheme
brings others. Of a family that nothing is known of nothing is assumed: its addresses are compared letter by letter,
and whether a payment settled there is "unknown".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..errors import ConfigurationError
from ..model.holds import Authorization, Hold, Settled
from ..model.money import Token
from ..model.networks import EVM_FAMILY, SOLANA_FAMILY, canonical_evm, family_of, is_family, short_name

if TYPE_CHECKING:
    from .rpc import Rpc

#: Asks one endpoint whether a payment settled.
Look: TypeAlias = "Callable[[Rpc, Hold, Authorization], Settled]"
#: Reads what a payer has of the token, in its smallest unit.
ReadBalance: TypeAlias = "Callable[[Rpc, Hold, Authorization], int | None]"
#: The payloads whose settlement the families that ship can look up. Of any other scheme's they know nothing.
_LOOKED_UP = ("exact",)
_TOKEN_PROGRAMS = ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")


class ChainFamily(Protocol):
    """The facts of a family of chains.

    Optional besides: ``look(rpc, hold, authorization)`` asks one endpoint of ``Buyer(rpc=...)`` whether a payment
    settled and returns "settled", "not_settled", "live" (the chain's own clock is before the expiry) or "unknown";
    ``rpc.call(method, *params)`` speaks JSON-RPC, and ``rpc.urls`` are there for what does not.
    ``balance(rpc, hold, authorization)`` returns what the payer has of the token, in its smallest unit.
    ``token_problem(token)`` returns what is wrong with a token that a user vouches for, or None.
    """

    @property
    def name(self) -> str:
        """Return the namespace in the CAIP-2 names of its networks: ``eip155`` in ``eip155:8453``."""
        ...

    def is_address(self, text: str, /) -> bool:
        """Return True if this is an account's address. Any text may come."""
        ...

    def canonical(self, address: str, /) -> str:
        """Return the one spelling of an account: two addresses with the same one are one account. Any text may come."""
        ...


class Evm:
    """EVM chains: Ethereum, Base, Polygon and the like."""

    name = EVM_FAMILY
    title = "EVM"

    def is_address(self, text: str, /) -> bool:
        """Return True for 0x and 40 hex digits; letters of both cases have to be the right checksum."""
        from .evm import is_address

        return is_address(text)

    def canonical(self, address: str, /) -> str:
        """Return the address in small letters."""
        return canonical_evm(address)

    def token_problem(self, token: Token, /) -> str | None:
        """Return what is wrong with a token's address."""
        if self.is_address(token.address):
            return None
        return f"{token.address!r} is not an address on {short_name(token.network)}, or its checksum is wrong."

    def look(self, rpc: Rpc, hold: Hold, signed: Authorization, /) -> Settled:
        """Ask an endpoint whether the authorization was used."""
        from .evm_settlement import look

        return look(rpc, hold, signed) if hold.offer.scheme in _LOOKED_UP else "unknown"

    def balance(self, rpc: Rpc, hold: Hold, signed: Authorization, /) -> int | None:
        """Read the payer's balance of the token."""
        from .evm import token_balance

        token = hold.offer.token
        return None if token is None else token_balance(rpc, token.address, signed.payer)


class Solana:
    """Solana and its test networks."""

    name = SOLANA_FAMILY
    title = "Solana"

    def is_address(self, text: str, /) -> bool:
        """Return True for base58 of 32 bytes."""
        from .solana_address import is_address

        return is_address(text)

    def canonical(self, address: str, /) -> str:
        """Return the address as it is: in base58 every letter's case counts."""
        return address

    def token_problem(self, token: Token, /) -> str | None:
        """Return what is wrong with a mint or its program."""
        if not self.is_address(token.address):
            where = short_name(token.network)
            return f"{token.address!r} is not a mint on {where}: that is base58 of 32 bytes."
        if token.program not in (None, *_TOKEN_PROGRAMS):
            either = " or ".join(_TOKEN_PROGRAMS)
            return f"{token.program!r} is not a token program; it is {either}, or is left out and looked up."
        return None

    def look(self, rpc: Rpc, hold: Hold, signed: Authorization, /) -> Settled:
        """Ask an endpoint whether the transaction landed."""
        from .solana_settlement import look

        return look(rpc, hold, signed) if hold.offer.scheme in _LOOKED_UP else "unknown"

    def balance(self, rpc: Rpc, hold: Hold, signed: Authorization, /) -> int | None:
        """Read the balance of the token account that pays. One that does not exist holds nothing."""
        from .solana import SolanaChain

        account = signed.evidence.get("token_account")
        return SolanaChain(rpc).balances([account])[0] or 0 if isinstance(account, str) else None


EVM, SOLANA = Evm(), Solana()
SHIPPED: dict[str, ChainFamily] = {EVM.name: EVM, SOLANA.name: SOLANA}


class Families:
    """The families that a buyer knows: those that ship, and those that its schemes bring."""

    __slots__ = ("_by_name",)

    def __init__(self, further: Iterable[ChainFamily] = ()) -> None:
        self._by_name = dict(SHIPPED)
        for family in further:
            _check(family)
            if self._by_name.setdefault(family.name, family) is not family:
                whose = "ships with the package" if family.name in SHIPPED else "is described by two objects"
                raise ConfigurationError(f"The chain family {family.name!r} {whose}; name it by its name instead.")

    def of(self, network: str) -> ChainFamily | None:
        """Return the family of a network, or None if nothing is known of it."""
        return self._by_name.get(family_of(network))

    def is_address(self, network: str, text: str) -> bool | None:
        """Return True if this is an address there; None if the family is not known."""
        family = self.of(network)
        return None if family is None else family.is_address(text)

    def canonical(self, network: str, address: str) -> str:
        """Return the one spelling of an account on a network."""
        family = self.of(network)
        if family is None:
            return address
        try:
            return family.canonical(address)
        except Exception:  # a family of somebody else's; a seller's text must not end a payment under way
            if family.name in SHIPPED:
                raise
            return address

    def same_account(self, network: str, one: str, other: str) -> bool:
        """Return True if two addresses are one account."""
        return one == other or self.canonical(network, one) == self.canonical(network, other)

    def look(self, network: str) -> Look | None:
        """Return what asks an endpoint of a network whether a payment settled; None: nothing does."""
        return getattr(self.of(network), "look", None)

    def balance(self, network: str) -> ReadBalance | None:
        """Return what reads a payer's balance on a network; None: nothing does."""
        return getattr(self.of(network), "balance", None)

    def check_token(self, token: Token) -> None:
        """Raise ConfigurationError for a token that cannot be: now, rather than in the middle of a payment."""
        family = self.of(token.network)
        if family is None:
            return
        find_problem = getattr(family, "token_problem", None)
        if find_problem is not None:
            problem = find_problem(token)
        else:
            fits = family.is_address(token.address)
            problem = None if fits else f"{token.address!r} is not an address on {short_name(token.network)}."
        if problem is not None:
            raise ConfigurationError(problem)


#: For callers without a buyer: the families that ship.
FAMILIES = Families()


def is_shipped(look: Look) -> bool:
    """Return True for a look of ours, whose "not_settled" goes by the chain's own clock."""
    return look in (EVM.look, SOLANA.look)


def _check(family: Any) -> None:
    if inspect.isclass(family):
        raise ConfigurationError(f"A chain family is an object: {family.__name__}(), not the class {family.__name__}.")
    lacks = [part for part in ("is_address", "canonical") if not callable(getattr(family, part, None))]
    lacks += [] if is_family(getattr(family, "name", None)) else ["name of 3 to 8 small letters or digits"]
    if lacks:
        raise ConfigurationError(f"{type(family).__name__} is not a ChainFamily; it has no {' and no '.join(lacks)}.")
