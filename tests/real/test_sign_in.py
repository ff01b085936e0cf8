"""Real sellers with the official extension sign-in-with-x: bought once, and visited again for nothing.

What was paid is what the chain shows.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from solders.keypair import Keypair

from tests.adapters.one_request import SHELLS, Ask, name_of, through_httpx
from tests.promises.broken_connection import BreaksAroundPayments
from x402_client import Buyer, Policy, Wallet, errors, outcome
from x402_client.httpx import wrap

from .environments import needed
from .solana import SOLANA_NETWORK
from .world import NETWORK, PRICES, World

pytestmark = pytest.mark.foreign
every_shell = pytest.mark.parametrize("ask", SHELLS, ids=name_of)


@pytest.fixture(params=["sign-in", "express-sign-in"])
def case(world: World, request: pytest.FixtureRequest) -> Case:
    return Case(world, request.param)


class Case:
    """A seller, a wallet with money and keys for both families, and what the chain says about it."""

    def __init__(self, world: World, name: str) -> None:
        self.seller, self.chain, self.account = needed(world.seller, name), world.chain, world.buyer()
        self.block = self.chain.block()

    def buyer(self, **policy: Any) -> Buyer:
        wallet = Wallet(evm=self.account, solana=bytes(Keypair()))
        rules = Policy(per_request="0.05", **policy)
        return Buyer(wallet, rules, ledger=":memory:", rpc={NETWORK: self.chain.url})

    @property
    def paid(self) -> list[int]:
        """What left the wallet, to the seller alone."""
        found = [one for one in self.chain.transfers(self.block) if one.sender == self.account.address.lower()]
        assert {one.to for one in found} <= {self.seller.pay_to.lower()}
        return [one.value for one in found]


@every_shell
def test_what_was_bought_once_is_visited_again_for_nothing(case: Case, ask: Ask) -> None:
    mine = case.buyer()
    assert mine.spent(currency="USD (test)").units == 0
    answers = [ask(mine, "GET", case.seller.url("/poem")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    found = [outcome(answer) for answer in answers]
    assert [one and one.signed_in for one in found] == ["", case.account.address, case.account.address]
    assert [one and one.money for one in found] == ["spent", "untouched", "untouched"]
    assert case.paid == [PRICES["GET"]]
    assert (mine.spent(currency="USD (test)").units, mine.holds()) == (PRICES["GET"], ())
    assert len(mine.history()) == 1


@every_shell
def test_after_a_lost_answer_a_sign_in_opens_what_was_paid(case: Case, ask: Ask) -> None:
    mine = case.buyer()
    broken = httpx.Client(transport=BreaksAroundPayments(arrives=True), timeout=30)
    with wrap(broken, mine) as client, pytest.raises(errors.PaymentOutcomeUnknown):
        client.get(case.seller.url("/poem"))
    assert len(mine.holds()) == 1
    answer = ask(mine, "GET", case.seller.url("/poem"))
    found = outcome(answer)
    assert found is not None
    assert (answer.status_code, found.signed_in) == (200, case.account.address)
    assert case.paid == [PRICES["GET"]]
    assert (mine.spent(currency="USD (test)").units, mine.holds()) == (PRICES["GET"], ())


@every_shell
def test_what_was_bought_on_solana_opens_to_its_key(world: World, ask: Ask) -> None:
    seller, keypair = needed(world.seller, "express-sign-in-solana"), world.solana_buyer()
    owner, since = str(keypair.pubkey()), world.solana.slot()
    rpc = {SOLANA_NETWORK: world.solana.url}
    mine = Buyer(Wallet(solana=keypair), Policy(per_request="0.05"), ledger=":memory:", rpc=rpc)
    found = [outcome(ask(mine, "GET", seller.url("/poem"))) for _ in range(3)]
    assert [(one.money, one.signed_in) for one in found if one] == [("spent", "")] + [("untouched", owner)] * 2
    moved = [(one.amount, one.to) for one in world.solana.transfers(since) if one.sender == owner]
    assert moved == [(PRICES["GET"], seller.pay_to)]
    assert (mine.spent(currency="USD (test)").units, mine.holds()) == (PRICES["GET"], ())


def test_another_wallet_pays_for_itself(case: Case, world: World) -> None:
    assert through_httpx(case.buyer(), "GET", case.seller.url("/poem")).status_code == 200
    case.account = world.buyer()
    found = outcome(through_httpx(case.buyer(), "GET", case.seller.url("/poem")))
    assert found is not None
    assert (found.money, found.signed_in, case.paid) == ("spent", "", [PRICES["GET"]])


@every_shell
@pytest.mark.parametrize(("path", "family"), [("/evm", "eip155"), ("/solana", "solana")])
def test_a_route_without_a_price_opens_to_the_key_of_its_chain(case: Case, ask: Ask, path: str, family: str) -> None:
    mine = case.buyer()
    answer = ask(mine, "GET", case.seller.url(path))
    found = outcome(answer)
    assert answer.status_code == 200
    assert found is not None
    assert (found.money, found.signed_in) == ("untouched", mine.wallet.addresses[family])
    assert mine.history() == mine.holds() == ()
    assert case.paid == []


def test_it_stays_shut_where_the_policy_signs_in_nowhere(case: Case) -> None:
    with wrap(httpx.Client(trust_env=False), case.buyer(sign_in="never")) as client:
        with pytest.raises(errors.NoAcceptableOffer):
            client.get(case.seller.url("/evm"))
        assert [client.get(case.seller.url("/poem")).status_code for _ in range(2)] == [200, 200]
    assert case.paid == [PRICES["GET"]] * 2
