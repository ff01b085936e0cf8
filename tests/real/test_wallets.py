"""Wallets that are contracts pay real sellers: Safes, accounts and delegates, settled by the official facilitators."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account

from tests.soak.matrix import npm
from x402_client import Buyer, Outcome, Policy, Wallet, errors, outcome
from x402_client.chains.contract_accounts import Undeployed, takes_once_deployed, wrap
from x402_client.chains.rpc import Rpc
from x402_client.httpx import wrap as wrap_client
from x402_client.signers import ContractSigner, SafeSigner

from . import environments
from .wallets import TAKES_NONE, TAKES_RAW, ContractWallets, account_signature, reference_validator
from .world import NETWORK, Seller, World

pytestmark = pytest.mark.foreign
OWNERS = [Account.create() for _ in range(3)]
ADDRESSES = [owner.address for owner in OWNERS]
MONEY = 1_000_000


@pytest.fixture(scope="module")
def wallets(world: World) -> ContractWallets:
    environments.needed(npm.installed, "wallets")
    return ContractWallets(world.chain)


@pytest.fixture(params=["fastapi-v2", "express-v2"])
def seller(world: World, request: pytest.FixtureRequest) -> Seller:
    return environments.needed(world.seller, request.param)


class Payer:
    """A contract with money, and what changed on its chain."""

    def __init__(self, world: World, seller: Seller, address: str) -> None:
        self._chain, self._seller, self.address = world.chain, seller, address
        self._chain.mint(address, MONEY)
        self._before = self._read()

    def _read(self) -> list[int]:
        return [self._chain.balance(address) for address in (self.address, self._seller.pay_to)]

    def moved(self) -> list[int]:
        return [now - before for now, before in zip(self._read(), self._before, strict=True)]

    def buyer(self, wallet: Wallet, **more: Any) -> closing[Buyer]:
        rpc = {NETWORK: self._chain.url}
        return closing(
            Buyer(
                wallet, Policy(per_request="1", per_day="5", upto="0.05"), **({"ledger": ":memory:", "rpc": rpc} | more)
            )
        )

    def pay(self, signer: Any, **more: Any) -> Outcome:
        """Pay once, and see it in the ledger."""
        with self.buyer(Wallet(evm=signer), **more) as buyer, wrap_client(httpx.Client(timeout=30), buyer) as client:
            found = outcome(client.get(self._seller.url("/paid")))
            assert found is not None
            assert found.money == "spent"
            assert found.hold.payer == self.address.lower()
            assert str(buyer.spent(currency="USD (test)")) == "0.01 USD (test)"
            assert not buyer.holds()
        return found

    def refused(self, signer: Any, said: str) -> None:
        """Try to pay: nothing leaves, and the budget is given back."""
        asked: list[httpx.Request] = []
        client = httpx.Client(timeout=30, event_hooks={"request": [asked.append]})
        with (
            self.buyer(Wallet(evm=signer)) as buyer,
            wrap_client(client, buyer),
            pytest.raises(errors.SigningError, match=said) as caught,
        ):
            client.get(self._seller.url("/paid"))
        assert caught.value.money == "untouched"
        assert str(buyer.spent(currency="USD (test)")) == "0.00 USD (test)"
        assert self.moved() == [0, 0]


def made(deployment: Any) -> dict[str, Any]:
    return {"deploy": (deployment.factory, deployment.calldata)}


def account(wallet: Any, owner: Any = OWNERS[0], **more: Any) -> ContractSigner:
    return ContractSigner(wallet.address, sign_digest=lambda d: account_signature(wallet.address, owner, d), **more)


def test_a_safe_pays_with_as_many_owners_as_it_wants(world: World, wallets: ContractWallets, seller: Seller) -> None:
    safe = wallets.deploy(wallets.safe(ADDRESSES, 2))
    payer = Payer(world, seller, safe.address)
    payer.refused(SafeSigner(safe.address, OWNERS[:1]), "does not take")
    payer.refused(SafeSigner(safe.address, [OWNERS[0], Account.create()]), "does not take")
    for owners in (OWNERS[:2], OWNERS):
        payer.pay(SafeSigner(safe.address, owners))
    payer.pay(SafeSigner(safe.address, OWNERS[1:]), rpc={})  # on the user's word
    assert payer.moved() == [-30_000, 30_000]


def test_an_account_of_4337_pays_with_what_it_wraps(world: World, wallets: ContractWallets, seller: Seller) -> None:
    there = wallets.deploy(wallets.account(ADDRESSES[0]))
    payer = Payer(world, seller, there.address)
    payer.refused(account(there, OWNERS[1]), "does not take")
    payer.refused(ContractSigner(there.address, lambda document: OWNERS[0].sign_typed_data(
        full_message=document).signature), "does not take")  # fmt: skip
    assert len(bytes.fromhex(payer.pay(account(there)).hold.nonce[2:])) == 32
    assert payer.moved() == [-10_000, 10_000]


@pytest.mark.parametrize("kind", ["safe", "account"])
def test_a_wallet_that_is_not_there_yet_is_made_by_its_first_payment(
    world: World, wallets: ContractWallets, seller: Seller, kind: str
) -> None:
    later = wallets.safe(ADDRESSES[:1], 1) if kind == "safe" else wallets.account(ADDRESSES[0])
    payer = Payer(world, seller, later.address)

    def signer(owner: Any, **more: Any) -> Any:
        return SafeSigner(later.address, [owner], **more) if kind == "safe" else account(later, owner, **more)

    payer.refused(signer(OWNERS[0]), "no contract at")
    payer.refused(signer(OWNERS[1], **made(later)), "does not take")
    for times in (1, 2):  # once it is there, the same signer pays on
        payer.pay(signer(OWNERS[0], **made(later)))
        assert payer.moved() == [-10_000 * times, 10_000 * times]
    assert wallets.is_there(later.address)


@pytest.mark.parametrize("rpc", [True, False], ids=["endpoint", "no endpoint"])
@pytest.mark.parametrize(("path", "taken"), [("/paid", 10_000), ("/permit2", 10_000), ("/upto?charge=7000", 7_000)])
def test_a_wallet_that_was_made_pays_with_the_signer_that_says_how(
    world: World, wallets: ContractWallets, seller: Seller, path: str, taken: int, rpc: bool
) -> None:
    later = wallets.account(ADDRESSES[0])
    payer = Payer(world, seller, later.address)
    world.chain.approve(later.address, 200_000)
    wallets.deploy(later)
    more: dict[str, Any] = {} if rpc else {"rpc": {}}
    with (
        payer.buyer(Wallet(evm=account(later, **made(later))), **more) as buyer,
        wrap_client(httpx.Client(timeout=30), buyer) as client,
    ):
        found = outcome(client.get(seller.url(path)))
    assert found is not None
    assert (found.money, payer.moved()) == ("spent", [-taken, taken])
    assert world.chain.allowance(later.address) == 200_000 - (0 if path == "/paid" else taken)


@pytest.mark.parametrize("own", [True, False], ids=["key", "account"])
def test_a_delegated_key_pays_or_is_told_why_not(
    world: World, wallets: ContractWallets, seller: Seller, own: bool
) -> None:
    for delegate, pays in ((TAKES_RAW, True), (TAKES_NONE, False)):
        key = Account.create().key.hex()
        delegated = wallets.delegated(key, delegate)
        payer = Payer(world, seller, delegated.address)
        if pays:
            payer.pay(key if own else delegated)
            assert payer.moved() == [-10_000, 10_000]
        else:
            payer.refused(key if own else delegated, rf"delegated to {delegate} \(EIP-7702\).*No payment was signed")


def test_our_trial_agrees_with_the_reference_validator(world: World, wallets: ContractWallets) -> None:
    """ERC-6492 gives a program of its own; ours is smaller. Over real wallets, both say the same."""
    from eth_abi.abi import encode

    rpc, digest = Rpc(NETWORK, [world.chain.url]), b"\5" * 32
    later, other = wallets.account(ADDRESSES[0]), wallets.account(ADDRESSES[1])
    good = account_signature(later.address, OWNERS[0], digest)
    said = []
    for wallet, factory, signature in (
        (later, later, good),
        (later, later, account_signature(later.address, OWNERS[1], digest)),
        (later, later, b"\1" * 65),
        (later, other, good),  # its factory makes another wallet
        (other, other, good),
    ):
        given = Undeployed(factory.factory, factory.calldata, signature)
        asked = reference_validator() + encode(["address", "bytes32", "bytes"], [wallet.address, digest, wrap(given)])
        try:
            theirs = rpc.call("eth_call", {"data": "0x" + asked.hex()}, "latest") == "0x01"
        except errors.ChainUnavailable:  # it gives up where a wallet does
            theirs = False
        said.append((takes_once_deployed(rpc, wallet.address, digest, given, 5), theirs))
    rpc.close()
    assert said == [(True, True)] + [(False, False)] * 4


class LosesAnswers(httpx.BaseTransport):
    """A network on which the answer to the first payment is lost."""

    def __init__(self) -> None:
        self._inner, self.headers = httpx.HTTPTransport(), list[str]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if header := request.headers.get("PAYMENT-SIGNATURE"):
            self.headers.append(header)
            if len(self.headers) == 1:
                response.read()
                raise httpx.ReadTimeout("lost", request=request)
        return response

    def close(self) -> None:
        self._inner.close()


def test_a_lost_answer_is_presented_again_and_moves_the_price_once(
    world: World, wallets: ContractWallets, seller: Seller
) -> None:
    safe = wallets.deploy(wallets.safe(ADDRESSES, 2))
    payer, network = Payer(world, seller, safe.address), LosesAnswers()
    signs: list[threading.Thread] = []

    class Counted(SafeSigner):
        def sign(self, data: Any) -> Any:
            signs.append(threading.current_thread())
            return super().sign(data)

    with payer.buyer(Wallet(evm=Counted(safe.address, OWNERS[:2]))) as buyer:
        with wrap_client(httpx.Client(transport=network, timeout=30), buyer) as client:
            try:
                found = outcome(client.get(seller.url("/paid")))
            except errors.X402Error as error:
                found = outcome(error)
        assert found is not None
        assert found.money == "spent"  # authorizationState(safe, nonce) says so
        assert found.hold.payer == safe.address.lower()
    assert len(set(network.headers)) == 1
    assert len(signs) == 1
    assert payer.moved() == [-10_000, 10_000]


PROGRAM = """
    import os, sys, httpx
    from x402_client import Buyer, Policy, Wallet, outcome
    from x402_client.httpx import wrap
    from x402_client.signers import SafeSigner

    url, rpc, network, safe, ledger, dies, *keys = sys.argv[1:]

    class Network(httpx.HTTPTransport):
        def handle_request(self, request):
            if "PAYMENT-SIGNATURE" in request.headers:
                print(request.headers["PAYMENT-SIGNATURE"], flush=True)
                if dies == "dies":
                    os._exit(9)
            return super().handle_request(request)

    buyer = Buyer(Wallet(evm=SafeSigner(safe, keys)), Policy(per_day="1"), ledger=ledger, rpc={network: rpc})
    with wrap(httpx.Client(transport=Network(), timeout=30), buyer) as client:
        print(outcome(client.get(url)).money)
"""


def test_killed_between_signing_and_sending_it_pays_once_after_all(
    world: World, wallets: ContractWallets, seller: Seller, tmp_path: Path
) -> None:
    safe = wallets.deploy(wallets.safe(ADDRESSES, 2))
    payer, said = Payer(world, seller, safe.address), []
    for dies, code in (("dies", 9), ("lives", 0)):
        keys = [owner.key.hex() for owner in OWNERS[:2]]
        given = [seller.url("/paid"), world.chain.url, NETWORK, safe.address, str(tmp_path / "spend.db"), dies, *keys]
        command = [sys.executable, "-c", textwrap.dedent(PROGRAM), *given]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == code, ran.stderr
        said.append(ran.stdout.split())
    assert said[0][0] == said[1][0]  # the same header: nothing was signed anew
    assert said[1][1] == "spent"
    assert payer.moved() == [-10_000, 10_000]
