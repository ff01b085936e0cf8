"""Reads what a wallet holds on the chains. It never writes."""

from __future__ import annotations

from collections.abc import Sequence

from ..buyer import settings
from ..buyer.wallet import Wallet
from ..chains.evm import token_balance
from ..chains.public_endpoints import PUBLIC
from ..chains.rpc import Endpoints
from ..chains.solana import SolanaChain
from ..chains.tokens import KNOWN
from ..errors import ChainUnavailable
from ..model.hosts import Pattern
from ..model.money import Token
from ..model.networks import EVM_FAMILY, SOLANA_FAMILY, caip2, family_of, short_name
from ..schemes.exact_solana import TOKEN_PROGRAM
from .buying import endpoints
from .exits import Code
from .running import Stop
from .screen import progress, put, say, show_json, table

_USUAL = ("base", "base-sepolia", "solana", "solana-devnet")


def known_balances(
    wallet: Wallet, networks: Sequence[str], rpc: tuple[str, ...], http_hosts: tuple[Pattern, ...], as_json: bool
) -> None:
    """Show every token of the table on these networks.

    A chain that cannot be read is named, and the rest is shown.
    """
    named = settings.endpoints(endpoints(rpc), http_hosts)
    asked = _networks(networks, named)
    reader = Endpoints(named)
    tokens = [token for token in KNOWN if token.network in asked and owner_of(wallet, token) is not None]
    found: list[tuple[Token, int | str | None]] = []
    shown = progress(len(tokens), "Asking the chains")
    with shown:
        down: dict[str, str] = {}
        for token in tokens:
            if token.network not in down:
                found.append((token, _balance(reader, wallet, token)))
                problem = found[-1][1]
                if isinstance(problem, str):
                    down[token.network] = problem
            shown.advance(shown.task_ids[0])
    _tell(found, wallet, as_json)


def owner_of(wallet: Wallet, token: Token) -> str | None:
    """Return our address that would hold this token, or None if the wallet has no key for its chain."""
    signer = wallet.signer(family_of(token.network))
    return None if signer is None else signer.address


def balance(reader: Endpoints, owner: str, token: Token) -> int | None:
    """Return the amount of a token that an address holds. Raise ChainUnavailable if it cannot be read.

    None means that the address has no account for this token on Solana.
    """
    rpc, family = reader.of(token.network), family_of(token.network)
    if family == EVM_FAMILY:
        return token_balance(rpc, token.address, owner)
    if family == SOLANA_FAMILY:
        return SolanaChain(rpc).balances([token_account(owner, token)])[0]
    raise ChainUnavailable(f"balances on {short_name(token.network)} cannot be read here.")


def token_account(owner: str, token: Token) -> str:
    """Return the account in which an address keeps a token on Solana."""
    from solders.pubkey import Pubkey
    from solders.token.associated import get_associated_token_address

    keys = (owner, token.address, token.program or TOKEN_PROGRAM)
    return str(get_associated_token_address(*(Pubkey.from_string(key) for key in keys)))


def whole_tokens(amount: int, token: Token) -> str:
    """Return an amount in whole tokens, exactly."""
    return token.whole(amount)


def _balance(reader: Endpoints, wallet: Wallet, token: Token) -> int | str | None:
    owner = owner_of(wallet, token)
    assert owner is not None
    try:
        return balance(reader, owner, token)
    except ChainUnavailable as failure:
        return str(failure.args[0])


def _networks(names: Sequence[str], named: dict[str, tuple[str, ...]]) -> list[str]:
    found = []
    for name in names or _USUAL:
        network = caip2(name)
        if network is None or (network not in PUBLIC and network not in named):
            raise Stop(Code.USAGE, f"No endpoint is known for {name!r}; name one with --rpc {name}=https://...")
        found.append(network)
    return found + [network for network in named if network not in found and not names]


def _tell(found: list[tuple[Token, int | str | None]], wallet: Wallet, as_json: bool) -> None:
    if as_json:
        show_json(
            [
                {
                    "network": token.network,
                    "token": token.symbol,
                    "asset": token.address,
                    "owner": owner_of(wallet, token),
                    "balance": None if isinstance(held, str) else whole_tokens(held or 0, token),
                    "problem": held if isinstance(held, str) else None,
                }
                for token, held in found
            ]
        )
    else:
        rows = table("network", "token", "balance", "address", right=("balance",))
        for token, held in found:
            if not isinstance(held, str):
                rows.add_row(
                    short_name(token.network), token.symbol, whole_tokens(held or 0, token), owner_of(wallet, token)
                )
        if rows.row_count:
            put(rows)
        for problem in dict.fromkeys(held for _, held in found if isinstance(held, str)):
            say(problem, "yellow")
    if found and all(isinstance(held, str) for _, held in found):
        raise Stop(Code.NOT_SENT, "" if as_json else "No chain answered.")
