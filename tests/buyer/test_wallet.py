"""Wallets: what they take, what they check, and what they never show."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
import requests
from eth_account import Account
from eth_account.messages import encode_typed_data

import x402_client.httpx
import x402_client.requests
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.sandbox import TEST_EVM_KEYS, TOKENS, Sandbox

KEY = TEST_EVM_KEYS[0]
POLICY = Policy(per_request="1", tokens=TOKENS)
ADDRESS = Account.from_key(KEY).address


class RemoteSigner:
    """Signs as a service would: given the whole message, it answers in hex."""

    address = ADDRESS

    def __init__(self, key: str = KEY) -> None:
        self._account = Account.from_key(key)
        self.threads: list[int] = []

    def sign_typed_data(self, full_message: dict[str, Any]) -> str:
        self.threads.append(threading.get_ident())
        return "0x" + self._account.sign_message(encode_typed_data(full_message=full_message)).signature.hex()


class AsyncSigner(RemoteSigner):
    async def sign_typed_data(self, full_message: dict[str, Any]) -> str:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().sign_typed_data(full_message)


@pytest.fixture
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        seller.fund(ADDRESS, 1)
        yield seller


def buyer(signer: Any) -> Buyer:
    return Buyer(Wallet(evm=signer), POLICY)


def get(seller: Sandbox, signer: Any) -> Any:
    with x402_client.httpx.wrap(httpx.Client(), buyer(signer)) as client:
        return client.get(seller.url + "/weather")


def aget(seller: Sandbox, signer: Any) -> Any:
    async def ask() -> Any:
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer(signer)) as client:
            return await client.get(seller.url + "/weather")

    return anyio.run(ask)


@pytest.mark.parametrize(
    "key",
    [KEY, KEY.removeprefix("0x"), f" {KEY}\n", KEY.upper().replace("0X", "0x"), bytes.fromhex(KEY[2:])],
    ids=["hex", "bare hex", "hex with space", "upper case", "bytes"],
)
def test_keys(seller: Sandbox, key: Any) -> None:
    assert get(seller, key).status_code == 200
    assert [done.payer for done in seller.settlements] == [ADDRESS]


def test_an_eth_account_account(seller: Sandbox) -> None:
    assert get(seller, Account.from_key(KEY)).status_code == 200
    assert aget(seller, Account.from_key(KEY)).status_code == 200
    assert [done.payer for done in seller.settlements] == [ADDRESS, ADDRESS]


def test_a_signer_of_ones_own(seller: Sandbox) -> None:
    signer = RemoteSigner()
    assert get(seller, signer).status_code == 200
    assert signer.threads == [threading.get_ident()]


def test_a_sync_signer_runs_in_a_thread_of_an_async_client(seller: Sandbox) -> None:
    signer = RemoteSigner()
    assert aget(seller, signer).status_code == 200
    assert threading.get_ident() not in signer.threads


def test_an_async_signer(seller: Sandbox) -> None:
    assert aget(seller, AsyncSigner()).status_code == 200
    assert [done.payer for done in seller.settlements] == [ADDRESS]


def test_an_async_signer_and_a_sync_client_are_told_apart_when_wrapped() -> None:
    for wrap, client in ((x402_client.httpx.wrap, httpx.Client()), (x402_client.requests.wrap, requests.Session())):
        with client, pytest.raises(errors.ConfigurationError, match="evm signer"):
            wrap(client, buyer(AsyncSigner()))


class ReturnsAFuture(RemoteSigner):
    """A signer that is async and does not look it."""

    def sign_typed_data(self, full_message: dict[str, Any]) -> Any:
        async def answer() -> str:
            return RemoteSigner.sign_typed_data(self, full_message)

        return answer()


def test_a_hidden_async_signer_fails_before_anything_is_sent(seller: Sandbox) -> None:
    with pytest.raises(errors.ConfigurationError, match="async"):
        get(seller, ReturnsAFuture())
    assert seller.settlements == []
    assert aget(seller, ReturnsAFuture()).status_code == 200


def test_another_keys_signature_is_not_sent(seller: Sandbox) -> None:
    with pytest.raises(errors.SigningError, match=f"not by {ADDRESS}") as raised:
        get(seller, RemoteSigner(key="0x" + "ab" * 32))
    assert raised.value.money == "untouched"
    assert seller.settlements == []


class Fails(RemoteSigner):
    def sign_typed_data(self, full_message: dict[str, Any]) -> str:
        raise ConnectionError("the device is not plugged in")


def test_a_signer_that_fails_leaves_the_budget_alone(seller: Sandbox) -> None:
    mine = buyer(Fails())
    with x402_client.httpx.wrap(httpx.Client(), mine) as client, pytest.raises(errors.SigningError) as raised:
        client.get(seller.url + "/weather")
    assert isinstance(raised.value.__cause__, ConnectionError)
    assert mine.spent().units == 0
    assert mine.holds() == ()


class Slow(RemoteSigner):
    """A person with a hardware wallet, and an event loop that must not wait for them."""

    def sign_typed_data(self, full_message: dict[str, Any]) -> str:
        time.sleep(0.3)
        return super().sign_typed_data(full_message)


def test_a_slow_signer_does_not_block_the_loop(seller: Sandbox) -> None:
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            gaps.append(time.perf_counter() - before)

    async def main() -> None:
        ticking = asyncio.create_task(tick())
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer(Slow())) as client:
            assert (await client.get(seller.url + "/weather")).status_code == 200
        ticking.cancel()

    asyncio.run(main())
    assert max(gaps) < 0.25, "a loop that waited for the signer would have stood still for 0.3 s"


def test_from_env(monkeypatch: pytest.MonkeyPatch, seller: Sandbox) -> None:
    monkeypatch.delenv("X402_SOLANA_KEY", raising=False)
    monkeypatch.setenv("X402_EVM_KEY", KEY)
    with x402_client.httpx.wrap(httpx.Client(), Buyer(Wallet.from_env(), POLICY)) as client:
        assert client.get(seller.url + "/weather").status_code == 200
    monkeypatch.delenv("X402_EVM_KEY")
    with pytest.raises(errors.ConfigurationError, match="X402_EVM_KEY"):
        Wallet.from_env()


BAD = [
    "",
    "0x",
    "ca" * 31,
    "zz" * 32,
    "00" * 32,
    "ff" * 32,
    b"\xca" * 31,
    b"\x00" * 32,
    12,
    object(),
    type("NoMethod", (), {"address": ADDRESS})(),
    type("BadAddress", (), {"address": "0x12", "sign_typed_data": lambda self, message: b""})(),
]


@pytest.mark.parametrize("key", BAD, ids=lambda key: type(key).__name__)
def test_what_is_no_key_is_said_when_building(key: Any) -> None:
    with pytest.raises(errors.ConfigurationError):
        Wallet(evm=key)


def test_a_wallet_without_keys_is_no_wallet() -> None:
    with pytest.raises(errors.ConfigurationError):
        Wallet()


@pytest.mark.parametrize("almost", ["ca" * 31 + "zz", "ca" * 33, b"\xca" * 33])
def test_a_bad_key_shows_in_no_traceback(almost: Any) -> None:
    """Also not in those that print the variables of every frame, as error trackers do."""
    try:
        Wallet(evm=almost)
    except errors.ConfigurationError as problem:
        trace = problem.__traceback__
        assert trace is not None
        inner = trace.tb_next  # the first frame is this test's own, and the key is its variable
        shown = "".join(traceback.TracebackException(type(problem), problem, inner, capture_locals=True).format())
    assert "cacaca" not in shown
    assert "xca" not in shown


def test_keys_show_nowhere(seller: Sandbox) -> None:
    wallet = Wallet(evm=KEY)
    owner = Buyer(wallet)
    for thing in (wallet, wallet.evm, owner):
        assert "cacaca" not in repr(thing) + str(thing)
    for thing in (wallet, wallet.evm):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(thing)
        with pytest.raises(TypeError, match="not pickled"):
            copy.deepcopy(thing)
    assert ADDRESS in repr(wallet)


@pytest.mark.parametrize("name", ["X402_EVM_KEY", "$X402_EVM_KEY", "${EVM_PRIVATE_KEY}"])
@pytest.mark.parametrize("keyword", ["evm", "solana"])
def test_the_name_of_a_variable_is_no_key(keyword: str, name: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"name of a variable.*Wallet\.from_env\(\)"):
        Wallet(**{keyword: name})


def test_a_policy_of_none_is_told_what_to_write() -> None:
    with pytest.raises(errors.ConfigurationError, match="leave it out for the careful default"):
        Buyer(Wallet(evm="0x" + "46" * 32), None, ledger=":memory:")  # type: ignore[arg-type]
