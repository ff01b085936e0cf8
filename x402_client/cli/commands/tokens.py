"""``x402 tokens``: the tokens that payments are made in, and the domain that is signed for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...chains.tokens import KNOWN, Tokens
from ...model.money import Token
from ...model.networks import canonical, caip2, short_name
from ...schemes.exact_solana import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from ...signers.play_keys import takes_play_keys
from .. import options
from ..buying import Choices, policy_of
from ..exits import Code
from ..money_labels import network_name
from ..running import Stop, asking
from ..screen import put, show_json, table

_PROGRAMS = {TOKEN_PROGRAM: "SPL Token program", TOKEN_2022_PROGRAM: "Token-2022 program"}


@asking
def tokens(
    network: options.Networks = None,
    policy: options.PolicyFile = None,
    as_json: options.AsJson = False,
) -> None:
    """List the tokens that are known: where they live, their contract or mint, and the domain that is signed.

    Offers in another token are refused. A table [[tokens]] in the policy file vouches for a further one; those of
    --policy are listed too.
    """
    vouched = policy_of(Choices(policy)).tokens
    Tokens(vouched)  # refuses what a buyer would refuse
    known = {_place(token): (token, False) for token in KNOWN} | {_place(token): (token, True) for token in vouched}
    found = _on(network or [], list(known.values()))
    if as_json:
        show_json([_document(token, by_policy) for token, by_policy in found])
        return
    rows = table("token", "network", "contract", "domain", "counts as", "known by")
    for token, by_policy in found:
        rows.add_row(
            token.symbol or "(no name)", network_name(token.network), token.address, _signed_for(token),
            token.currency, "your policy" if by_policy else "x402",
        )  # fmt: skip
    put(rows)


def _place(token: Token) -> tuple[str, str]:
    return token.network, canonical(token.network, token.address)


def _on(names: Sequence[str], known: list[tuple[Token, bool]]) -> list[tuple[Token, bool]]:
    """Return the tokens of the networks that are named, else of all, by network."""
    there = sorted({short_name(token.network) for token, _ in known})
    wanted = [caip2(name) for name in names]
    for name, network in zip(names, wanted, strict=True):
        if network is None or short_name(network) not in there:
            raise Stop(Code.USAGE, f"No token is known on {name!r}. There are some on {', '.join(there)}.")
    found = [(token, by_policy) for token, by_policy in known if not wanted or token.network in wanted]
    return sorted(found, key=lambda one: there.index(short_name(one[0].network)))


def _signed_for(token: Token) -> str:
    """Return the EIP-712 domain of an EVM token, and the token program of a mint on Solana."""
    if token.name:
        return f"{token.name}, version {token.version}"
    return _PROGRAMS.get(token.program or "", token.program or "read from the chain")


def _document(token: Token, by_policy: bool) -> dict[str, Any]:
    domain = {"name": token.name, "version": token.version} if token.name else None
    return {
        "network": token.network,
        "network_name": short_name(token.network),
        "token": token.symbol,
        "asset": token.address,
        "decimals": token.decimals,
        "domain": domain,
        "program": token.program,
        "currency": token.currency,
        "test_money": takes_play_keys(token.network),
        "by_policy": by_policy,
    }
