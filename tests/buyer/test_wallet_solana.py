"""Solana keys and signers: what a wallet takes, what it checks, and what it never shows."""

from __future__ import annotations

import asyncio
import base64
import copy
import pickle
import threading
import traceback
from typing import Any

import anyio
import base58
import httpx
import pytest
from solders.keypair import Keypair

import x402_client.httpx
from tests.real.world import World
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.ledgers.memory import MemoryLedger
from x402_client.sandbox import TEST_SOLANA_KEYS, Sandbox

SEED = b"\xca" * 32
KEYPAIR = Keypair.from_seed(SEED)
ADDRESS = str(KEYPAIR.pubkey())
FORMS = {
    "base58 of 64": str(KEYPAIR),
    "with space": f" {KEYPAIR}\n",
    "32 bytes": SEED,
    "64 bytes": bytes(KEYPAIR),
    "bytearray": bytearray(SEED),
    "Keypair": KEYPAIR,
}


class RemoteSigner:
    """Signs messages and hands out no key."""

    def __init__(self, keypair: Keypair, text: bool = False) -> None:
        self.address = str(keypair.pubkey())
        self._keypair, self._text = keypair, text
        self.threads: list[int] = []

    def sign_message(self, message: bytes) -> Any:
        self.threads.append(threading.get_ident())
        signature = self._keypair.sign_message(message)
        return str(signature) if self._text else bytes(signature)


class AsyncSigner(RemoteSigner):
    async def sign_message(self, message: bytes) -> Any:
        await asyncio.sleep(0)
        return super().sign_message(message)


class Liar(RemoteSigner):
    def sign_message(self, message: bytes) -> Any:
        return bytes(Keypair().sign_message(message))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_keys(form: Any) -> None:
    wallet = Wallet(solana=form)
    assert wallet.solana is not None
    assert wallet.solana.address == ADDRESS
    assert repr(wallet) == f"Wallet(solana={ADDRESS})"


BAD = [
    "", "0OIl", "ca" * 32, base58.b58encode(b"\xca" * 31).decode(), base58.b58encode(SEED).decode(), b"\xca" * 31,
    SEED + b"\x01" * 32, 12, object(),
]  # fmt: skip


@pytest.mark.parametrize("form", BAD, ids=range(len(BAD)))
def test_what_is_no_key_is_said_when_building(form: Any) -> None:
    with pytest.raises(errors.ConfigurationError) as raised:
        Wallet(solana=form)
    trace = raised.value.__traceback__
    assert trace is not None
    problem = traceback.TracebackException(type(raised.value), raised.value, trace.tb_next, capture_locals=True)
    shown = "".join(problem.format())
    assert "xca" not in shown
    assert base58.b58encode(b"\xca" * 31).decode()[:10] not in shown


def test_keys_show_nowhere() -> None:
    wallet = Wallet(solana=KEYPAIR)
    for thing in (wallet, wallet.solana, Buyer(wallet)):
        shown = repr(thing) + str(thing)
        assert str(KEYPAIR)[:20] not in shown
        assert "cacaca" not in shown
    for thing in (wallet, wallet.solana):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(thing)
        with pytest.raises(TypeError, match="not pickled"):
            copy.deepcopy(thing)


def test_from_env(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("X402_EVM_KEY", raising=False)
    monkeypatch.setenv("X402_SOLANA_KEY", str(KEYPAIR))
    assert repr(Wallet.from_env()) == f"Wallet(solana={ADDRESS})"
    monkeypatch.setenv("X402_EVM_KEY", "11" * 32)
    both = Wallet.from_env()
    assert both.evm is not None
    assert both.solana is not None


def pay(world: World, signer: Any) -> httpx.Response:
    buyer = Buyer(Wallet(solana=signer), Policy(per_request="1"), rpc={"solana-devnet": world.solana.url})
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        return client.get(world.seller("svm-v2").url("/paid"))


def apay(world: World, signer: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        buyer = Buyer(Wallet(solana=signer), Policy(per_request="1"), rpc={"solana-devnet": world.solana.url})
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client:
            return await client.get(world.seller("svm-v2").url("/paid"))

    return anyio.run(ask)


@pytest.mark.parametrize("text", [False, True], ids=["bytes", "base58"])
def test_a_signer_of_ones_own(world: World, text: bool) -> None:
    signer = RemoteSigner(world.solana_buyer(), text)
    assert pay(world, signer).status_code == 200
    assert signer.threads == [threading.get_ident()]
    assert apay(world, signer).status_code == 200
    assert signer.threads[1] != threading.get_ident(), "an async client has it run in a thread"


def test_an_async_signer(world: World) -> None:
    signer = AsyncSigner(world.solana_buyer())
    assert apay(world, signer).status_code == 200
    with pytest.raises(errors.ConfigurationError, match="solana signer"):
        pay(world, signer)


@pytest.mark.parametrize("returned", [b"", b"x" * 63, "nonsense", "0OIl", None, 7, base64.b64encode(b"x" * 64)])
def test_what_is_no_signature_is_not_sent(world: World, returned: Any) -> None:
    signer = RemoteSigner(KEYPAIR)
    signer.sign_message = lambda message: returned  # type: ignore[method-assign]
    with pytest.raises(errors.SigningError) as raised:
        pay(world, signer)
    assert raised.value.money == "untouched"


def test_another_keys_signature_is_not_sent(world: World) -> None:
    with pytest.raises(errors.SigningError, match="not by"):
        pay(world, Liar(KEYPAIR))


class Watched(MemoryLedger):
    """Ledger that notes its steps up to the payment."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []

    def reserve(self, order: Any, attempt: Any) -> Any:
        self.steps.append("reserve" if order.signed is None else "reserve and record")
        return super().reserve(order, attempt)

    def record(self, hold: Any, signed: Any) -> Any:
        self.steps.append("record")
        return super().record(hold, signed)


@pytest.mark.parametrize("way", ["/solana", "/v1/solana", "/v1-caip2/solana"])
@pytest.mark.parametrize(
    "key", [TEST_SOLANA_KEYS[0], RemoteSigner(Keypair.from_seed(TEST_SOLANA_KEYS[0]))], ids=["here", "elsewhere"]
)
def test_a_key_in_this_process_takes_one_step_of_the_ledger_once_a_blockhash_is_known(way: str, key: Any) -> None:
    ledger, two = Watched(), ["reserve", "record"]
    with Sandbox() as sandbox:
        paying = sandbox.buyer(Policy(per_request="0.05"), wallet=Wallet(solana=key), ledger=ledger)
        sandbox.fund(paying, "1")
        with x402_client.httpx.wrap(httpx.Client(), paying) as client:
            for _ in range(3):
                assert client.get(f"{sandbox.url}{way}/weather").status_code == 200
        assert len(sandbox.settlements) == 3
    assert ledger.steps == two + (two * 2 if isinstance(key, RemoteSigner) else ["reserve and record"] * 2)
