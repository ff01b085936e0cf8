"""Families of chains: what an address is, when two addresses are one account, and how a settlement is looked up.

A family is the namespace of CAIP-2 names: ``eip155`` for all EVM chains, ``solana``. These two ship; a payment scheme
may bring others. Nothing is assumed about an unknown family. Its addresses are compared letter by letter, and lookups
of settlements there answer "unknown".
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

#: A function that asks one endpoint whether a payment settled.
Look: TypeAlias = "Callable[[Rpc, Hold, Authorization], Settled]"
#: A function that reads a payer's balance of the token, in its smallest unit.
ReadBalance: TypeAlias = "Callable[[Rpc, Hold, Authorization], int | None]"
#: A function that finds the transaction that settled a payment.
FindTransaction: TypeAlias = "Callable[[Rpc, Hold, Authorization], str | None]"
#: A function that reads from one endpoint what was taken of a ceiling, in the token's smallest unit.
ReadCharge: TypeAlias = "Callable[[Rpc, Hold, Authorization], int | None]"
#: Schemes whose payments the shipped families can look up.
_LOOKED_UP = ("exact",)
_TOKEN_PROGRAMS = ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")


class ChainFamily(Protocol):
    """Facts of a family of chains.

    Four methods are optional. ``look(rpc, hold, authorization)`` asks one endpoint of ``Buyer(rpc=...)`` whether a
    payment settled. It returns "settled", "not_settled", "live" (the chain's own clock is before the expiry) or
    "unknown". ``rpc.call(method, *params)`` speaks JSON-RPC; for other protocols use ``rpc.urls``.
    ``balance(rpc, hold, authorization)`` returns the payer's balance of the token, in its smallest unit.
    ``transaction(rpc, hold, authorization)`` returns the transaction that settled a payment, or None if it finds none.
    ``token_problem(token)`` returns what is wrong with a token of ``Policy(tokens=...)``, or None.
    """

    @property
    def name(self) -> str:
        """Return the namespace in the CAIP-2 names of its networks: ``eip155`` in ``eip155:8453``."""
        ...

    def is_address(self, text: str, /) -> bool:
        """Return True if this is an account's address. It is called with any text."""
        ...

    def canonical(self, address: str, /) -> str:
        """Return the one spelling of an account: equal spellings are one account. It is called with any text."""
        ...


class Evm:
    """EVM chains: Ethereum, Base, Polygon and the like."""

    name = EVM_FAMILY
    title = "EVM"

    def is_address(self, text: str, /) -> bool:
        """Return True for 0x and 40 hex digits. In mixed case, the checksum has to be right."""
        from .evm import is_address

        return is_address(text)

    def canonical(self, address: str, /) -> str:
        """Return the address in lower case."""
        return canonical_evm(address)

    def token_problem(self, token: Token, /) -> str | None:
        """Return what is wrong with a token's address."""
        if self.is_address(token.address):
            return None
        return f"{token.address!r} is not an address on {short_name(token.network)}, or its checksum is wrong."

    def look(self, rpc: Rpc, hold: Hold, signed: Authorization, /) -> Settled:
        """Ask an endpoint whether the authorization was used."""
        if hold.offer.by_permit2 and signed.proof == "bit":
            from . import permit2_settlement

            return permit2_settlement.look(rpc, hold, signed)
        from .evm_settlement import look

        return look(rpc, hold, signed) if hold.offer.scheme in _LOOKED_UP else "unknown"

    def charge(self, rpc: Rpc, hold: Hold, signed: Authorization, /) -> int | None:
        """Read what was taken of a ceiling."""
        from . import permit2_settlement

        return permit2_settlement.charge(rpc, hold, signed)

    def balance(self, rpc: Rpc, hold: Hold, signed: Authorization, /) -> int | None:
        """Read the payer's balance of the token."""
        from .evm import token_balance

        token = hold.offer.token
        return None if token is None else token_balance(rpc, token.address, signed.payer)

    def transaction(self, rpc: Rpc, hold: Hold, signed: Authorization, /) -> str | None:
        """Find the transaction that used the authorization, in the token's events."""
        from .evm_transactions import find

        return find(rpc, hold, signed) if hold.offer.scheme in _LOOKED_UP else None


class Solana:
    """Solana and its test networks."""

    name = SOLANA_FAMILY
    title = "Solana"

    def is_address(self, text: str, /) -> bool:
        """Return True for 32 bytes in base58."""
        from .solana_address import is_address

        return is_address(text)

    def canonical(self, address: str, /) -> str:
        """Return the address as it is: base58 tells upper case from lower."""
        return address

    def token_problem(self, token: Token, /) -> str | None:
        """Return what is wrong with a mint or its program."""
        if not self.is_address(token.address):
            where = short_name(token.network)
            return f"{token.address!r} is not a mint on {where}: a mint is 32 bytes in base58."
        if token.program not in (None, *_TOKEN_PROGRAMS):
            either = " or ".join(_TOKEN_PROGRAMS)
            return f"{token.program!r} is not a token program. Name {either}, or leave it out: it is looked up."
        return None

    def look(self, rpc: Rpc, hold: Hold, signed: Authorization, /) -> Settled:
        """Ask an endpoint whether the transaction landed."""
        from .solana_settlement import look

        return look(rpc, hold, signed) if hold.offer.scheme in _LOOKED_UP else "unknown"

    def balance(self, rpc: Rpc, hold: Hold, signed: Authorization, /) -> int | None:
        """Read the balance of the token account that pays. An account that does not exist has 0."""
        from .solana import SolanaChain

        account = signed.evidence.get("token_account")
        return SolanaChain(rpc).balances([account])[0] or 0 if isinstance(account, str) else None

    def transaction(self, rpc: Rpc, hold: Hold, signed: Authorization, /) -> str | None:
        """Find the transaction that has the payer's signature."""
        from .solana_settlement import transaction

        return transaction(rpc, signed) if hold.offer.scheme in _LOOKED_UP else None


EVM, SOLANA = Evm(), Solana()
SHIPPED: dict[str, ChainFamily] = {EVM.name: EVM, SOLANA.name: SOLANA}


class Families:
    """Families that a buyer knows: those that ship, and those that its schemes bring."""

    __slots__ = ("_by_name",)

    def __init__(self, further: Iterable[ChainFamily] = ()) -> None:
        self._by_name = dict(SHIPPED)
        for family in further:
            _check(family)
            if self._by_name.setdefault(family.name, family) is not family:
                whose = "ships with the package" if family.name in SHIPPED else "is described by two objects"
                raise ConfigurationError(f"The chain family {family.name!r} {whose}; give its name instead.")

    def of(self, network: str) -> ChainFamily | None:
        """Return the family of a network, or None if nothing is known of it."""
        return self._by_name.get(family_of(network))

    def is_address(self, network: str, text: str) -> bool | None:
        """Return True if this is an address on a network. None if its family is not known."""
        family = self.of(network)
        return None if family is None else family.is_address(text)

    def canonical(self, network: str, address: str) -> str:
        """Return the one spelling of an account on a network."""
        family = self.of(network)
        if family is None:
            return address
        try:
            return family.canonical(address)
        except Exception:  # in somebody else's family, a seller's text must not end a payment under way
            if family.name in SHIPPED:
                raise
            return address

    def same_account(self, network: str, one: str, other: str) -> bool:
        """Return True if two addresses are one account."""
        return one == other or self.canonical(network, one) == self.canonical(network, other)

    def look(self, network: str) -> Look | None:
        """Return the function that asks an endpoint whether a payment settled. None if the family has none."""
        return getattr(self.of(network), "look", None)

    def balance(self, network: str) -> ReadBalance | None:
        """Return the function that reads a payer's balance on a network. None if the family has none."""
        return getattr(self.of(network), "balance", None)

    def transaction(self, network: str) -> FindTransaction | None:
        """Return the function that finds a payment's transaction on a network. None if the family has none."""
        return getattr(self.of(network), "transaction", None)

    def charge(self, network: str) -> ReadCharge | None:
        """Return the function that reads what was taken of a ceiling. None if the family has none."""
        return getattr(self.of(network), "charge", None)

    def check_token(self, token: Token) -> None:
        """Raise ConfigurationError for a token that cannot exist, before any payment."""
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
    """Return True for a look of a shipped family: its "not_settled" goes by the chain's own clock."""
    return look in (EVM.look, SOLANA.look)


def _check(family: Any) -> None:
    if inspect.isclass(family):
        raise ConfigurationError(f"A chain family is an object: {family.__name__}(), not the class {family.__name__}.")
    lacks = [part for part in ("is_address", "canonical") if not callable(getattr(family, part, None))]
    lacks += [] if is_family(getattr(family, "name", None)) else ["name of 3 to 8 small letters or digits"]
    if lacks:
        raise ConfigurationError(f"{type(family).__name__} is not a ChainFamily; it has no {' and no '.join(lacks)}.")
