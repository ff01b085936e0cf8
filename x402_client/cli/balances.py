"""Reads what a wallet holds on the chains. It never writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from ..buyer import settings
from ..buyer.payable_tokens import tokens_on, usual_networks
from ..buyer.wallet import Wallet
from ..chains.evm import token_balance
from ..chains.public_endpoints import PUBLIC
from ..chains.rpc import Endpoints
from ..chains.solana import SolanaChain
from ..chains.tokens import SHIPPED
from ..errors import ChainUnavailable
from ..model.counts import counted
from ..model.money import Token
from ..model.networks import EVM_FAMILY, SOLANA_FAMILY, family_of, short_name
from ..model.offers import Offer
from ..policy.policy import Policy
from ..schemes.solana_message import TOKEN_PROGRAM
from ..signers.play_keys import takes_play_keys
from .buying import endpoints
from .exits import Code
from .money_labels import network_name
from .network_names import network_named
from .own_words import in_own_words
from .running import Stop
from .screen import put, say, show_json, table, waiting

#: Seconds that the chains have together for the balances of a wallet.
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Held:
    """Balance of an account in one token, or the reason why it is not known."""

    token: Token
    owner: str
    #: None if it is not known.
    amount: int | None
    problem: str = ""

    @property
    def whole(self) -> str | None:
        """Return the amount in whole tokens, exactly."""
        return None if self.amount is None else self.token.whole(self.amount)


def known_balances(wallet: Wallet, names: Sequence[str], rpc: tuple[str, ...], policy: Policy, as_json: bool) -> None:
    """Show every known token on these networks.

    A chain that cannot be read is named, and the rest is shown.
    """
    named = settings.endpoints(endpoints(rpc), policy.http_hosts)
    networks = [_reachable(name, named) for name in names] or usual_networks(wallet, named)
    with waiting("Asking the chains"):
        found = look(wallet, tokens_on(networks, policy), Endpoints(named), _PATIENCE)()
    _tell(found, as_json)


def look(wallet: Wallet, tokens: Sequence[Token], reader: Endpoints, seconds: float) -> Callable[[], list[Held]]:
    """Begin to ask all chains at once what the wallet holds.

    Return a function that waits for the answers, until ``seconds`` from now.
    """
    until = time.monotonic() + seconds
    mine = [(token, owner) for token in tokens if (owner := owner_of(wallet, token)) is not None]
    answers: SimpleQueue[Held] = SimpleQueue()
    for network in dict.fromkeys(token.network for token, _ in mine):
        asked = [one for one in mine if one[0].network == network]
        # Daemons: a chain that stays silent must not keep the command from ending.
        Thread(target=_look_at, args=(reader, asked, answers), daemon=True).start()

    def answered() -> list[Held]:
        found: dict[Token, Held] = {}
        while len(found) < len(mine):
            try:
                held = answers.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                break
            found[held.token] = held
        return [found.get(token) or Held(token, owner, None, _late(token.network, seconds)) for token, owner in mine]

    return answered


def _look_at(reader: Endpoints, asked: list[tuple[Token, str]], answers: SimpleQueue[Held]) -> None:
    """Ask one chain about these accounts. After a failure it is not asked about the rest."""
    problem = ""
    for token, owner in asked:
        amount = None
        if not problem:
            try:
                amount = balance(reader, owner, token) or 0
            except ChainUnavailable as failure:
                problem = in_own_words(str(failure.args[0]))
        answers.put(Held(token, owner, amount, problem))


def _late(network: str, seconds: float) -> str:
    return f"{short_name(network)} did not answer within {counted(seconds, 'second')}."


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


def problems(found: Iterable[Held]) -> list[str]:
    """Return why some balances are not known, each reason once."""
    return list(dict.fromkeys(held.problem for held in found if held.problem))


def document(held: Held) -> dict[str, object]:
    """Return a balance as JSON."""
    return {
        "network": held.token.network,
        "token": held.token.symbol,
        "asset": held.token.address,
        "owner": held.owner,
        "balance": held.whole,
        "test_money": takes_play_keys(held.token.network),
        "problem": held.problem or None,
    }


def _reachable(name: str, named: dict[str, tuple[str, ...]]) -> str:
    network = network_named(name)
    if network not in PUBLIC and network not in named:
        raise Stop(Code.USAGE, f"No endpoint is known for {name!r}; name one with --rpc {name}=https://...")
    return network


def _tell(found: list[Held], as_json: bool) -> None:
    if as_json:
        show_json([document(held) for held in found])
    else:
        rows = table("network", "token", "balance", "address", right=("balance",))
        for held in found:
            if held.amount is not None:
                rows.add_row(network_name(held.token.network), held.token.symbol, held.whole, held.owner)
        if rows.row_count:
            put(rows)
        for problem in problems(found):
            say(problem, "yellow")
    silent = {held.token.network for held in found if held.problem}
    asked = {held.token.network for held in found}
    if silent:
        few = f"{len(silent)} of {counted(len(asked), 'network')} did not answer: what is held there is not known."
        raise Stop(Code.NOT_SENT, "" if as_json else "No chain answered." if silent == asked else few)


def asks_chain(offer: Offer, chains: Endpoints) -> bool:
    """Return True if a payment of this offer asks its chain for something before it is signed."""
    if family_of(offer.network) == SOLANA_FAMILY and "recentBlockhash" not in offer.extra:
        return True
    return offer.by_permit2 or (offer.token not in SHIPPED and bool(chains.of(offer.network).urls))


def their_account(offer: Offer, chains: Endpoints) -> bool | None:
    """Return True if the seller can be paid there: on Solana it needs an account. None: it needs none."""
    token = offer.token
    if token is None or family_of(offer.network) != SOLANA_FAMILY or "not an address" in (offer.reason or ""):
        return None
    return SolanaChain(chains.of(offer.network)).balances([token_account(offer.pay_to, token)])[0] is not None
