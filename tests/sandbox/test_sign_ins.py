"""What the sandbox opens to a sign-in, and to whose: each challenge once, for the account that bought."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

import x402_client.httpx
from x402_client import Buyer, Policy, Wallet, errors, events, outcome
from x402_client.httpx import quote
from x402_client.sandbox import Sandbox

POLICY = Policy(per_request="0.05")


def client(buyer: Buyer) -> httpx.Client:
    return x402_client.httpx.wrap(httpx.Client(), buyer)


def signed_in(url: str, buyer: Buyer, **changes: Any) -> tuple[int, str]:
    """A sign-in by hand, with some fields changed after it was signed; sent twice. The two statuses."""
    told: list[str] = []

    class Copying(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            told.append(request.headers.get("sign-in-with-x", ""))
            return httpx.Response(402, content=b"kept") if told[-1] else super().handle_request(request)

    with (
        x402_client.httpx.wrap(httpx.Client(transport=Copying()), buyer) as copying,
        pytest.raises(errors.NoAcceptableOffer),
    ):
        copying.get(url)
    said = json.loads(base64.b64decode(told[-1]))
    header = base64.b64encode(json.dumps({**said, **changes}).encode()).decode()
    statuses = [httpx.get(url, headers={"SIGN-IN-WITH-X": header}).status_code for _ in range(2)]
    return statuses[0], str(statuses[1])


@pytest.mark.parametrize("chain", ["evm", "solana"])
def test_a_purchase_opens_to_the_account_that_made_it(sandbox: Sandbox, chain: str) -> None:
    url = sandbox.sell("/poem", "0.02", content="Roses", chains=chain, sign_in=True)
    told: list[events.Event] = []
    mine, other = sandbox.buyer(POLICY, on_event=told.append), sandbox.buyer(POLICY.but(sign_in="always"))
    with client(mine) as one:
        answers = [one.get(url) for _ in range(3)]
    assert [answer.text for answer in answers] == ["Roses"] * 3
    assert [(found := outcome(answer)) and found.money for answer in answers] == ["spent", "untouched", "untouched"]
    assert [type(event).__name__ for event in told].count("SignedIn") == 2
    with client(other) as another:
        assert another.get(url).text == "Roses"
    assert len(sandbox.settlements) == 2
    assert (len(mine.history()), str(mine.spent())) == (1, "0.02 USD")


def test_a_wallet_with_two_keys_signs_with_the_one_that_paid(sandbox: Sandbox) -> None:
    url = sandbox.sell("/poem", "0.02", sign_in=True)
    buyer = sandbox.buyer(POLICY.but(networks=["solana-devnet", "eip155:402402402402"]))
    with client(buyer) as one:
        found = [outcome(one.get(url)) for _ in range(2)]
    assert buyer.wallet.solana is not None
    assert [told and told.signed_in for told in found] == ["", buyer.wallet.solana.address]


def test_a_challenge_is_good_once_and_only_as_it_was_signed(sandbox: Sandbox) -> None:
    url = sandbox.sell_nothing("/jobs", {"done": True})
    assert signed_in(url, sandbox.buyer(POLICY)) == (200, "402")
    other = sandbox.wallet().evm
    assert other is not None
    for changes in (
        {"statement": "Pay."}, {"address": other.address}, {"domain": "bank.example"}, {"signature": "0x"},
        {"signature": "zz"}, {"nonce": "0" * 32}, {"chainId": "eip155:1"}, {"uri": "https://bank.example/"},
    ):  # fmt: skip
        assert signed_in(url, sandbox.buyer(POLICY), **changes) == (402, "402")


def test_a_key_that_anybody_may_know_signs_in_on_no_real_network(sandbox: Sandbox) -> None:
    buyer = sandbox.buyer(POLICY)
    assert (buyer.rules.sign_in.account("eip155:8453"), buyer.rules.sign_in.account("cosmos:hub")) == ("", "")
    assert buyer.wallet.evm is not None
    assert buyer.rules.sign_in.account("eip155:84532") == buyer.wallet.evm.address


def test_a_signer_that_signs_no_text_pays_each_time(sandbox: Sandbox) -> None:
    class Plain:
        """A signer with the port's methods, and nothing else."""

        def __init__(self, wallet: Wallet) -> None:
            assert wallet.evm is not None
            self._signer = wallet.evm
            self.address = self._signer.address

        def sign_typed_data(self, full_message: dict[str, Any]) -> bytes:
            from eth_account import Account

            signed = Account.sign_typed_data(key, full_message=full_message)
            return bytes(signed.signature)

    key = sandbox.key("evm")
    url = sandbox.sell("/poem", "0.02", chains="evm", sign_in=True)
    buyer = sandbox.buyer(POLICY, wallet=Wallet(evm=Plain(Wallet(evm=key))))
    with client(buyer) as one:
        assert [(found := outcome(one.get(url))) and found.money for _ in range(2)] == ["spent", "spent"]
        assert "no key that signs a text" in quote(one, "GET", url).reasons[-1]


def test_an_account_of_eth_account_signs_in(sandbox: Sandbox) -> None:
    from eth_account import Account

    account = Account.from_key(sandbox.key("evm"))
    url = sandbox.sell("/poem", "0.02", chains="evm", sign_in=True)
    with client(sandbox.buyer(POLICY, wallet=Wallet(evm=account))) as one:
        found = [outcome(one.get(url)) for _ in range(2)]
    assert [told and told.signed_in for told in found] == ["", account.address]


def test_a_sign_in_delivers_what_was_paid_and_did_not_arrive(sandbox: Sandbox) -> None:
    url = sandbox.sell("/poem", "0.02", content="Roses", fault=["drop-after-settling"], sign_in=True)
    buyer = sandbox.buyer(POLICY, repeat=())
    with client(buyer) as one:
        with pytest.raises(errors.PaymentOutcomeUnknown):
            one.get(url)
        [hold] = buyer.holds()
        answer = one.get(url)
        assert answer.text == "Roses"
        found = outcome(answer)
        assert found is not None
        assert (found.hold.id, found.money, found.signed_in) == (hold.id, "spent", buyer.wallet.addresses["eip155"])
    [past] = buyer.history()
    assert (past.id, past.state, buyer.holds()) == (hold.id, "delivered", ())
    assert past.last is not None
    assert past.last.said.endswith("brought the content")
    assert (len(sandbox.settlements), str(buyer.spent())) == (1, "0.02 USD")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 429, 431, 500, 502, 503])
@pytest.mark.parametrize("tries", [1, 3])
def test_a_sign_in_that_fails_keeps_no_unresolved_payment_from_being_presented(
    sandbox: Sandbox, status: int, tries: int
) -> None:
    class Failing(httpx.HTTPTransport):
        """A line to a seller whose sign-in is broken."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(status) if "sign-in-with-x" in request.headers else super().handle_request(request)

    faults = ["drop-before-settling"] * tries
    url = sandbox.sell("/poem", "0.02", content="Roses", fault=faults, redeliver=True, sign_in=True)
    buyer = sandbox.buyer(POLICY, repeat=())
    with x402_client.httpx.wrap(httpx.Client(transport=Failing()), buyer) as one:
        for _ in range(tries):
            with pytest.raises(errors.PaymentOutcomeUnknown):
                one.get(url)
        assert one.get(url).text == "Roses"
    assert (len(sandbox.settlements), str(buyer.spent()), buyer.holds()) == (1, "0.02 USD", ())
    assert len({visit.payment for visit in sandbox.visits if visit.payment}) == 1
