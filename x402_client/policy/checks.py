"""Checks of what a user writes into a ``Policy`` or as a name: a mistake is named, not obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, TypeVar

from ..errors import ConfigurationError
from ..model.hosts import Pattern
from ..model.money import Amount, Money, Token
from ..model.networks import caip2, may_be_address, network_problem, short_name
from .host_mistakes import instead_of_flag, instead_of_hosts, instead_of_rule
from .limits import Amounts, Limit, as_amounts, by_currency, sane_amounts

T = TypeVar("T")
#: A word for a token. Addresses are longer, or are written with other marks.
_SYMBOL = r"(?a)[A-Za-z][A-Za-z0-9.]{0,9}"
#: Addresses that are written in hexadecimal: 40 digits on EVM chains, and up to 64 on others.
_HEX_ADDRESS = r"(?a)0[xX][0-9a-fA-F]{40,64}"
#: A key of a seller: an account on EVM chains, or a decentralized identifier of a kind that is read here.
_SELLER_KEY = (
    r"(?a)0[xX][0-9a-fA-F]{40}|did:key:z[1-9A-HJ-NP-Za-km-z]+(#.*)?|did:jwk:[A-Za-z0-9_-]+(#.*)?"
    r"|did:web:[A-Za-z0-9][A-Za-z0-9._-]*(%3[aA][0-9]{1,5})?(:[A-Za-z0-9._%-]+)*(#.*)?"
)
HostRule = Limit | Literal["deny"]


def hosts(written: Mapping[str, Limit | str]) -> dict[Pattern, HostRule]:
    """Return the hosts as patterns, each once, with the rule for each."""
    found: dict[Pattern, HostRule] = {}
    if not isinstance(written, Mapping):
        raise ConfigurationError(
            f'hosts maps names to Limit(...) or "deny", not {written!r}. {instead_of_hosts(written)}'
        )
    for name, rule in written.items():
        if not isinstance(rule, Limit) and rule != "deny":
            raise ConfigurationError(
                f'hosts[{name!r}] is a Limit(...) or "deny", not {rule!r}. {instead_of_rule(rule)}'
            )
        pattern = Pattern.parse(name)
        if pattern in found:
            raise ConfigurationError(f"hosts names {pattern} twice; keep one entry.")
        found[pattern] = rule if isinstance(rule, Limit) else "deny"
    return found


def patterns(name: str, given: Iterable[str]) -> tuple[Pattern, ...]:
    """Return the patterns of hosts that a list names."""
    return tuple(Pattern.parse(host) for host in name_list(name, given))


def threshold(name: str, amounts: Amounts) -> Limit:
    """Return amounts of one payment, for each currency, as a limit."""
    checked = by_currency(name, sane_amounts(name, as_amounts(amounts)))
    return Limit(per_request=checked.values())


def amount(name: str, written: Amount) -> Money:
    """Return one amount of one payment."""
    [found] = by_currency(name, sane_amounts(name, (written,))).values()
    return found


def name_list(name: str, values: Iterable[str]) -> list[str]:
    """Return a list of names. It may be empty."""
    if isinstance(values, str):
        raise ConfigurationError(f"{name} is a list, not one str; write {name}=[{values!r}].")
    found = as_list(name, values)
    for value in found:
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{name} holds names, not {value!r}.")
    return found


def nonempty_name_list(name: str, values: Iterable[str]) -> list[str]:
    """Return a list of names. It must not be empty."""
    found = name_list(name, values)
    if not found:
        raise ConfigurationError(f"{name} is empty, so nothing would ever be paid; leave it out (None) to allow any.")
    return found


def as_list(name: str, values: Iterable[T]) -> list[T]:
    """Return ``values`` as a list, if they are iterable."""
    if not isinstance(values, Iterable):
        raise ConfigurationError(f"{name} is a list, not {values!r}.")
    return list(values)


def pinned(pay_to: str | Iterable[str]) -> list[str]:
    """Return one address or several as a list."""
    found = nonempty_name_list("pay_to", [pay_to] if isinstance(pay_to, str) else pay_to)
    for address in found:
        if address[:2] in ("0x", "0X") and not re.fullmatch(_HEX_ADDRESS, address):
            raise ConfigurationError(
                f"pay_to names {address[:80]!r}, which can be no address, so nothing would ever be paid; an EVM "
                "address has 40 hex digits after 0x. Write all of it."
            )
    return found


def networks(names: Iterable[str]) -> tuple[str, ...]:
    """Return the CAIP-2 names of networks in order of preference, however the user spelled them."""
    listed: list[object] = [] if isinstance(names, str) else [*as_list("networks", names)]
    numbers = [name for name in listed if isinstance(name, int)]
    if numbers:
        raise ConfigurationError(f'networks holds names, not {numbers[0]}; write "{short_name(_chain(numbers[0]))}".')
    return tuple(network(name) for name in nonempty_name_list("networks", names))


def _chain(number: int) -> str:
    return caip2(str(number)) or "base"


def network(name: str) -> str:
    """Return the CAIP-2 name of a network."""
    problem = network_problem(name)
    if problem is not None:
        raise ConfigurationError(problem)
    found = caip2(name)
    assert found is not None
    return found


def seller_keys(names: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of sellers that a user trusts, each in one spelling."""
    listed = name_list("seller_keys", names)
    for name in listed:
        if not re.fullmatch(_SELLER_KEY, name):
            raise ConfigurationError(
                f"seller_keys names {name[:80]!r}, which is no EVM address, did:key, did:jwk or did:web. Write "
                'seller_keys=["did:key:z6Mk..."], for example.'
            )
    return tuple(dict.fromkeys(name.partition("#")[0] for name in listed))


def assets(names: Iterable[str], tokens: Iterable[Token]) -> tuple[str, ...]:
    """Return the names of assets: addresses, and symbols of tokens that are known or that the user vouches for."""
    found = tuple(nonempty_name_list("assets", names))
    strange = [name for name in found if re.fullmatch(_SYMBOL, name)]
    if strange:
        from ..chains.tokens import KNOWN  # it takes a while, and most policies name no assets

        symbols = dict.fromkeys(token.symbol for token in (*KNOWN, *tokens) if token.symbol)
        known = {symbol.upper() for symbol in symbols}
        for name in strange:
            if name.upper() not in known:
                raise ConfigurationError(
                    f"assets names {name!r}, which is no token we know, so nothing would ever be paid with it; known "
                    f"are {', '.join(symbols)}. Another one is named by its address and described in "
                    "Policy(tokens=[Token(...)])."
                )
    return found


def token(token: Token) -> Token:
    """Return a token that the user vouches for, with its network's CAIP-2 name."""
    if not isinstance(token, Token):
        cure = f" Those that are known go by their symbols: write assets=[{token!r}]." if isinstance(token, str) else ""
        raise ConfigurationError(f"tokens holds Token(...) entries, not {token!r}.{cure}")
    token = replace(token, network=network(token.network))
    if not may_be_address(token.network, token.address):
        raise ConfigurationError(f"{token.address!r} is not an address on {short_name(token.network)}.")
    from ..chains.tokens import check_known  # it takes a while, and most policies name no tokens

    check_known(token)
    return token


def flag(name: str, value: bool) -> bool:
    """Return ``value`` if it is True or False. Refuse anything else."""
    if not isinstance(value, bool):
        cure = instead_of_flag(value) if name == "only_listed_hosts" else ""
        raise ConfigurationError(f"{name} is True or False, not {value!r}. {cure}".rstrip())
    return value


def validity(seconds: int) -> int:
    """Return the number of seconds that a payment may be valid."""
    if type(seconds) is not int or not 60 <= seconds <= 86_400:
        raise ConfigurationError(f"validity is a whole number of seconds from 60 to 86400, not {seconds!r}.")
    return seconds


def is_unicode(text: str) -> bool:
    """Return False if ``text`` holds half a surrogate pair.

    Such a half has no bytes, so it names nothing that another machine could name.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
