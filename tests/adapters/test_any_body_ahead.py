"""What is paid ahead where the user says that prices do not go by the body, and the seller's do or do not."""

from __future__ import annotations

import base64
import itertools
import json
import random
from contextlib import suppress

import pytest

from x402_client import Limit, Policy
from x402_client.errors import PaymentRejected, TooExpensive

from .cash_register import PAYMENT, Till
from .checks import new_buyer
from .drivers import Client, Driver, Httpx, only
from .scripted_server import Exchange, Server
from .test_paid_ahead import BODIES, delivered, requests_of, send

ANY = Policy(
    per_request="0.05", per_day="50", pay_ahead=True, hosts={"127.0.0.1": Limit(pay_ahead="any body")},
)  # fmt: skip
#: The most that a payment may cost, in the token's smallest units.
MOST = 50_000
#: Bodies of JSON-RPC have terms of their own, and so has a body of which nobody can say that it is none.
MESSAGES = {name for name, body in BODIES.items() if isinstance(body.make(), (dict, list)) and "query" not in name}


@pytest.mark.parametrize("bought", BODIES)
def test_a_body_of_any_kind_is_paid_ahead_and_a_message_by_its_own_terms(
    shell: Driver, server: Server, till: Till, bought: str
) -> None:
    url = server.on("/all", till.sells(delivered))
    ways, expected = {}, {}
    for name, body in BODIES.items():
        client = shell.client(new_buyer(ANY))
        send(client, url, BODIES[bought])
        assert requests_of(server) == ["bare", "paid"]
        send(client, url, body)
        ways[name] = requests_of(server)
        is_known = body.product is not None and body.product == BODIES[bought].product
        is_any = MESSAGES.isdisjoint((bought, name))
        expected[name] = ["paid"] if is_known or is_any else ["bare", "paid"]
    assert ways == expected


class ByTheBody:
    """A seller whose prices go by the body, and change. It notes what it delivered for, and what was paid unasked."""

    def __init__(self, dice: random.Random, takes_more: bool) -> None:
        self.tills = {price: Till(price=price) for price in (10_000, 20_000, 40_000, 60_000)}
        self.dice, self.takes_more = dice, takes_more
        #: The price of the body that is asked for.
        self.price = 10_000
        self.last: int | None = None
        #: The amounts and nonces of this call, and True where nothing asked for it.
        self.paid: list[tuple[int, str, bool]] = []
        self.was_asked = False

    def __call__(self, exchange: Exchange) -> None:
        exchange.read_body()
        header = exchange.seen.all(PAYMENT[2])
        if not header:
            self.was_asked = True
            return self.tills[self.price].challenge(exchange)
        signed = json.loads(base64.b64decode(header[0]))["payload"]["authorization"]
        amount = int(signed["value"])
        assert self.tills[amount].took(exchange.seen)
        self.paid.append((amount, signed["nonce"], not self.was_asked))
        if amount != self.price and not (self.takes_more and amount > self.price):
            return self.tills[self.price].challenge(exchange)
        self.last = amount
        return exchange.answer(200, b"the goods", [self.tills[amount].receipt()])

    def sells(self, client: Client, url: str, body: bytes) -> None:
        """Sell one body, at a price of its own, and check what was paid for it."""
        self.price = self.dice.choice([self.price, self.price, *self.tills])
        known, self.paid, self.was_asked = self.last, [], False
        try:
            client.request("POST", url, content=body)
        except TooExpensive:
            assert (self.price > MOST, self.paid) == (True, [])
        except PaymentRejected:
            [(amount, _, unasked)] = self.paid
            assert (unasked, amount == known, amount != self.price) == (True, True, True)
        else:
            [(amount, _, unasked)] = self.paid
            assert amount == (known if unasked else self.price)
        assert all(amount <= MOST for amount, _, _ in self.paid)


@only(Httpx)
@pytest.mark.parametrize("takes_more", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_never_more_than_what_was_known_or_asked_and_once_in_a_call(
    shell: Driver, server: Server, seed: int, takes_more: bool
) -> None:
    seller, buyer = ByTheBody(random.Random(seed), takes_more), new_buyer(ANY, breaker_after=None)
    url, client = server.on("/llm", seller), shell.client(buyer)
    bodies = (f"prompt {number}".encode() for number in itertools.count())
    for _ in range(25):
        seller.sells(client, url, next(bodies))
    paid = [nonce for till in seller.tills.values() for nonce in till.nonces]
    assert len(set(paid)) == len(paid) == len(buyer.holds()) + len(buyer.history())


def test_after_two_refusals_the_seller_is_always_asked(shell: Driver, server: Server) -> None:
    seller = ByTheBody(random.Random(0), takes_more=False)
    seller.tills = {10_000: Till(price=10_000), 20_000: Till(price=20_000)}
    url, client = server.on("/llm", seller), shell.client(new_buyer(ANY, breaker_after=None))
    unasked: list[bool] = []
    for number in range(8):
        seller.price = (10_000, 20_000)[number % 2]
        seller.paid, seller.was_asked = [], False
        with suppress(PaymentRejected):
            client.request("POST", url, content=f"prompt {number}".encode())
        unasked += [one[2] for one in seller.paid]
    assert unasked == [False, True, False, True, False, False, False, False]
