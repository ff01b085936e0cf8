"""``exact`` on Solana: a transfer that the buyer signs and the seller's facilitator pays for and submits.

Facilitators expect different layouts. Version 2, and version 1 under a CAIP-2 name: compute limit, compute price,
TransferChecked, and one Memo. Version 1 under a plain name: exactly three instructions and no Memo. Then only the unit
price makes two payments differ. The buyer is a read-only signer in slot 1, never the fee payer. Slot 0 stays empty.
"""

from __future__ import annotations

import base64
import itertools
import os
import secrets
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

from ..chains.solana import LIFE_SECONDS, Blockhash, Mint, SolanaChain
from ..chains.solana_address import blockhash_bytes, is_address, public_key
from ..chains.tokens import SHIPPED, wrong_decimals
from ..core.asks import Ask, Fetch, SignMessage
from ..errors import ChainUnavailable, InsufficientFunds, SigningError
from ..model.money import Token
from ..model.networks import short_name
from ..model.offers import Offer, quoted
from ..model.signing import Signed
from .payment_flow import flow_objection
from .solana_message import TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Accounts, Layout, message, token_account

_SYSTEM_PROGRAM = "11111111111111111111111111111111"
_PROGRAMS = (TOKEN_PROGRAM, TOKEN_2022_PROGRAM)
_MAX = 2**64 - 1
_MEMO_BYTES = 256
#: Compute units that a Memo needs, by its length in ASCII bytes. Hosted facilitators refuse 100,000.
_UNITS = ((33, 20_000), (118, 50_000), (256, 99_000))
_MOST_UNITS = 99_999
#: The highest unit price, in micro-lamports, under which every facilitator is known to settle.
_PRICES = 49_999
#: Seconds that a signer may take, and times that it is asked.
_SIGNING, _TRIES = LIFE_SECONDS // 6, 2


class _Prices:
    """Unit prices that do not repeat while a blockhash is valid. They make equal payments differ."""

    def __init__(self) -> None:
        self._next = itertools.count(secrets.randbelow(_PRICES))

    def draw(self) -> int:
        """Return the next price: 1 to 49,999 micro-lamports."""
        return next(self._next) % _PRICES + 1


class ExactSolana:
    """Scheme ``exact`` on Solana: transfers of SPL Token and Token-2022 tokens."""

    name = "exact"
    family = "solana"

    def __init__(
        self, payer: str, chain: Callable[[str], SolanaChain], check_funds: bool = False, own_key: bool = False
    ) -> None:
        """Make the scheme. ``own_key`` says that the signer is a key in this process."""
        self.payer = payer
        self._own_key = own_key
        self._chain = chain
        self._check_funds = check_funds
        self._prices = _Prices()

    def objection(self, offer: Offer) -> str | None:
        """Return why this offer must not be signed, or None."""
        return (
            flow_objection(offer)
            or self._fee_payer_objection(offer)
            or self._recipient_objection(offer)
            or _memo_objection(offer.extra.get("memo"))
            or (None if offer.amount <= _MAX else "its amount is above what the chain can hold")
        )

    def remark(self, offer: Offer) -> str | None:
        """Return None: nothing that a seller writes about a Solana token is signed."""
        return None

    def _fee_payer_objection(self, offer: Offer) -> str | None:
        fee_payer = offer.extra.get("feePayer")
        if not isinstance(fee_payer, str) or not is_address(fee_payer):
            return f"extra.feePayer {quoted(str(fee_payer), 60)} is not an address"
        if fee_payer == self.payer:
            return "the fee payer is the buyer itself, who never pays fees for others"
        assert offer.token is not None
        if fee_payer in (offer.token.address, _SYSTEM_PROGRAM, *_PROGRAMS):
            return "the fee payer is a program or the token's own mint, which sign nothing"
        return None  # "The sponsor MAY be the merchant itself": the money goes to its token account, another one

    def _recipient_objection(self, offer: Offer) -> str | None:
        assert offer.token is not None
        to = offer.pay_to
        if not is_address(to):
            return f"payTo {quoted(to, 60)} is not an address"
        if to in (_SYSTEM_PROGRAM, *_PROGRAMS):
            return "payTo is a program, not an account"
        if to == self.payer:
            return "payTo is the buyer itself"
        return "payTo is the token's own mint" if to == offer.token.address else None

    def signs_here(self, offer: Offer) -> bool:
        """Return True if all that signing needs is a key in this process, and what is known of the chain."""
        if not self._own_key or self._check_funds or _written_units(offer) is None:
            return False
        chain, token = self._chain(offer.network), offer.token
        assert token is not None
        if (_vouched_for(chain, token) or chain.mint(token.address)) is None:
            return False
        return chain.blockhash() is not None if _hint(chain, offer) is None else not chain.needs_tip()

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        """Sign. If the signer took so long that the blockhash is about to expire, sign once more with a later one."""
        chain = self._chain(offer.network)
        mint = yield from _mint(chain, offer)
        if self._check_funds:
            yield from self._funds(chain, offer, mint)
        units = yield from self._units(chain, offer, mint)
        for attempt in range(_TRIES):
            blockhash = yield from _blockhash(chain, offer if attempt == 0 else None)
            layout = self._layout(offer, mint, blockhash.value, units)
            unsigned = message(layout)
            given = yield from SignMessage(unsigned)
            if not given.trusted and not _verified(given.signature, self.payer, unsigned):
                raise SigningError(f"The signature that came back is not by {self.payer}. Nothing was sent.")
            if given.seconds < _SIGNING:
                return _signed(offer, layout, unsigned, given.signature, blockhash)
        raise SigningError(
            f"The signer took {given.seconds:.0f} s twice. A Solana payment must be signed within {_SIGNING} s, or it "  # pyright: ignore[reportPossiblyUnboundVariable]  # the loop ran
            "would expire on its way. Nothing was sent."
        )

    def _layout(self, offer: Offer, mint: Mint, blockhash: str, units: int) -> Layout:
        theirs = offer.extra.get("memo")
        plain = offer.version == 1 and ":" not in offer.written_network
        memo = None if plain else (theirs or os.urandom(16).hex()).encode()
        token, raw = offer.token, blockhash_bytes(blockhash)
        assert token is not None
        if raw is None:  # a seller's hint was looked at before
            raise ChainUnavailable("The endpoint's latest blockhash is none.", offer=offer)
        fee_payer = offer.extra["feePayer"]
        return Layout(
            Accounts(fee_payer, self.payer, offer.pay_to, token.address, mint.program, mint.decimals),
            amount=offer.amount,
            memo=memo,
            units=units,
            # A random memo is unique already. All other payments differ by their price.
            unit_price=1 if memo and not theirs else self._prices.draw(),
            blockhash=raw,
        )

    def _units(self, chain: SolanaChain, offer: Offer, mint: Mint) -> Generator[Ask[Any], Any, int]:
        known = _written_units(offer)
        if known is not None:
            return known
        layout = self._layout(offer, mint, _SYSTEM_PROGRAM, _MOST_UNITS * 10)
        trial = _transaction(message(layout), bytes(64))
        needed = yield from Fetch(lambda: chain.units_needed(trial))
        units = needed + needed // 20 + 500
        if units > _MOST_UNITS:
            raise SigningError(
                f"The seller's memo takes {needed} compute units to check, and facilitators refuse {_MOST_UNITS + 1}; "
                "no payment with it can settle. Nothing was sent."
            )
        return int(max(units, _UNITS[0][1]))

    def _funds(self, chain: SolanaChain, offer: Offer, mint: Mint) -> Generator[Ask[Any], Any, None]:
        assert offer.token is not None
        ours = token_account(self.payer, offer.token.address, mint.program)
        theirs = token_account(offer.pay_to, offer.token.address, mint.program)
        have, exists = yield from Fetch(lambda: chain.balances([ours, theirs]))
        token = offer.token
        where = f"{offer.token.symbol or offer.token.address} on {short_name(offer.network)}"
        if have is None or have < offer.amount:
            found = "there is no such account" if have is None else f"it holds {token.whole(have)}"
            raise InsufficientFunds(
                f"The buyer's token account {ours} cannot pay {token.whole(offer.amount)} {where}: {found}. Nothing "
                f"was sent. Send more to {self.payer}; `x402 wallet fund` says how.",
                offer=offer,
            )
        if exists is None:
            raise InsufficientFunds(
                f"The seller's token account {theirs} for {where} does not exist, so no payment to {offer.pay_to} can "
                "arrive. Nothing was sent.",
                offer=offer,
            )


def _written_units(offer: Offer) -> int | None:
    """Return the compute units that a payment takes. None: its memo is not ASCII, and only the chain can tell."""
    memo = offer.extra.get("memo") or ""
    return next(units for size, units in _UNITS if len(memo) <= size) if memo.isascii() else None


def _transaction(unsigned: bytes, signature: bytes) -> str:
    """Return the transaction in base64: two signatures, that of the fee payer still empty, and the message."""
    return base64.b64encode(b"\x02" + bytes(64) + signature + unsigned).decode()


def _mint(chain: SolanaChain, offer: Offer) -> Generator[Ask[Any], Any, Mint]:
    """Return the token's mint. One of Policy(tokens=...) is looked up once."""
    token = offer.token
    assert token is not None
    vouched = _vouched_for(chain, token)
    if vouched is not None:
        return vouched
    mint = chain.mint(token.address) or (yield from Fetch(lambda: chain.fetch_mint(token.address)))
    _check_mint(mint, token)
    return mint


def _vouched_for(chain: SolanaChain, token: Token) -> Mint | None:
    """Return the mint as it is written down. Without an endpoint the user's word counts, if it names the program."""
    if token.program is not None and (token in SHIPPED or not chain.rpc.urls):
        return Mint(token.program, token.decimals)
    return None


def _check_mint(mint: Mint, token: Token) -> None:
    if mint.program not in _PROGRAMS:
        raise SigningError(f"{token.address} does not belong to a token program. Nothing was sent.")
    if token.program not in (None, mint.program):
        raise SigningError(
            f"{token.address} belongs to the token program {mint.program}, and Policy(tokens=...) names "
            f"{token.program}. Nothing was sent."
        )
    if mint.decimals != token.decimals:
        raise wrong_decimals(token, mint.decimals)


def _blockhash(chain: SolanaChain, offer: Offer | None) -> Generator[Ask[Any], Any, Blockhash]:
    """Return the seller's hint unless it is known to be old, else the cached blockhash, else the chain's latest."""
    hint = _hint(chain, offer)
    if hint is None:
        return chain.blockhash() or (yield from Fetch(chain.fetch_blockhash))
    if chain.needs_tip():
        yield from Fetch(chain.fetch_tip)
    return chain.bounded(hint)


def _hint(chain: SolanaChain, offer: Offer | None) -> Blockhash | None:
    hint = offer.extra.get("recentBlockhash") if offer is not None and offer.version == 2 else None
    return chain.fresh_hint(hint) if isinstance(hint, str) and blockhash_bytes(hint) else None


def _verified(signature: bytes, payer: str, unsigned: bytes) -> bool:
    from solders.signature import Signature

    return Signature.from_bytes(signature).verify(public_key(payer), unsigned)


def _signed(offer: Offer, layout: Layout, unsigned: bytes, signature: bytes, blockhash: Blockhash) -> Signed:
    from solders.signature import Signature

    own, accounts = str(Signature.from_bytes(signature)), layout.accounts
    evidence: Mapping[str, Any] = {
        "signature": own,
        "token_account": token_account(accounts.payer, accounts.mint, accounts.program),
        "blockhash": blockhash.value,
        "last_valid_height": blockhash.last_valid_height,
        "height_bound": blockhash.height_bound,
        "slot": blockhash.slot,
        # No endpoint answered: it is not known until which height the seller's blockhash is valid.
        "no_end": blockhash.last_valid_height is None and blockhash.height_bound is None,
    }
    return Signed(
        {"transaction": _transaction(unsigned, signature)},
        nonce=layout.memo.decode() if layout.memo and not offer.extra.get("memo") else own,
        payer=accounts.payer,
        expires=int(time.time()) + LIFE_SECONDS,
        evidence=evidence,
    )


def _memo_objection(memo: Any) -> str | None:
    if memo is None or memo == "":
        return None
    if not isinstance(memo, str):
        return "extra.memo is not text"
    size = len(memo.encode("utf-8", "surrogatepass"))
    return None if size <= _MEMO_BYTES else f"extra.memo has {size} bytes; {_MEMO_BYTES} are allowed"
