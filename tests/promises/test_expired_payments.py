"""How payments without an answer end, once they expired: on a real chain, against a real seller, through each shell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from eth_account.signers.local import LocalAccount

import x402_client.httpx
from tests.adapters.one_request import SHELLS, Ask, name_of
from tests.real.fixtures import _need_environment
from tests.real.world import World
from x402_client import Buyer, Policy, Wallet, errors, events, receipt
from x402_client.chains import rpc

from .broken_connection import BreaksAroundPayments

PRICE = 10_000
#: Later than the payments' expiry, and not so late that the seller's own clock, which stays, would refuse ours.
LATER = 500
DARK = "http://127.0.0.1:9"


@dataclass
class Story:
    """A buyer with one payment whose answer never came."""

    world: World
    account: LocalAccount
    buyer: Buyer
    told: list[events.Event]
    block: int

    @property
    def url(self) -> str:
        return self.world.seller("fastapi-v2").url("/paid")

    @property
    def paid(self) -> list[int]:
        """What really left the account."""
        ours = self.account.address.lower()
        return [one.value for one in self.world.chain.transfers(self.block) if one.sender == ours]


KINDS: dict[str, dict[str, Any]] = {
    "lost": {"arrives": False},
    "arrived": {"arrives": True},
    "lost, and the chain is dark": {"arrives": False, "dark": True},
    "arrived, and the chain is dark": {"arrives": True, "dark": True},
    "arrived, and its loss is accepted": {"arrives": True, "accept_loss": "0.01"},
    "arrived, the chain is dark and its loss is accepted": {"arrives": True, "dark": True, "accept_loss": "0.01"},
    "lost, and the budget is gone": {"arrives": False, "per_day": "0.015"},
    "lost, the budget is gone and the chain is dark": {"arrives": False, "per_day": "0.015", "dark": True},
}


def begun(
    world: World, arrives: bool, dark: bool = False, accept_loss: str = "0", per_day: str = "1", **more: Any
) -> Story:
    account, told = world.buyer(), []
    buyer = Buyer(
        Wallet(evm=account),
        Policy(per_request="0.05", per_day=per_day, accept_loss=accept_loss),
        ledger=":memory:",
        rpc={"base-sepolia": DARK if dark else world.chain.url},
        on_event=told.append,
        repeat=(),
        **more,
    )
    story = Story(world, account, buyer, told, world.chain.block())
    broken = httpx.Client(transport=BreaksAroundPayments(arrives))
    with x402_client.httpx.wrap(broken, buyer) as client, pytest.raises(errors.PaymentOutcomeUnknown):
        client.get(story.url, timeout=60)
    return story


@pytest.fixture(scope="module")
def stories() -> Iterator[dict[tuple[str, str], Story]]:
    _need_environment()
    with World() as world, pytest.MonkeyPatch.context() as patch:
        patch.setattr(rpc, "_PAUSES", (0.01,))
        found = {(kind, name_of(shell)): begun(world, **said) for kind, said in KINDS.items() for shell in SHELLS}
        expires = max(story.buyer.holds()[0].authorization.expires for story in found.values())  # type: ignore[union-attr]
        clock = time.time
        assert expires < clock() + LATER
        world.chain.advance(LATER)
        patch.setattr(time, "time", lambda: clock() + LATER)
        yield found


@pytest.fixture(params=SHELLS, ids=name_of)
def shell(request: pytest.FixtureRequest) -> Ask:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def story(stories: dict[tuple[str, str], Story], shell: Ask, kind: str) -> Story:
    return stories[kind, name_of(shell)]


def of(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds)


@of("lost")
def test_proven_unused_it_is_bought_anew_in_the_same_call(story: Story, shell: Ask) -> None:
    [old] = story.buyer.holds()
    response = shell(story.buyer, "GET", story.url, timeout=60)
    assert response.status_code == 200
    found = receipt(response)
    assert found is not None
    assert found.success
    assert story.paid == [PRICE]
    assert story.buyer.spent(currency="USD (test)").units == PRICE
    assert story.buyer.holds() == ()
    [done] = story.buyer.history()
    assert done.nonce != old.nonce
    [told] = [event for event in story.told if isinstance(event, events.Concluded)]
    assert (told.hold.id, told.settled) == (old.id, False)


@of("arrived")
def test_proven_settled_and_not_delivered(story: Story, shell: Ask) -> None:
    for _ in range(3):
        with pytest.raises(errors.PaidNotDelivered) as raised:
            shell(story.buyer, "GET", story.url, timeout=60)
        assert raised.value.money == "spent"
        assert raised.value.response.status_code == 402
    assert story.paid == [PRICE]
    [hold] = story.buyer.holds()
    assert hold.money == "spent"
    story.buyer.write_off(raised.value.hold)
    assert shell(story.buyer, "GET", story.url, timeout=60).status_code == 200
    assert story.paid == [PRICE, PRICE]
    assert story.buyer.spent(currency="USD (test)").units == 2 * PRICE
    assert [one.state for one in story.buyer.history()] == ["delivered", "written_off"]


@of("lost, and the chain is dark", "arrived, and the chain is dark")
def test_nobody_can_tell(story: Story, shell: Ask) -> None:
    """What never arrived is dead by now, and this seller says so with a 402 as well."""
    for _ in range(3):
        with pytest.raises(errors.PaymentOutcomeUnknown) as raised:
            shell(story.buyer, "GET", story.url, timeout=60)
        assert raised.value.wait_until is None
        assert raised.value.money == "unknown"
        assert "Buyer(rpc=...)" in str(raised.value)
    assert len(story.buyer.holds()) == 1
    assert story.buyer.spent(currency="USD (test)").units == PRICE
    assert len(story.paid) <= 1


@of("arrived, and its loss is accepted", "arrived, the chain is dark and its loss is accepted")
def test_an_accepted_loss_is_bought_anew_in_the_same_call(story: Story, shell: Ask) -> None:
    response = shell(story.buyer, "GET", story.url, timeout=60)
    assert response.status_code == 200
    assert story.paid == [PRICE, PRICE]
    assert story.buyer.spent(currency="USD (test)").units == 2 * PRICE
    assert [one.state for one in story.buyer.history()] == ["delivered", "written_off"]
    assert sum(isinstance(event, events.WrittenOff) for event in story.told) == 1


@of("lost, and the budget is gone")
def test_over_the_limit_the_chain_gives_back_what_it_proves_unused(story: Story, shell: Ask) -> None:
    response = shell(story.buyer, "GET", story.url + "?other", timeout=60)
    assert response.status_code == 200
    assert story.paid == [PRICE]
    assert story.buyer.spent(currency="USD (test)").units == PRICE
    with pytest.raises(errors.OverLimit):
        shell(story.buyer, "GET", story.url + "?third", timeout=60)


@of("lost, the budget is gone and the chain is dark")
def test_over_the_limit_silence_gives_nothing_back(story: Story, shell: Ask) -> None:
    with pytest.raises(errors.OverLimit):
        shell(story.buyer, "GET", story.url + "?other", timeout=60)
    assert story.paid == []
    assert len(story.buyer.holds()) == 1
