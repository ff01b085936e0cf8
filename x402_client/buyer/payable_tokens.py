"""The tokens that a wallet could pay with under a policy, on the networks that are worth a look at the chain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..chains.tokens import KNOWN
from ..model.money import Token
from ..model.networks import caip2, canonical, family_of, same_account
from ..policy.policy import Policy
from ..signers.play_keys import is_play_signer, takes_play_keys
from .wallet import Wallet

_USUAL = ("base", "base-sepolia", "solana", "solana-devnet")


def usual_networks(wallet: Wallet, named: Iterable[str]) -> list[str]:
    """Return the networks to look at if none is named: the usual ones, and those with an endpoint of the user's.

    Keys of the sandbox have no money on others.
    """
    usual = [caip2(name) or name for name in _USUAL]
    found = [network for network in usual if not is_play_signer(wallet.signer(family_of(network)))]
    found += [network for network in named if network not in found]
    return [network for network in found if _worth_asking(wallet, network)]


def _worth_asking(wallet: Wallet, network: str) -> bool:
    signer = wallet.signer(family_of(network))
    return signer is not None and (takes_play_keys(network) or not is_play_signer(signer))


def tokens_on(networks: Sequence[str], policy: Policy) -> list[Token]:
    """Return the tokens that this policy pays with on these networks, in their order."""
    vouched = {(token.network, canonical(token.network, token.address)): token for token in policy.tokens}
    known = {(token.network, canonical(token.network, token.address)): token for token in KNOWN}
    allowed = [token for token in (known | vouched).values() if token.network in networks and _allowed(token, policy)]
    return sorted(allowed, key=lambda token: networks.index(token.network))


def _allowed(token: Token, policy: Policy) -> bool:
    return policy.assets is None or any(
        name.upper() == token.symbol.upper() or same_account(token.network, name, token.address)
        for name in policy.assets
    )
