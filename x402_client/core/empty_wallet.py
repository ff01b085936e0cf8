"""Recognises a refusal for want of funds, in the dialects of sellers, facilitators and chains, and says what to do."""

from __future__ import annotations

import re

from ..model.holds import Hold
from ..model.networks import short_name
from ..model.offers import words

#: "insufficient_funds", "InsufficientBalance", "transfer amount exceeds balance" (ERC-20), 0xe450d38c (the same as an
#: error of OpenZeppelin 5), "custom program error: 0x1" (SPL Token), "not enough USDC", "balance too low".
_NO_FUNDS = (
    r"(?ai)insufficient[ _-]?(?:\w+[ _-])?(?:funds|balance|tokens?|usdc|usdt|amount)"
    r"|exceeds[ _](?:the[ _]|account[ _]|available[ _])*balance|0xe450d38c"
    r"|custom program error: 0x1\b|\bcustom\W{1,4}1\b"
    r"|not[ _]enough[ _](?:\w+[ _])?(?:funds|balance|tokens?|usdc|usdt)"
    r"|balance[ _](?:is[ _])?(?:too[ _]low|insufficient)|low[ _]balance|underfunded"
)
#: The fees are the facilitator's to pay, so this may be about another account than ours.
_FEES = r"(?ai)\bgas\b|\bfees?\b|\blamports\b|fee[ _-]?payer|for[ _]rent"
#: Words that an empty wallet hides behind as well: only the chain can tell.
_VAGUE = r"(?ai)invalid_exact_|simulation|transfer|transaction_(?:failed|state)|revert"


def says_no_funds(said: str) -> bool:
    """Return True if a seller's words mean that the payer's account cannot pay."""
    return re.search(_NO_FUNDS, said) is not None and re.search(_FEES, said) is None


def may_mean_no_funds(said: str) -> bool:
    """Return True if a look at the payer's balance may explain a seller's words."""
    return any(re.search(pattern, said) for pattern in (_NO_FUNDS, _VAGUE))


def is_short(hold: Hold, said: str, balance: int | None) -> bool:
    """Return True if the wallet is why a payment was refused: the chain shows it, or the seller says it.

    A seller's word does not stand against a balance that suffices.
    """
    return says_no_funds(said) if balance is None else balance < hold.offer.amount


def what_is_short(hold: Hold, balance: int | None) -> str:
    """Say which account is short of what."""
    offer, token, name, payer = hold.offer, hold.offer.token, _name(hold), _payer(hold)
    network = short_name(offer.network)
    where = network if network == offer.network else f"{network} ({offer.network})"
    asked = f"{_whole(hold, offer.amount)} {name}"
    found = f"is said to hold less than {asked}" if balance is None else f"holds {_whole(hold, balance)} {name}"
    asset = "" if token is None else f", token {token.address}"
    return f"The account {payer} {found} on {where}{asset}, and {asked} are asked."


def where_to_send(hold: Hold) -> str:
    """Say what to send where, so that a payment can be made."""
    network = short_name(hold.offer.network)
    return f"Send {_name(hold)} on {network} to {_payer(hold)} first; `x402 wallet balance` shows what arrived."


def _name(hold: Hold) -> str:
    token = hold.offer.token
    return words((token.symbol if token else "") or hold.offer.asset, 60)


def _payer(hold: Hold) -> str:
    return hold.authorization.payer if hold.authorization else hold.payer


def _whole(hold: Hold, units: int) -> str:
    return str(units) if hold.offer.token is None else hold.offer.token.whole(units)
