"""Tests that every signer has to pass: subclass the class for its family of chains and run it with pytest."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..buyer.answers import Answers, AsyncAnswers
from ..buyer.buyer import Buyer
from ..buyer.wallet import Wallet
from ..chains.evm import checksum, is_address, personal_digest, recover
from ..chains.solana_address import is_address as is_solana_address
from ..core import asks
from ..core.delivery import NO_COURIER
from ..core.drive import arun, run
from ..model.money import Token
from ..model.signing import TypedData
from ..policy.policy import Policy
from ..schemes.exact_evm import typed_data

#: Two tokens. The name of the second is not ASCII, as on a few chains.
_TOKENS = (
    Token("eip155:8453", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "USDC", 6, "USD Coin", "2"),
    Token("eip155:14", "0xe7cd86e13AC4309349F30B3435a9d337750fC82D", "USDT0", 6, "USD\u20ae0", "1"),
)


class _SignerConformance(ABC):
    """Tests of a signer in a wallet. ``self.wallet`` is new in every test."""

    #: Texts that nothing may show: the key, in each form in which it was given.
    secrets: tuple[str, ...] = ()

    @abstractmethod
    def make(self) -> Any:
        """Return a key or a signer, as a wallet takes it."""

    @abstractmethod
    def in_wallet(self) -> Wallet:
        """Return a wallet with the signer."""

    def setup_method(self) -> None:
        """Make a wallet with the signer that is tested, and a buyer."""
        self.wallet: Wallet = self.in_wallet()
        self.buyer: Buyer = Buyer(self.wallet, Policy(per_request="1"), ledger=":memory:")

    def teardown_method(self) -> None:
        """Close the buyer."""
        self.buyer.close()

    def sign(self, ask: asks.Ask[asks.SignatureGiven]) -> bytes:
        """Sign as an async client does. It takes sync and async signers."""
        import anyio

        return anyio.run(lambda: arun(_asking(ask), AsyncAnswers(self.buyer.services, NO_COURIER)))

    def sign_in_sync(self, ask: asks.Ask[asks.SignatureGiven]) -> bytes:
        """Sign as a sync client does."""
        return run(_asking(ask), Answers(self.buyer.services, NO_COURIER))

    def test_its_key_shows_nowhere(self) -> None:
        shown = repr(self.wallet) + repr(self.buyer)
        assert not any(secret in shown for secret in self.secrets)


def _asking(ask: asks.Ask[asks.SignatureGiven]) -> Generator[asks.Ask[Any], Any, bytes]:
    given = yield from ask
    return given.signature


class EvmSignerConformance(_SignerConformance):
    """Tests of a signer for EVM chains: anything that ``Wallet(evm=...)`` takes."""

    def in_wallet(self) -> Wallet:
        """Return a wallet with the signer."""
        return Wallet(evm=self.make())

    @property
    def address(self) -> str:
        """Return the signer's address."""
        found: str = self.wallet.signer("eip155").address
        return found

    def test_its_address_is_one(self) -> None:
        assert is_address(self.address)
        assert self.address == checksum(self.address)
        assert self.in_wallet().signer("eip155").address == self.address

    def test_its_signatures_are_by_its_address(self) -> None:
        for data in (_transfer(self.address, amount, token) for amount in (0, 1, 2**256 - 1) for token in _TOKENS):
            signature = self.sign(asks.SignTyped(data))
            assert len(signature) == 65
            assert recover(data.digest, signature) == self.address

    def test_it_signs_what_it_is_given_and_nothing_else(self) -> None:
        one, other = (_transfer(self.address, amount) for amount in (1, 2))
        signature = self.sign(asks.SignTyped(one))
        assert recover(other.digest, signature) != self.address
        assert recover(one.digest, self.sign(asks.SignTyped(one))) == self.address

    def test_it_signs_a_text_for_a_sign_in_or_says_that_it_does_not(self) -> None:
        """``sign_message`` is optional. The text has more bytes than letters."""
        if "eip155" not in self.wallet.readers:
            return
        text = "api.example.com wants you to sign in.\n\nZürich".encode()
        assert recover(personal_digest(text), self.sign(asks.SignText(text))) == self.address
        assert recover(personal_digest(text + b"!"), self.sign(asks.SignText(text))) != self.address
        if not self.wallet.async_only:
            assert recover(personal_digest(text), self.sign_in_sync(asks.SignText(text))) == self.address

    def test_it_leaves_the_message_as_it_is(self) -> None:
        data = _transfer(self.address)
        document = data.full()
        before = copy.deepcopy(document)
        self.sign(asks.SignTyped(TypedData(data.digest, lambda: document)))
        assert document == before

    def test_it_signs_for_several_threads_at_once(self) -> None:
        data = [_transfer(self.address, amount) for amount in range(1, 9)]
        with ThreadPoolExecutor(4) as pool:
            signatures = list(pool.map(lambda one: self.sign(asks.SignTyped(one)), data))
        assert [recover(one.digest, mine) for one, mine in zip(data, signatures, strict=True)] == [self.address] * 8

    def test_sync_clients_can_use_it_or_are_told(self) -> None:
        data = _transfer(self.address)
        if self.wallet.async_only:
            return
        assert recover(data.digest, self.sign_in_sync(asks.SignTyped(data))) == self.address


class SolanaSignerConformance(_SignerConformance):
    """Tests of a signer for Solana: anything that ``Wallet(solana=...)`` takes."""

    def in_wallet(self) -> Wallet:
        """Return a wallet with the signer."""
        return Wallet(solana=self.make())

    @property
    def address(self) -> str:
        """Return the signer's address."""
        found: str = self.wallet.signer("solana").address
        return found

    def test_its_address_is_one(self) -> None:
        assert is_solana_address(self.address)
        assert self.in_wallet().signer("solana").address == self.address

    def test_its_signatures_are_by_its_address(self) -> None:
        for message in (b"\x80", b"a" * 32, bytes(range(256)) * 4):
            assert self._is_mine(self.sign(asks.SignMessage(message)), message)

    def test_it_signs_what_it_is_given_and_nothing_else(self) -> None:
        assert not self._is_mine(self.sign(asks.SignMessage(b"one")), b"other")

    def test_it_signs_for_several_threads_at_once(self) -> None:
        messages = [bytes([number]) * 100 for number in range(8)]
        with ThreadPoolExecutor(4) as pool:
            signatures = list(pool.map(lambda message: self.sign(asks.SignMessage(message)), messages))
        assert all(map(self._is_mine, signatures, messages))

    def test_sync_clients_can_use_it_or_are_told(self) -> None:
        if not self.wallet.async_only:
            assert self._is_mine(self.sign_in_sync(asks.SignMessage(b"one")), b"one")

    def _is_mine(self, signature: bytes, message: bytes) -> bool:
        from solders.pubkey import Pubkey
        from solders.signature import Signature

        return Signature.from_bytes(signature).verify(Pubkey.from_string(self.address), message)


def _transfer(payer: str, amount: int = 10_000, token: Token = _TOKENS[0]) -> TypedData:
    message = {
        "from": payer,
        "to": "0x" + "5e" * 20,
        "value": str(amount),
        "validAfter": "0",
        "validBefore": str(2**40),
        "nonce": "0x" + "ab" * 32,
    }
    return typed_data(token, message)
