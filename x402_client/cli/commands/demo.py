"""``x402 demo``: pays, and refuses to, at a seller on this machine. The money is invented."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import requests

from ...buyer.buyer import Buyer
from ...errors import NoAcceptableOffer, TooExpensive
from ...httpx import quote
from ...httpx import wrap as wrap_httpx
from ...model.networks import EVM_FAMILY, family_of
from ...policy.policy import Policy
from ...receipts import outcome
from ...requests import wrap as wrap_requests
from ...sandbox import Sandbox
from ..exits import Code
from ..running import Stop, command, leave
from ..screen import bar, facts, out, show, show_program

_PER_REQUEST, _PER_DAY = "0.10", "5"
_LINES = """\
buyer = Buyer.from_env(policy=Policy(per_request="0.10", per_day="5"))
client = wrap(httpx.Client(), buyer)
response = client.get("https://api.example.com/weather")"""


@command
def demo() -> None:
    """See it work: pay, on two chains and through two libraries, and watch what is not paid. Takes a few seconds.

    A seller is started on this machine. Its money is invented; the requests, signatures and checks are real.
    """
    try:
        _pay_and_refuse()
    except KeyboardInterrupt:
        leave(Code.INTERRUPTED, "Interrupted. The money of the demo is invented.")
    show()
    show("In a program of your own:", "bold")
    show_program(_LINES, "    ")
    show("Next: `x402 sandbox` runs this seller for you to try things on, `x402 wallet new` makes a wallet.")
    show("With --redeliver it delivers again for a payment that it has, as in 3. Where a seller does not,")
    show("`x402 ledger write-off` gives the payment up.")


def _pay_and_refuse() -> None:
    with Sandbox() as seller:
        buyer = seller.buyer(Policy(per_request=_PER_REQUEST, per_day=_PER_DAY))
        show("A seller on this machine, two chains behind it, and a wallet with invented money.", "bold")
        show(f"The policy: {_PER_REQUEST} USD a request, {_PER_DAY} USD a day. Nothing leaves this machine.")
        with wrap_httpx(httpx.Client(), buyer) as client, wrap_requests(requests.Session(), buyer) as session:
            show_ = _Demo(seller, buyer)
            show_.pay_on_evm(client)
            show_.pay_on_solana(session)
            show_.lose_the_line(client)
            show_.meet_the_yacht(client)
            show_.meet_another_token(client)
            show_.add_up()


class _Demo:
    """The steps of the demo. Each checks what happened."""

    def __init__(self, seller: Sandbox, buyer: Buyer) -> None:
        self.seller, self.buyer = seller, buyer
        self._step = 0

    def pay_on_evm(self, client: httpx.Client) -> None:
        """Ask for the price, then pay it, through httpx."""
        with self._titled("httpx pays with a token on an EVM chain"):
            terms = quote(client, "GET", f"{self.seller.url}/evm/weather")
            assert terms.choice is not None
            self._say("price", f"{terms.choice.price}, asked before paying")
            response = client.get(f"{self.seller.url}/evm/weather")
            self._paid(response, response.text)

    def pay_on_solana(self, session: requests.Session) -> None:
        """Pay on another chain, through another library."""
        with self._titled("requests pays with a token on Solana"):
            response = session.get(f"{self.seller.url}/solana/report")
            self._paid(response, response.text)

    def lose_the_line(self, client: httpx.Client) -> None:
        """Pay a seller that takes the money and breaks the connection before the answer."""
        with self._titled("The connection breaks just after the seller was paid"):
            url = self.seller.sell("/forecast", "0.02", fault=["drop-after-settling"], redeliver=True, chains="evm")
            before = len(self.seller.settlements)
            response = client.get(url)
            presented = [visit.payment for visit in self.seller.visits if visit.path == "/forecast" and visit.payment]
            self._say("presented", f"{len(presented)} times, {len(set(presented))} payment: no second one was signed")
            self._say("answer", f"{response.status_code}, {response.text}")
            transfers = len(self.seller.settlements) - before
            self._say("on the chain", f"{transfers} transfer")
            self._check(len(presented) == 2 and len(set(presented)) == 1, "the line did not break just once")
            self._check(response.status_code == 200 and transfers == 1, "it was not paid exactly once")

    def meet_the_yacht(self, client: httpx.Client) -> None:
        """Meet a price above the limit of one request."""
        with self._titled("Something costs more than the policy allows"):
            before = len(self.seller.settlements)
            try:
                client.get(f"{self.seller.url}/yacht")
            except TooExpensive as refusal:
                self._say("refused", f"it costs {refusal.asked}, one payment may cost {refusal.limit}")
                self._say("money", refusal.money)
            else:
                raise _differently("the yacht was bought")
            self._check(len(self.seller.settlements) == before, "money moved")

    def meet_another_token(self, client: httpx.Client) -> None:
        """Meet a token that looks like the one we know."""
        with self._titled("The seller asks for a false copy of the token"):
            before = len(self.seller.settlements)
            try:
                client.get(self.seller.fault_url("swapped-token"))
            except NoAcceptableOffer as refusal:
                self._say("refused", refusal.reasons[0].partition("): ")[2])
            else:
                raise _differently("the false copy was paid with")
            self._check(len(self.seller.settlements) == before, "money moved")

    def add_up(self) -> None:
        """Compare our books with the chain's."""
        with self._titled("Where the money went"):
            spent, earned = self.buyer.spent(), self.seller.earned
            for done in self.seller.settlements:
                share = done.amount / max(one.amount for one in self.seller.settlements)
                line = bar(share, 12)
                line.append(f"  {done.price}  {done.path} on {_chain(done.network)}")
                line.pad_left(4)
                show(line)
            self._say("our ledger", f"{spent} spent, {self.buyer.remaining()} left today")
            self._say("the chains", f"{earned} received, in {len(self.seller.settlements)} transfers")
            self._check(spent == earned, "the two do not agree")

    def _paid(self, response: Any, body: str) -> None:
        paid = outcome(response)
        if paid is None or paid.receipt is None or paid.money != "spent":
            raise _differently("it was not paid")
        token = paid.offer.token
        self._say("paid", f"{paid.hold.price} in {token.symbol if token else '?'} on {_chain(paid.offer.network)}")
        self._say("receipt", f"transaction {paid.receipt.transaction}")
        self._say("got", body.strip())
        self._say("left today", f"{self.buyer.remaining()}")
        settled = [done.transaction for done in self.seller.settlements]
        self._check(paid.receipt.transaction in settled, "the receipt's transaction is not on the chain")

    @contextmanager
    def _titled(self, title: str) -> Iterator[None]:
        self._step += 1
        show()
        show(f"{self._step}. {title}", "bold")
        yield
        out().file.flush()

    @staticmethod
    def _say(name: str, text: str) -> None:
        facts([(f"    {name:<12}", text)])

    @staticmethod
    def _check(holds: bool, problem: str) -> None:
        if not holds:
            raise _differently(problem)


def _chain(network: str) -> str:
    return "the EVM chain" if family_of(network) == EVM_FAMILY else "Solana"


def _differently(problem: str) -> Stop:
    return Stop(Code.WRONG, f"This is not what should have happened: {problem}. Please report it.")
