"""Accounts of wallets on the chains of a sandbox."""

from __future__ import annotations

from ..buyer.buyer import Buyer
from ..buyer.wallet import Wallet
from ..chains.families import FAMILIES
from ..model.networks import family_of
from .play_money import EVM, SOLANA


def accounts_of(who: Wallet | Buyer | str) -> list[tuple[str, str]]:
    """Return network and address of each account of a wallet, or of an address."""
    if isinstance(who, str):
        return [(EVM if FAMILIES.is_address(EVM, who) else SOLANA, who)]
    wallet = who.wallet if isinstance(who, Buyer) else who
    signers = {network: wallet.signer(family_of(network)) for network in (EVM, SOLANA)}
    return [(network, signer.address) for network, signer in signers.items() if signer is not None]
