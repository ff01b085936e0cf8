"""Names of networks. Version 1's words, everyday aliases and CAIP-2 are three spellings of one thing."""

from __future__ import annotations

import re

from .keywords import near

#: The families that ship, by their namespaces in CAIP-2.
EVM_FAMILY, SOLANA_FAMILY = "eip155", "solana"

SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
SOLANA_DEVNET = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"
SOLANA_TESTNET = "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z"

_CHAIN_IDS = {
    "base": 8453,
    "base-mainnet": 8453,
    "base-sepolia": 84532,
    "ethereum": 1,
    "mainnet": 1,
    "sepolia": 11155111,
    "ethereum-sepolia": 11155111,
    "polygon": 137,
    "matic": 137,
    "polygon-amoy": 80002,
    "arbitrum": 42161,
    "arbitrum-one": 42161,
    "arbitrum-sepolia": 421614,
    "optimism": 10,
    "avalanche": 43114,
    "avalanche-fuji": 43113,
    "abstract": 2741,
    "abstract-testnet": 11124,
    "iotex": 4689,
    "sei": 1329,
    "sei-testnet": 1328,
    "peaq": 3338,
    "megaeth": 4326,
    "monad": 143,
    "monad-testnet": 10143,
    "stable": 988,
    "stable-testnet": 2201,
    "celo": 42220,
    "celo-sepolia": 11142220,
    "flare": 14,
    "xdc": 50,
    "xdc-apothem": 51,
    "arc": 5042,
    "arc-testnet": 5042002,
    "adi": 36900,
    "hpp": 190415,
    "hpp-sepolia": 181228,
    "mezo": 31612,
    "mezo-testnet": 31611,
    "radius": 723487,
    "radius-testnet": 72344,
    "igra": 38833,
    "skale-base": 1187947933,
    "x-layer": 196,
    # The chain id that no chain has: that of `x402 sandbox`.
    "sandbox": 402402402402,
}

_NAMES = {name: f"eip155:{chain_id}" for name, chain_id in _CHAIN_IDS.items()} | {
    "solana": SOLANA,
    "solana-mainnet": SOLANA,
    "solana-mainnet-beta": SOLANA,
    "mainnet-beta": SOLANA,
    "solana-devnet": SOLANA_DEVNET,
    "devnet": SOLANA_DEVNET,
    "solana-testnet": SOLANA_TESTNET,
    # One vendor writes mainnet's reference this way.
    "solana:4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZ": SOLANA,
}

#: Networks whose money is worth nothing, by the words that their names have for it.
TEST_NETWORKS = frozenset(
    network for name, network in _NAMES.items() if re.search("testnet|devnet|sepolia|amoy|fuji|apothem", name)
)
_SHORT = {network: name for name, network in reversed(_NAMES.items()) if ":" not in name}
#: Words that stand for another network on each chain, with what to write.
_AMBIGUOUS = {
    **dict.fromkeys(("mainnet", "main"), '"base", "ethereum" or "solana"'),
    **dict.fromkeys(("testnet", "test"), '"base-sepolia" or "solana-devnet"'),
}
#: What people write for the namespace of EVM chains.
_NO_FAMILIES = frozenset({"evm", "eip", "eip-155", "erc20", "chain"})
_COINS = {
    "eth": "ethereum",
    "sol": "solana",
    "avax": "avalanche",
    "arb": "arbitrum",
    "op": "optimism",
    "pol": "polygon",
}
_SOLANA_REFERENCE = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32}", re.ASCII)
_FAMILY = re.compile(r"[-a-z0-9]{3,8}", re.ASCII)
_CAIP2 = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}", re.ASCII)
_EVM = re.compile(r"eip155:[1-9][0-9]{0,18}", re.ASCII)
_EVM_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


def caip2(name: str) -> str | None:
    """Return the CAIP-2 name of a network, or None: ``base``, ``8453`` and ``eip155:8453`` are one."""
    known = _NAMES.get(name) or _NAMES.get(name.lower())
    if known:
        return known
    if name.isascii() and name.isdigit():
        name = f"eip155:{name}"
    if name.startswith("eip155:"):
        return name if _EVM.fullmatch(name) else None
    return name if _CAIP2.fullmatch(name) else None


#: Spellings that sellers put on the wire, and that a user's own policy does better without.
_BY_SELLERS = {
    "ethereum-mainnet": "eip155:1",
    "polygon-mainnet": "eip155:137",
    "xlayer": "eip155:196",
    "xdc-testnet": "eip155:51",
    "solana:mainnet": SOLANA,
    "solana:devnet": SOLANA_DEVNET,
}


def caip2_of_seller(name: str) -> str | None:
    """Return the CAIP-2 name of a network as a seller writes it, or None."""
    return _BY_SELLERS.get(name) or caip2(name)


def network_problem(name: str) -> str | None:
    """Return what is wrong with the name of a network that a user wrote, and what is meant. None if it is good."""
    several = _AMBIGUOUS.get(name.lower())
    if several is not None:
        return f"{name!r} is the name of several networks; write {several}."
    found = caip2(name)
    if found is not None and (found in _SHORT or not _is_misspelled(found)):
        return None
    meant = _meant(name)
    cure = f'did you mean "{meant}"?' if meant else 'write "base", "solana" or a CAIP-2 name like "eip155:8453".'
    return f"{name!r} is not a network we know; {cure}"


def _is_misspelled(network: str) -> bool:
    """Return True for a name that has the form of CAIP-2 and names no chain."""
    family, _, reference = network.partition(":")
    if family == SOLANA_FAMILY:
        return _SOLANA_REFERENCE.fullmatch(reference) is None
    return family in _NO_FAMILIES or family in _NAMES


def _meant(name: str) -> str | None:
    """Return the word for the network that is probably meant: ``base`` for ``bse``, ``base-mainnet``, ``evm:8453``."""
    family, _, reference = name.lower().partition(":")
    if reference.isdigit() and (family in _NO_FAMILIES or family in _NAMES):
        number = f"eip155:{int(reference)}"
        return short_name(number) if number in _SHORT else number
    words = re.sub(r"[^a-z0-9]+", "-", f"{family}-{reference}" if family in _NAMES else reference or family).strip("-")
    plain = words.removesuffix("-mainnet").removesuffix("-main")
    plain = _COINS.get(plain, plain)
    named = plain if plain in _NAMES else near(words, (n for n in _NAMES if ":" not in n and n not in _AMBIGUOUS))
    return None if named is None else short_name(_NAMES[named])


def known_network(network: str) -> bool:
    """Return True if there is a word for this CAIP-2 name."""
    return network in _SHORT


def short_name(network: str) -> str:
    """Return ``base`` for ``eip155:8453``, and a name without a short form as it is."""
    return _SHORT.get(network, network)


def family_of(network: str) -> str:
    """Return the family of chains that a network belongs to: ``eip155`` for ``eip155:8453``."""
    return network.partition(":")[0]


def is_family(name: object) -> bool:
    """Return True if ``name`` can name a family of chains: it is a namespace of CAIP-2."""
    return isinstance(name, str) and _FAMILY.fullmatch(name) is not None


def canonical_evm(address: str) -> str:
    """Return the one spelling of an EVM account. Its letters differ in case by checksum only."""
    return address.lower() if address[:2] in ("0x", "0X") else address


def canonical(network: str, address: str) -> str:
    """Return the one spelling of an account. Outside of EVM chains every letter counts, its case too."""
    return canonical_evm(address) if family_of(network) == EVM_FAMILY else address


def same_account(network: str, one: str, other: str) -> bool:
    """Return True if two addresses are one account."""
    return canonical(network, one) == canonical(network, other)


def may_be_address(network: str, text: str) -> bool:
    """Return False if ``text`` does not even have the shape of an address there.

    ``chains.families`` looks more closely.
    """
    return family_of(network) != EVM_FAMILY or _EVM_ADDRESS.fullmatch(text) is not None
