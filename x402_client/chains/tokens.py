"""Stablecoins that ship with the package. Their EIP-712 names and versions are signed, never a seller's."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ConfigurationError, SigningError
from ..model.counts import counted
from ..model.money import Token, currency_on
from ..model.networks import SOLANA, SOLANA_DEVNET, SOLANA_FAMILY, SOLANA_TESTNET, family_of, short_name
from .families import FAMILIES, Families

#: chain id, address, symbol, EIP-712 name, EIP-712 version
_EIP3009_USD = """
8453     0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913 USDC USD Coin|2
84532    0x036CbD53842c5426634e7929541eC2318f3dCF7e USDC USDC|2
1        0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48 USDC USD Coin|2
11155111 0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238 USDC USDC|2
137      0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359 USDC USD Coin|2
80002    0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582 USDC USDC|2
42161    0xaf88d065e77c8cC2239327C5EDb3A432268e5831 USDC USD Coin|2
421614   0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d USDC USD Coin|2
10       0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85 USDC USD Coin|2
43114    0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E USDC USD Coin|2
43113    0x5425890298aed601595a70AB815c96711a31Bc65 USDC USD Coin|2
143      0x754704Bc059F8C67012fEd69BC8A327a5aafb603 USDC USDC|2
10143    0x534b2f3A21130d7a60830c2Df862319e593943A3 USDC USDC|2
42220    0xcebA9300f2b948710d2653dD7B07f33A8B32118C USDC USDC|2
11142220 0x01C5C0122039549AD1493B8220cABEdD739BC44E USDC USDC|2
42220    0x48065fbBE25f71C9282ddf5e1cD6D6A887483D5e USDT Tether USD|1
1329     0xe15fC38F6D8c56aF07bbCBe3BAf5708A2Bf42392 USDC USDC|2
1328     0x4fCF1784B31630811181f670Aea7A7bEF803eaED USDC USDC|2
50       0xfA2958CB79b0491CC627c1557F441eF849Ca8eb1 USDC USDC|2
51       0xb5AB69F7bBada22B28e79C8FFAECe55eF1c771D4 USDC USDC|2
5042     0x3600000000000000000000000000000000000000 USDC USDC|2
5042002  0x3600000000000000000000000000000000000000 USDC USDC|2
988      0x779Ded0c9e1022225f8E0630b35a9b54bE713736 USDT0 USDT0|1
2201     0x78Cf24370174180738C5B8E352B6D14c83a6c9A9 USDT0 USDT0|1
14       0xe7cd86e13AC4309349F30B3435a9d337750fC82D USDT0 USD\u20ae0|1
36900    0x9cb8142aEBBcdc60AF7c97Af897A67A8f3CA71C2 USDC.e USDC.e|2
190415   0x401eCb1D350407f13ba348573E5630B83638E30D USDC.e Bridged USDC|2
181228   0x401eCb1D350407f13ba348573E5630B83638E30D USDC.e Bridged USDC|2
4689     0xcDf79194C6C285077A58da47641D4dBe51F63542 USDC.e Bridged USDC|2
3338     0xbbA60da06c2c5424f03f7434542280FCAd453d10 USDC USDC|2
1187947933 0x85889c8c714505E0c94b30fcfcF64fE3Ac8FCb20 USDC.e Bridged USDC (SKALE Bridge)|2
196      0x779Ded0c9e1022225f8E0630b35a9b54bE713736 USDT0 USD\u20ae0|1
"""

#: Tokens without EIP-3009, which are paid by Permit2 alone: chain id, address, symbol, decimals
_PERMIT2_USD = """
4326     0xFAfDdbb3FC7688494971a79cc65DCa3EF82079E7 MegaUSD 18
31612    0xdD468A1DDc392dcdbEf6db6e34E89AA338F9F186 mUSD 18
31611    0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503 mUSD 18
723487   0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb SBC 6
72344    0x33ad9e4BD16B69B5BFdED37D8B5D9fF9aba014Fb SBC 6
38833    0xA5b8BF902b2844dA17d4506cc827F7F1681735E7 USDC 6
"""

_EIP3009_EUR = """
8453     0x60a3E35Cc302bFA44Cb288Bc5a4F316Fdb1adb42 EURC EURC|2
1        0x1aBaEA1f7C830bD89Acc67eC4af516284b1bC33c EURC Euro Coin|2
43114    0xC891EB4cbdEFf6e073e859e987815Ed1505c2ACD EURC Euro Coin|2
"""

_TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
_TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"

#: network, mint, symbol, token program
_SOLANA_USD = (
    (SOLANA, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "USDC", _TOKEN),
    (SOLANA_DEVNET, "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", "USDC", _TOKEN),
    (SOLANA_TESTNET, "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", "USDC", _TOKEN),
    (SOLANA, "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB", "USDT", _TOKEN),
    (SOLANA, "2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo", "PYUSD", _TOKEN_2022),
    (SOLANA_DEVNET, "CXk2AMBfi3TwaEL2468s6zP8xq9NxTXjp9gjMgzeUynM", "PYUSD", _TOKEN_2022),
    (SOLANA, "2u1tszSeqZ3qBWF3uNGPFc8TzMk2tdiwknnRMWGWjGWH", "USDG", _TOKEN_2022),
    (SOLANA_DEVNET, "4F6PM96JJxngmHnZLBh9n58RH4aTVNWvDs2nuwrT5BP7", "USDG", _TOKEN_2022),
    (SOLANA, "CASHx9KJUStyftLFWGvEVf59SGeG9sh5FfcnZMVPCASH", "CASH", _TOKEN_2022),
)


def wrong_decimals(token: Token, found: int) -> SigningError:
    """Build the refusal of a token in Policy(tokens=...) whose decimals are not those of its contract or mint."""
    return SigningError(
        f"{token.address} has {counted(found, 'decimal')} on {short_name(token.network)} and {token.decimals} in "
        f"Policy(tokens=...); its price would be wrong. Nothing was sent; write Token(..., decimals={found})."
    )


def _evm(table: str, currency: str) -> list[Token]:
    tokens = []
    for line in table.strip().splitlines():
        chain_id, address, symbol, domain = line.split(maxsplit=3)
        name, version = domain.split("|")
        network = f"eip155:{chain_id}"
        tokens.append(Token(network, address, symbol, 6, name, version, currency_on(network, currency)))
    return tokens


def _by_permit2(table: str, currency: str) -> list[Token]:
    rows = (line.split() for line in table.strip().splitlines())
    return [
        Token(
            f"eip155:{chain_id}", address, symbol, int(decimals), currency=currency_on(f"eip155:{chain_id}", currency)
        )
        for chain_id, address, symbol, decimals in rows
    ]


class Tokens:
    """Tokens by address and by symbol: those of the table, and those of Policy(tokens=...)."""

    __slots__ = ("_by_address", "_by_symbol", "_families")

    def __init__(self, vouched: Iterable[Token] = (), families: Families | None = None) -> None:
        self._families = families or FAMILIES
        self._by_address = dict(_BY_ADDRESS)
        self._by_symbol = dict(_BY_SYMBOL)
        for token in vouched:
            self._families.check_token(token)
            _check_mint(token)
            self._by_address[_place(self._families, token.network, token.address)] = token
            self._by_symbol.setdefault((token.network, token.symbol.upper()), token)

    def find(self, network: str, asset: str) -> Token | None:
        """Return a token by its address, else by its symbol: some sellers write "USDC" for the asset."""
        place = _place(self._families, network, asset)
        return self._by_address.get(place) or self._by_symbol.get((network, asset.upper()))


def _check_mint(token: Token) -> None:
    """Refuse a known mint of one Solana network that Policy(tokens=...) names on another.

    Only its blockhash binds a transaction to a network, and a seller may suggest that. So real money could be paid
    where test money was meant. EVM signatures name their chain, and many EVM tokens have one address on several chains.
    """
    if family_of(token.network) != SOLANA_FAMILY:
        return
    homes = [known.network for known in KNOWN if known.address == token.address]
    if homes and token.network not in homes:
        named = " and ".join(dict.fromkeys(map(short_name, homes)))
        raise ConfigurationError(
            f"{token.address} is a mint of {named}, and Policy(tokens=...) vouches for it on "
            f"{short_name(token.network)}; name the mint that is used there."
        )


def check_known(token: Token) -> None:
    """Refuse a token of the table that Policy(tokens=...) describes in another way: its price would be wrong.

    Test money may be counted as the money it stands for, and never the other way round.
    """
    known = _BY_ADDRESS.get(_place(FAMILIES, token.network, token.address))
    if known is None:
        return
    where = f"{token.address} is {known.symbol} on {short_name(token.network)}"
    cure = "its price would be wrong. Leave it out: it is known anyway."
    if token.decimals != known.decimals:
        raise ConfigurationError(
            f"{where} and has {counted(known.decimals, 'decimal')}, but Policy(tokens=...) says {token.decimals}; "
            f"{cure}"
        )
    if known.currency not in (token.currency, currency_on(token.network, token.currency)):
        raise ConfigurationError(
            f"{where} and counts as {known.currency}, but Policy(tokens=...) says {token.currency}; {cure}"
        )


def _place(families: Families, network: str, address: str) -> tuple[str, str]:
    return network, families.canonical(network, address)


KNOWN = (
    *_evm(_EIP3009_USD, "USD"),
    *_evm(_EIP3009_EUR, "EUR"),
    *_by_permit2(_PERMIT2_USD, "USD"),
    *(Token(network, mint, symbol, program=program) for network, mint, symbol, program in _SOLANA_USD),
)
#: The tokens of the table. Their decimals need not be read from a chain.
SHIPPED = frozenset(KNOWN)
_BY_ADDRESS = {_place(FAMILIES, token.network, token.address): token for token in KNOWN}
_BY_SYMBOL = {(token.network, token.symbol.upper()): token for token in reversed(KNOWN)}
