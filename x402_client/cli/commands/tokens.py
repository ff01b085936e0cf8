"""``x402 tokens``: the tokens that payments are made in, and the domain that is signed for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...chains.tokens import KNOWN, Tokens
from ...model.money import Token
from ...model.networks import EVM_FAMILY, canonical, family_of, short_name
from ...model.offers import words
from ...schemes.solana_message import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from ...signers.play_keys import takes_play_keys
from .. import options
from ..buying import Choices, policy_of
from ..exits import Code
from ..money_labels import TEST
from ..network_names import network_named
from ..running import Stop, command
from ..screen import put, say, show_json, table

_PROGRAMS = {TOKEN_PROGRAM: "SPL Token program", TOKEN_2022_PROGRAM: "Token-2022 program"}


@command
def tokens(
    network: options.Networks = None,
    policy: options.PolicyFile = None,
    as_json: options.AsJson = False,
) -> None:
    """List the known tokens: network, contract or mint, and the domain that is signed.

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
    _draw(found, spare=() if network else ("domain", "counts as"))


def _draw(found: Sequence[tuple[Token, bool]], spare: Sequence[str]) -> None:
    """Draw a line for each token. If the policy vouches for some, a column says for which."""
    vouched = ["known by"] if any(by_policy for _, by_policy in found) else []
    rows = table("token", "network", "contract", "domain", "counts as", *vouched)
    for token, by_policy in found:
        known_by = ["your policy" if by_policy else "x402"] if vouched else []
        rows.add_row(
            token.symbol or "(no name)", _network(token), token.address, _signed_for(token), token.currency, *known_by
        )
    left_out = put(rows, spare=(*spare, *vouched) if spare else (), compact=True)
    if left_out:
        say(f"Left out for want of room: {', '.join(left_out)}. `--network NAME` shows all of a network.", "dim")


def _network(token: Token) -> str:
    return words(short_name(token.network), 60) + (f", {TEST}" if takes_play_keys(token.network) else "")


def _place(token: Token) -> tuple[str, str]:
    return token.network, canonical(token.network, token.address)


def _on(names: Sequence[str], known: list[tuple[Token, bool]]) -> list[tuple[Token, bool]]:
    """Return the tokens of the networks that are named, else of all, by network."""
    there = sorted({short_name(token.network) for token, _ in known})
    wanted = [network_named(name) for name in names]
    for name, network in zip(names, wanted, strict=True):
        if short_name(network) not in there:
            raise Stop(Code.USAGE, f"No token is known on {name!r}. There are some on {', '.join(there)}.")
    found = [(token, by_policy) for token, by_policy in known if not wanted or token.network in wanted]
    return sorted(found, key=lambda one: there.index(short_name(one[0].network)))


def _signed_for(token: Token) -> str:
    """Return the EIP-712 domain of an EVM token, and the token program of a mint on Solana."""
    if token.name:
        return f"{token.name}, version {token.version}"
    if family_of(token.network) == EVM_FAMILY:
        return "none: paid by Permit2"
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
