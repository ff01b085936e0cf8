"""A real seller with the official extension sign-in-with-x: bought once, and visited again for nothing."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from solders.keypair import Keypair

from x402_client import Buyer, Policy, Wallet, errors, outcome
from x402_client.httpx import wrap
from x402_client.signers.evm import LocalEvmSigner

from .environments import environment, needed
from .programs import Program

pytestmark = pytest.mark.foreign
NETWORK = "eip155:84532"


@pytest.fixture(scope="module")
def seller() -> Iterator[str]:
    program = Program(needed(environment, "sign-in"), "seller_sign_in.py")
    yield program.order({"network": NETWORK, "pay_to": "0x" + "40" * 20})
    program.tell_to_stop()
    program.stop()


def buyer(policy: Policy | None = None) -> Buyer:
    """A buyer with keys that are new, one for each family."""
    wallet = Wallet(evm=LocalEvmSigner.generate(), solana=bytes(Keypair()))
    return Buyer(wallet, policy or Policy(per_request="0.05"), ledger=":memory:", rpc={})


def test_what_was_bought_once_is_visited_again_for_nothing(seller: str) -> None:
    mine = buyer()
    with wrap(httpx.Client(trust_env=False), mine) as client:
        answers = [client.get(f"{seller}/poem") for _ in range(3)]
    settled = [answer.json()["settled"] for answer in answers]
    assert settled[1] == settled[2] == settled[0] + 1, "the first answer was made before its payment was settled"
    found = [outcome(answer) for answer in answers]
    assert mine.wallet.evm is not None
    assert [one and one.signed_in for one in found] == ["", mine.wallet.evm.address, mine.wallet.evm.address]
    assert len(mine.history()) == 1


@pytest.mark.parametrize(("path", "family"), [("/evm", "eip155"), ("/solana", "solana")])
def test_a_route_without_a_price_opens_to_the_key_of_its_chain(seller: str, path: str, family: str) -> None:
    mine = buyer()
    with wrap(httpx.Client(trust_env=False), mine) as client:
        answer = client.get(seller + path)
    found = outcome(answer)
    assert answer.status_code == 200
    assert found is not None
    assert (found.money, found.signed_in) == ("untouched", mine.wallet.addresses[family])
    assert mine.history() == mine.holds() == ()


def test_it_stays_shut_where_the_policy_signs_in_nowhere(seller: str) -> None:
    with wrap(httpx.Client(trust_env=False), buyer(Policy(per_request="0.05", sign_in="never"))) as client:
        with pytest.raises(errors.NoAcceptableOffer):
            client.get(f"{seller}/evm")
        assert [client.get(f"{seller}/poem").status_code for _ in range(2)] == [200, 200]
