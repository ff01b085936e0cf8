"""``x402 doctor``: is this seller's 402 sound, and can my wallet pay it? It asks once, and never pays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import httpx

from ...buyer.bought import bought_at
from ...buyer.buyer import Buyer
from ...buyer.fitting import with_refusal
from ...buyer.ledger_calls import call_ledger
from ...chains.token_allowances import permit2_allowance
from ...chains.tokens import KNOWN
from ...core import (
    Bought,
    Call,
    CheckOrder,
    Digest,
    Freezes,
    Holds,
    LeftAlone,
    Peek,
    Reply,
    inspect,
    run,
    with_unresolved,
)
from ...errors import ChainUnavailable, QuoteError
from ...ledgers.extras import check_order
from ...model.counts import counted
from ...model.money import Token
from ...model.networks import EVM_FAMILY, SOLANA_FAMILY, family_of, short_name
from ...model.offers import Offer, Quote, words
from ...model.sandbox_settings import NOT_READ
from ...schemes.by_permit2 import no_permit
from ...schemes.permit2 import PERMIT2
from ...signers.contract import ContractSigner
from ...signers.play_keys import takes_play_keys
from ...wire.bounds import DEFAULT
from ...wire.content_encoding import decoded
from ...wire.read import is_page
from .. import options, wallets
from ..account_kinds import account_kind
from ..balances import asks_chain, balance, owner_of, their_account, whole_tokens
from ..buying import Choices, buying, ledger_for_looking, policy_of
from ..decoding.findings import Reading
from ..exits import Code
from ..in_use import wallet_option
from ..money_labels import TEST_MONEY, network_name
from ..offer_rows import is_play_money
from ..own_words import in_own_words
from ..requests_made import CliRequest, cli_request, no_answer, redirect_of, shown_url
from ..running import Stop, asking
from ..screen import facts, show, show_json, waiting
from .decode import document, draw, draw_findings, read_text
from .quote import QuoteReport

_NAMES = ("payment-required", "x-payment-required")
_LARGE_HEADER = 8 * 1024
#: The most looks at accounts for the offers of one 402.
_LOOKS = 20


@dataclass(frozen=True, slots=True)
class _Answer:
    """The seller's answer, as far as it is read."""

    status: int
    headers: httpx.Headers
    url: str
    #: None if it was not read to its end.
    body: bytes | None
    #: The reason for that.
    problem: str = ""
    #: Where it leads; "" if it is no redirect.
    leads_to: str = ""


@asking
def doctor(
    url: options.Url,
    method: options.Method = None,
    data: options.Data = None,
    header: options.Headers = None,
    as_json: options.AsJson = False,
    policy: options.PolicyFile = None,
    ledger: options.LedgerAt = None,
    must_exist: options.MustExist = False,
    purse: options.Purse = "default",
    wallet: options.WalletAt = None,
    rpc: options.Rpc = None,
    timeout: options.Timeout = 30.0,
) -> None:
    """Examine a seller: every deviation of its 402 from the specification, and whether your wallet can pay it.

    Asks the seller once, without a payment, and the chains about balances. Never pays. Exits with 1 if something is
    wrong.
    """
    choices = Choices(policy, ledger, purse, wallet, None, tuple(rpc or ()), must_exist=must_exist)
    with cli_request(url, method, data, header) as request:
        answer = _asked_once(request, timeout)
    readings = _readings(answer, policy_of(choices).tokens)
    payable, report = Reading("Can it be paid from here?"), None
    if answer.status == 402:
        looked = ledger_for_looking(choices)
        with buying(choices, ledger=looked.port) as (buyer, found):
            quote = _judged(request, answer, buyer, payable)
            if quote is not None:
                report = QuoteReport(quote, buyer, found, looked, choices)
                _payable(report, buyer, payable)
    if as_json:
        examined = [document(reading) for reading in (*readings, payable)]
        unresolved = None if report is None else report.unresolved()
        show_json({"url": answer.url, "status": answer.status, "examined": examined, "unresolved": unresolved})
    else:
        _draw(answer, readings, payable)
    if not all(reading.sound for reading in [*readings, payable]):
        raise Stop(Code.WRONG)


def _asked_once(request: CliRequest, timeout: float) -> _Answer:
    host = httpx.URL(request.url).host
    deadline = time.monotonic() + timeout + DEFAULT.terms_time
    try:
        with (
            waiting(f"Asking {host}"),
            httpx.Client(timeout=timeout) as client,
            client.stream(request.method, request.url, **request.keywords) as response,
        ):
            raw = bytearray()
            for chunk in response.iter_raw():
                raw += chunk
                if len(raw) > DEFAULT.terms_body or time.monotonic() > deadline:
                    break
    except httpx.HTTPError as failure:
        raise Stop(Code.UNREACHABLE, no_answer(host, failure)) from None
    leads_to = redirect_of(response)
    answer = _Answer(response.status_code, response.headers, shown_url(response.url), None, leads_to=leads_to)
    if len(raw) > DEFAULT.terms_body:
        let_be = b"" if is_page(response.headers.get) else None
        return replace(answer, body=let_be, problem=f"it is larger than the {DEFAULT.terms_body} bytes that are read")
    if time.monotonic() > deadline:
        return replace(answer, problem=f"it did not end within {counted(timeout + DEFAULT.terms_time, 'second')}")
    body = decoded(bytes(raw), response.headers.get("content-encoding", ""), DEFAULT.terms_body)
    larger = f"unpacked, it is larger than the {DEFAULT.terms_body} bytes that are read, or it cannot be unpacked"
    return replace(answer, body=body, problem="" if body is not None else larger)


def _readings(answer: _Answer, vouched: Iterable[Token]) -> list[Reading]:
    """Return what each of the places for terms holds, and what is to be said about the places themselves."""
    head = Reading("The answer")
    head.fact("status", str(answer.status))
    found = [read_text(answer.headers[n], n.upper(), answer.url, vouched) for n in _NAMES if n in answer.headers]
    in_body = answer.body is not None and b'"x402Version"' in answer.body
    if in_body and answer.body is not None:
        found.append(read_text(answer.body.decode("utf-8", "replace"), "The body", answer.url, vouched))
    _places(answer, in_body, head)
    return [head, *found]


def _places(answer: _Answer, in_body: bool, head: Reading) -> None:
    in_header = [name for name in _NAMES if name in answer.headers]
    if answer.status != 402:
        text = "it asks for no payment" if answer.status < 400 else "it is an error without a price"
        text += f", and leads to {answer.leads_to}: examine that" if answer.leads_to else ""
        (head.wrong if in_header or answer.status >= 400 else head.note)("status", f"{answer.status}: {text}")
        return
    if not in_header and not in_body:
        challenge = words(answer.headers.get("www-authenticate"), 60)
        other = f"; it offers {challenge!r} instead" if challenge else ""
        head.wrong("terms", f"there are none: neither a PAYMENT-REQUIRED header nor x402 in the body{other}")
    if answer.problem:
        (head.note if in_header and answer.body is not None else head.wrong)("body", answer.problem)
    if "x-payment-required" in answer.headers:
        head.tolerated("X-PAYMENT-REQUIRED", "the specification calls this header PAYMENT-REQUIRED")
    for name in in_header:
        if len(answer.headers[name]) > _LARGE_HEADER:
            head.note(
                name.upper(), f"{counted(len(answer.headers[name]), 'character')}: many proxies cut headers at 8 KiB"
            )
    two = answer.body is not None and b'"x402Version":2' in answer.body.replace(b" ", b"")
    if in_body and two and "payment-required" not in answer.headers:
        head.tolerated("terms", "version 2 gives them in the PAYMENT-REQUIRED header; the usual clients see none here")


def _judged(request: CliRequest, answer: _Answer, buyer: Buyer, payable: Reading) -> Quote | None:
    """Return the quote as a payment would see it."""
    if answer.body is None:
        payable.wrong("terms", "the body of the 402 was not read to its end, so nothing would be paid")
        return None
    asked, digest = request.facts()
    identity = asked.identity(buyer.identity_headers)
    call = Call(
        method=asked.method, origin=asked.origin, url=answer.url, identity=identity, hop=asked.former_identity()
    )
    reply = Reply(answer.status, lambda name: answer.headers.get(name), None)
    answers: dict[type, Any] = {
        Peek: lambda ask: answer.body,
        Digest: lambda ask: digest,
        Holds: lambda ask: buyer.holds(),
        Bought: lambda ask: bought_at(buyer.services, ask),
        Freezes: lambda ask: buyer.freezes(),
        CheckOrder: lambda ask: call_ledger(buyer.ledger, check_order, ask.order),
        LeftAlone: lambda ask: None,  # a pause is one of the process that paid
    }
    try:
        quote = run(inspect(call, reply, buyer.rules), lambda ask: answers[type(ask)](ask))
        if quote is None:
            payable.wrong("terms", "there are none of x402 here, so nothing could be paid")
            return None
        quote = run(with_unresolved(call, quote, buyer.rules), lambda ask: answers[type(ask)](ask))
        return run(with_refusal(call, quote, buyer.rules), lambda ask: answers[type(ask)](ask))
    except QuoteError as fault:
        payable.wrong("terms", fault.args[0])
        return None


def _payable(report: QuoteReport, buyer: Buyer, payable: Reading) -> None:
    quote, found = report.quote, report.found
    if not found.no_wallet:
        payable.fact("wallet", found.source)
    if report.unread:
        payable.note("sandbox", in_own_words(NOT_READ))
    if found.no_wallet:
        made = "" if report.unread else ". `x402 wallet new` makes one"
        payable.note("wallet", f"there is none; this is judged as if there were{made}")
    funds = _all_funds(quote, buyer, found)
    if report.presents is not None:  # it is signed already
        funds = {place: replace(known, stuck=False) for place, known in funds.items()}
    for offer in quote.offers:
        chosen = quote.choice is not None and offer.position == quote.choice.position
        known = funds.get(offer.position, _Funds())
        label = f" ({TEST_MONEY})" if is_play_money(offer) else ""
        verdict = _verdict(offer, chosen, known, report.obstacle)
        payable.fact(f"offer {offer.position}", f"{offer}{label}: {verdict}")
    for fault in quote.faults:
        payable.wrong("terms", fault)
    if quote.sign_in is not None:
        why = quote.sign_in.reason
        opens = "would be signed first: it costs nothing, and shows the seller the wallet's address"
        payable.fact("sign-in", opens if why is None else f"would not be signed: {in_own_words(why)}")
    if report.presents is not None:
        payable.note("ledger", " ".join(report.presented()))
    for told_of in report.in_flight():
        payable.note("ledger", told_of)
    if report.asks_first:
        payable.note("approval", report.asks_first)
    if report.refusal:
        payable.wrong("ledger" if report.frozen or report.looked.problem else "policy", report.refusal)
    for offer in quote.offers:
        if offer.position in funds:
            chosen = quote.choice is not None and offer.position == quote.choice.position
            _tell_funds(offer, funds[offer.position], payable.wrong if chosen else payable.note, payable)
    told: set[str] = set()
    for offer in quote.offers:
        seen = offer.position in funds and funds[offer.position].seen
        if seen and family_of(offer.network) == EVM_FAMILY and offer.network not in told:
            told.add(offer.network)
            kind, sound = account_kind(buyer, offer.network)
            (payable.fact if sound else payable.wrong)(f"offer {offer.position}: account", kind)


@dataclass(frozen=True, slots=True)
class _Funds:
    """Result of a look at our account and at the seller's, for one offer."""

    owner: str = ""
    #: What we hold, in the token's smallest units; None if we have no account for it.
    have: int | None = 0
    #: False if the seller has no account that a payment could arrive at. None: it needs none.
    theirs: bool | None = None
    unknown: str = ""
    #: What we approved to Permit2, in the token's smallest units. None: the offer is not paid by it.
    approved: int | None = None
    #: Why no permit would be signed where too little is approved. "": one would be, of exactly the price.
    no_permit: str = ""
    #: False if nothing was looked at.
    seen: bool = False
    #: True if the chain did not answer, and a payment asks it before it is signed.
    stuck: bool = False

    def suffices(self, offer: Offer) -> bool:
        """Return False if a payment was seen to be impossible."""
        approved = self.approved is None or self.approved >= offer.amount or not self.no_permit
        if self.stuck:
            return False
        return not self.seen or ((self.have or 0) >= offer.amount and self.theirs is not False and approved)


def _is_ours(offer: Offer, buyer: Buyer, found: wallets.Found) -> bool:
    return not found.no_wallet and offer.token is not None and owner_of(buyer.wallet, offer.token) is not None


def _verdict(offer: Offer, chosen: bool, known: _Funds, obstacle: str) -> str:
    if not chosen:
        return in_own_words(offer.reason or "")
    if obstacle:
        return f"would be chosen; {obstacle}"
    return "would be paid" if known.suffices(offer) else "would be chosen, and its payment would fail: see below"


def _all_funds(quote: Quote, buyer: Buyer, found: wallets.Found) -> dict[int, _Funds]:
    """Look at the accounts of the offers, by their places: at those of the choice first.

    Offers alike are one look, and a chain that did not answer is not asked again: a 402 may have a thousand offers.
    """
    looked: dict[tuple[object, ...], _Funds] = {}
    silent: dict[str, _Funds] = {}
    funds: dict[int, _Funds] = {}
    for offer in sorted(quote.offers, key=lambda one: quote.choice is None or one.position != quote.choice.position):
        if not _is_ours(offer, buyer, found):
            continue
        seller = offer.pay_to if family_of(offer.network) == SOLANA_FAMILY else ""
        place = (offer.network, offer.asset, seller, offer.by_permit2, *sorted(offer.sponsoring))
        known = silent.get(offer.network) or looked.get(place)
        if known is None and len(looked) < _LOOKS:
            known = looked[place] = _funds(offer, buyer)
            if known.unknown:
                silent[offer.network] = known
        if known is not None:
            funds[offer.position] = known
    return funds


def _funds(offer: Offer, buyer: Buyer) -> _Funds:
    token = offer.token
    assert token is not None
    owner = owner_of(buyer.wallet, token)
    assert owner is not None
    try:
        with waiting(f"Asking {short_name(offer.network)}"):
            have, theirs = balance(buyer.endpoints, owner, token), their_account(offer, buyer.endpoints)
            rpc = buyer.endpoints.of(offer.network)
            approved = permit2_allowance(rpc, token.address, owner) if offer.by_permit2 else None
            alone = no_permit(offer, buyer.policy.permits, isinstance(buyer.wallet.evm, ContractSigner))
            return _Funds(owner, have, theirs, approved=approved, no_permit=alone, seen=True)
    except ChainUnavailable as failure:
        return _Funds(owner, unknown=in_own_words(str(failure.args[0])), stuck=asks_chain(offer, buyer.endpoints))


def _tell_funds(offer: Offer, known: _Funds, problem: Callable[[str, str], None], payable: Reading) -> None:
    token, place = offer.token, f"offer {offer.position}"
    assert token is not None
    if known.unknown:
        if known.stuck:
            problem(place, f"a payment asks the chain before it is signed, and it did not answer: {known.unknown}")
        else:
            payable.note(place, f"the balance is not known: {known.unknown}")
        return
    where = f"{token.symbol} on {network_name(offer.network)}"
    if known.have is None:
        problem(place, f"{known.owner} has no account for {where}; {_cure(offer)}")
    elif known.have < offer.amount:
        have, asked = whole_tokens(known.have, token), whole_tokens(offer.amount, token)
        problem(
            place,
            f"{known.owner} holds {have} {where}; {asked} are asked. {_cure(offer)}",
        )
    else:
        payable.fact(f"{place}: balance", f"{whole_tokens(known.have, token)} {where}")
    if known.approved is not None:
        approved = f"{whole_tokens(known.approved, token)} {where} are approved to Permit2"
        if known.approved < offer.amount and not known.no_permit:
            signed = f"a permit of exactly {whole_tokens(offer.amount, token)} is signed with the payment"
            payable.fact(f"{place}: Permit2", f"{approved}; {signed}")
        elif known.approved < offer.amount:
            text = f"approve({PERMIT2}, {offer.amount}) on {token.address} by a transaction of your own changes that"
            asked = f"{whole_tokens(offer.amount, token)} are asked"
            problem(place, f"{approved}; {asked}. {in_own_words(known.no_permit)} {text}")
        else:
            payable.fact(f"{place}: Permit2", approved)
    if known.theirs is False:
        problem(place, f"the seller has no account for {where}, so no payment can arrive")


def _cure(offer: Offer) -> str:
    if takes_play_keys(offer.network) and offer.token not in KNOWN:  # no faucet has it
        return "money of a sandbox is on the keys of its settings file alone: read that file (. FILE)"
    return f"`x402 wallet fund{wallet_option()}` says how to send it some"


def _draw(answer: _Answer, readings: list[Reading], payable: Reading) -> None:
    show(f"{answer.url} answered {answer.status}.")
    for reading in readings[1:]:
        draw(reading)
    if readings[0].findings or len(readings) == 1:
        show(readings[0].title, "bold")
        draw_findings(readings[0])
    if answer.status == 402:
        show(payable.title, "bold")
        facts(("  " + name, value) for name, value in payable.facts)
        draw_findings(payable, "Nothing stands in the way of a payment.")
