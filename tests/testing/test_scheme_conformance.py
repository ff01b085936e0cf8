"""The conformance classes for schemes, signers and readers: ours pass them, and each kind of mistake is noticed."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, ClassVar

import pytest
from eth_account import Account
from solders.keypair import Keypair
from solders.message import to_bytes_versioned
from solders.transaction import VersionedTransaction

from tests.buyer.vouchers import PAYER as VOUCHER_PAYER
from tests.buyer.vouchers import SECRET, Key, Voucher, is_by, offer
from tests.wire.terms import KEY, NETWORK, PAYER, SELLER, USDC
from x402_client import Token, Wallet, testing
from x402_client.buyer.schemes import SolanaChains
from x402_client.chains.evm import ZERO, recover
from x402_client.chains.rpc import Endpoints
from x402_client.chains.tokens import Tokens
from x402_client.core.asks import Ask, Fetch, Send, Sign, SignTyped
from x402_client.core.ports import Scheme
from x402_client.errors import SigningError
from x402_client.model.holds import Hold
from x402_client.model.networks import SOLANA_DEVNET
from x402_client.model.offers import Offer
from x402_client.model.signing import Signed, TypedData
from x402_client.sandbox import Sandbox
from x402_client.schemes.exact_evm import ExactEvm, typed_data
from x402_client.schemes.exact_solana import ExactSolana
from x402_client.schemes.permit2 import SPENDERS
from x402_client.schemes.permit2 import typed_data as permit2_data
from x402_client.schemes.upto_evm import UptoEvm
from x402_client.testing import (
    EvmSignerConformance,
    ReaderConformance,
    SchemeConformance,
    SolanaSignerConformance,
)
from x402_client.testing.examples import TEXTS, for_offers, for_texts

BUYER, RECEIVER, FEE_PAYER = (Keypair.from_seed(bytes([n]) * 32) for n in (1, 2, 3))


def known(network: str, asset: str) -> Token:
    found = Tokens().find(network, asset)
    assert found is not None
    return found


def exact(network: str, asset: str, pay_to: str, **changes: Any) -> Offer:
    token = known(network, asset)
    plain = Offer(1, 2, "exact", network, 10_000, token.address, pay_to, 60, token, token.price(10_000))
    return plain.but(written_network=network, **changes)


# --- what ships passes


class TestExactEvm(SchemeConformance):
    secrets = (KEY, KEY[2:])

    def make(self) -> Scheme:
        return ExactEvm(PAYER)

    def wallet(self) -> Wallet:
        return Wallet(evm=KEY)

    def sound(self) -> Sequence[Offer]:
        named = exact(NETWORK, USDC, SELLER, extra={"name": "USDC", "version": "2"})
        return [named, named.but(extra={"name": "Tether"}, timeout=None), named.but(amount=2**256 - 1, timeout=10**9)]

    def unsound(self) -> Sequence[Offer]:
        named = self.sound()[0]
        to = [named.but(pay_to=pay_to) for pay_to in (ZERO, PAYER, PAYER.lower(), USDC, "seller.eth")]
        return [*to, named.but(extra={"assetTransferMethod": "erc7710"}), named.but(extra={"paymentFlow": "escrow"})]

    def verify(self, offer: Offer, signed: Signed) -> None:
        said = signed.payload["authorization"]
        assert (said["to"], said["value"], said["nonce"]) == (offer.pay_to, str(offer.amount), signed.nonce)
        assert offer.token is not None
        data = typed_data(offer.token, said)
        assert recover(data.digest, bytes.fromhex(signed.payload["signature"][2:])) == PAYER == signed.payer


class ByPermit2(SchemeConformance):
    examples = 60
    secrets = (KEY, KEY[2:])
    extra: ClassVar[dict[str, Any]] = {"assetTransferMethod": "permit2"}

    def wallet(self) -> Wallet:
        return Wallet(evm=KEY)

    def plain(self) -> Offer:
        return exact(NETWORK, USDC, SELLER, scheme=self.scheme.name, extra=self.extra)

    def sound(self) -> Sequence[Offer]:
        plain = self.plain()
        return [plain, plain.but(amount=2**256 - 1, timeout=10**9), plain.but(timeout=None)]

    def unsound(self) -> Sequence[Offer]:
        plain = self.plain()
        to = [plain.but(pay_to=pay_to) for pay_to in (ZERO, PAYER, PAYER.lower(), USDC, "seller.eth")]
        said = [{"spender": SELLER}, {"permit2Address": SELLER}, {"paymentFlow": "escrow"}]
        return [*to, *(plain.but(extra=self.extra | one) for one in said)]

    def verify(self, offer: Offer, signed: Signed) -> None:
        said = signed.payload["permit2Authorization"]
        assert said["spender"] == SPENDERS[offer.scheme]
        assert (said["witness"]["to"], said["permitted"]["amount"]) == (offer.pay_to, str(offer.amount))
        assert (said["nonce"], said["deadline"]) == (signed.nonce, str(signed.expires))
        digest = permit2_data(offer.scheme, offer.network, said).digest
        assert recover(digest, bytes.fromhex(signed.payload["signature"][2:])) == PAYER == signed.payer


class TestExactByPermit2(ByPermit2):
    def make(self) -> Scheme:
        return ExactEvm(PAYER)


class TestUptoEvm(ByPermit2):
    extra: ClassVar[dict[str, Any]] = {"assetTransferMethod": "permit2", "facilitatorAddress": "0x" + "fa" * 20}

    def make(self) -> Scheme:
        return UptoEvm(PAYER)

    def unsound(self) -> Sequence[Offer]:
        odd: tuple[Any, ...] = (None, "", ZERO, PAYER, "me", 7, [])
        named = [self.plain().but(extra=self.extra | {"facilitatorAddress": one}) for one in odd]
        return [*super().unsound(), *named, self.plain().but(extra=self.extra | {"assetTransferMethod": "eip3009"})]


class TestExactSolana(SchemeConformance):
    examples = 60
    secrets = (str(BUYER),)
    sandbox: ClassVar[Sandbox]
    endpoints: ClassVar[Endpoints]

    @classmethod
    def setup_class(cls) -> None:
        cls.sandbox = Sandbox().start()
        cls.endpoints = Endpoints({SOLANA_DEVNET: (cls.sandbox.rpc[SOLANA_DEVNET],)})

    @classmethod
    def teardown_class(cls) -> None:
        for rpc in cls.endpoints:
            rpc.close()
        cls.sandbox.close()

    def make(self) -> Scheme:
        return ExactSolana(str(BUYER.pubkey()), SolanaChains(self.endpoints).of)

    def wallet(self) -> Wallet:
        return Wallet(solana=BUYER)

    def sound(self) -> Sequence[Offer]:
        plain = exact(SOLANA_DEVNET, "USDC", str(RECEIVER.pubkey()), extra={"feePayer": str(FEE_PAYER.pubkey())})
        memo = plain.but(extra={**plain.extra, "memo": "order 7"})
        return [plain, memo, plain.but(version=1, written_network="solana-devnet", amount=1)]

    def unsound(self) -> Sequence[Offer]:
        plain = self.sound()[0]
        extras: list[dict[str, Any]] = [{}, {"feePayer": 7}, {"feePayer": str(BUYER.pubkey())}]
        extras += [{**plain.extra, "memo": "a" * 257}, {**plain.extra, "memo": 1}]
        return [plain.but(extra=extra) for extra in extras] + [plain.but(pay_to="x"), plain.but(amount=2**64)]

    def verify(self, offer: Offer, signed: Signed) -> None:
        made = VersionedTransaction.from_bytes(base64.b64decode(signed.payload["transaction"]))
        assert made.signatures[1].verify(BUYER.pubkey(), to_bytes_versioned(made.message))
        assert str(made.message.account_keys[0]) == offer.extra["feePayer"]
        assert signed.payer == str(BUYER.pubkey())


class Vouchers(SchemeConformance):
    """A scheme of somebody else's."""

    examples = 60
    secrets = (SECRET,)

    def make(self) -> Scheme:
        return Voucher()

    def wallet(self) -> Wallet:
        return Wallet(further={"demo": Key()})

    def sound(self) -> Sequence[Offer]:
        return [offer(), offer(amount=2**256 - 1, timeout=None), offer(timeout=10**9)]

    def unsound(self) -> Sequence[Offer]:
        return [offer(pay_to=""), offer(pay_to=VOUCHER_PAYER)]

    def verify(self, offer: Offer, signed: Signed) -> None:
        voucher = signed.payload["voucher"]
        assert (voucher["to"], voucher["amount"]) == (offer.pay_to, str(offer.amount))
        assert is_by(signed.payer, bytes.fromhex(signed.payload["signature"]), voucher)


class TestVoucher(Vouchers):
    pass


# --- every kind of mistake is noticed


class Broken(Voucher):
    """Makes a payment and hands it over spoilt."""

    def spoilt(self, signed: Signed, offer: Offer) -> Any:
        return signed

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Any]:
        return self.spoilt((yield from super().sign(offer, validity)), offer)


def spoils(change: Callable[[Signed], Any]) -> type[Broken]:
    return type("Spoils", (Broken,), {"spoilt": lambda self, signed, offer: change(signed)})


def objects(answer: Callable[[Any, Offer], Any]) -> type[Voucher]:
    return type("Objects", (Voucher,), {"objection": answer})


class Counts(Voucher):
    """Judges the same offer otherwise each time."""

    count = 0

    def objection(self, offer: Offer) -> str | None:
        self.count += 1
        return super().objection(offer) or ("too often" if self.count > 3 else None)


class Sends(Voucher):
    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        signed = yield from super().sign(offer, validity)
        yield Send(("PAYMENT-SIGNATURE", signed.payload["signature"]))
        return signed


class ForgetsTheTypes(Voucher):
    """Believes that sellers write what the specification says."""

    def objection(self, offer: Offer) -> str | None:
        return super().objection(offer) or (None if offer.extra["kind"].startswith("gold") else "not gold")


class FailsWhileSigning(Voucher):
    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        (offer.timeout or 60).to_bytes(2)
        return (yield from super().sign(offer, validity))


class Shows(Voucher):
    last = ""

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        signed = yield from super().sign(offer, validity)
        self.last = signed.payload["signature"]
        return signed

    def __repr__(self) -> str:
        return f"Shows({self.last})"


class Trusts(Voucher):
    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        given = yield from Sign("demo", b"a voucher")
        return Signed({"signature": given.signature.hex()}, given.signature.hex(), self.payer, int(time.time()) + 60)


class OnceOnly(Voucher):
    """Signs the same nonce each time."""

    kept: Signed | None = None

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        self.kept = self.kept or (yield from super().sign(offer, validity))
        return self.kept


def but(**changes: Any) -> Callable[[Signed], Signed]:
    names = ("payload", "nonce", "payer", "expires", "evidence")
    return lambda signed: Signed(**{name: changes.get(name, getattr(signed, name)) for name in names})


BROKEN: dict[str, tuple[type, str]] = {
    "names another scheme": (type("Other", (Voucher,), {"name": "other"}), "names_itself"),
    "names another family": (type("Other", (Voucher,), {"family": "solana"}), "names_itself"),
    "objects to nothing": (objects(lambda self, offer: None), "objects_to_unsound"),
    "objects to everything": (objects(lambda self, offer: "no"), "objects_to_unsound"),
    "objects with False": (objects(lambda self, offer: False), "objects_to_unsound"),
    "objects by its own count": (Counts, "goes_by_the_offer_alone"),
    "remarks with a list": (type("R", (Voucher,), {"remark": lambda self, offer: []}), "remark_is_text"),
    "returns nothing": (spoils(lambda signed: None), "signs_what_is_offered"),
    "returns nothing, async": (spoils(lambda signed: None), "async_clients"),
    "returns a float": (spoils(but(expires=1e9)), "signs_what_is_offered"),
    "returns no nonce": (spoils(but(nonce="")), "signs_what_is_offered"),
    "returns no payer": (spoils(but(payer=b"me")), "signs_what_is_offered"),
    "returns bytes to send": (spoils(but(payload={"a": b"b"})), "signs_what_is_offered"),
    "keeps bytes as evidence": (spoils(but(evidence={"a": b"b"})), "signs_what_is_offered"),
    "signs for another": (spoils(but(payer="11" * 32)), "signs_what_is_offered"),
    "repeats a nonce": (OnceOnly, "nonce_of_its_own"),
    "is valid for ten years": (spoils(but(expires=int(time.time()) + 315_360_000)), "expires_in_time"),
    "has expired": (spoils(but(expires=int(time.time()) - 1)), "expires_in_time"),
    "does not look at signatures": (Trusts, "another_key"),
    "sends by itself": (Sends, "signatures_and_reads_only"),
    "shows its signature": (Shows, "shows_nowhere"),
    "keeps its signature as evidence": (
        spoils(lambda signed: but(evidence={"s": signed.payload["signature"]})(signed)), "shows_nowhere"
    ),
    "trusts the types of an offer": (ForgetsTheTypes, "hostile"),
    "fails while it signs": (FailsWhileSigning, "hostile"),
}  # fmt: skip


#: What a mistake shows as: an assertion that fails, or what the scheme itself raises where it must not.
BROKEN_BY = (AssertionError, AttributeError, TypeError, KeyError, OverflowError)


@pytest.mark.parametrize("without_hypothesis", [False, True])
@pytest.mark.parametrize(("scheme", "where"), BROKEN.values(), ids=BROKEN)
def test_a_broken_scheme_is_noticed(
    scheme: Callable[[], Scheme], where: str, without_hypothesis: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without_hypothesis:
        monkeypatch.setitem(sys.modules, "hypothesis", None)
    tests: Any = Vouchers.__new__(type("Mine", (Vouchers,), {"make": lambda self: scheme()}))
    (name,) = (name for name in dir(tests) if name.startswith("test_") and where in name)
    tests.setup_method()
    try:
        with pytest.raises(BROKEN_BY) as caught:
            getattr(tests, name)()
    finally:
        tests.teardown_method()
    assert not isinstance(caught.value, SigningError)


def test_what_strangers_send_is_tried_without_hypothesis_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    texts: list[str] = []
    for_texts(texts.append)
    assert tuple(texts) == TEXTS
    offers: list[Offer] = []
    for_offers(offers.append, offer())
    assert len(offers) > 100
    assert {one.token for one in offers} == {offer().token}
    json.dumps([dict(one.extra) for one in offers])


# --- signers


class TestHexKey(EvmSignerConformance):
    secrets = (KEY, KEY[2:])

    def make(self) -> Any:
        return KEY


class TestAccount(TestHexKey):
    def make(self) -> Any:
        return Account.from_key(KEY)


class TestAsyncEvmSigner(TestHexKey):
    def make(self) -> Any:
        class Remote:
            address = PAYER

            async def sign_typed_data(self, full_message: dict[str, Any]) -> Any:
                return Account.from_key(KEY).sign_typed_data(full_message=full_message).signature.hex()

        return Remote()


class TestSolanaKey(SolanaSignerConformance):
    secrets = (str(BUYER),)

    def make(self) -> Any:
        return str(BUYER)


class TestSolanaSigner(TestSolanaKey):
    def make(self) -> Any:
        class Vault:
            address = str(BUYER.pubkey())

            def sign_message(self, message: bytes) -> bytes:
                return bytes(BUYER.sign_message(message))

        return Vault()


class WrongKey:
    address = PAYER

    def sign_typed_data(self, full_message: dict[str, Any]) -> Any:
        return Account.from_key("0x" + "47" * 32).sign_typed_data(full_message=full_message).signature


class Changes(WrongKey):
    def sign_typed_data(self, full_message: dict[str, Any]) -> Any:
        signature = Account.from_key(KEY).sign_typed_data(full_message=full_message).signature
        full_message["message"]["value"] = 0
        return signature


@pytest.mark.parametrize(("signer", "where"), [(WrongKey, "by_its_address"), (Changes, "leaves_the_message")])
def test_a_broken_signer_is_noticed(signer: Callable[[], Any], where: str) -> None:
    tests: Any = EvmSignerConformance.__new__(type("Mine", (EvmSignerConformance,), {"make": lambda self: signer()}))
    (name,) = (name for name in dir(tests) if name.startswith("test_") and where in name)
    tests.setup_method()
    with pytest.raises(AssertionError):
        getattr(tests, name)()
    tests.teardown_method()


def test_a_scheme_gets_its_signature_by_the_wallets_key() -> None:
    data = typed_data(known(NETWORK, USDC), {**_MESSAGE, "from": PAYER})
    tests = TestHexKey()
    tests.setup_method()
    assert isinstance(data, TypedData)
    assert recover(data.digest, tests.sign(SignTyped(data))) == recover(
        data.digest, tests.sign_in_sync(SignTyped(data))
    )
    tests.teardown_method()


_MESSAGE = {"to": SELLER, "value": "1", "validAfter": "0", "validBefore": "1", "nonce": "0x" + "00" * 32}


# --- readers


class Book:
    """Knows what became of payments from a list."""

    def __init__(self, **known: str) -> None:
        self.known = known

    def read(self, hold: Hold) -> str:
        return self.known.get(hold.id, "unknown") if hold.authorization else "unknown"


class AsyncBook(Book):
    async def read(self, hold: Hold) -> str:  # type: ignore[override]
        return super().read(hold)


def held(name: str) -> Hold:
    from tests.buyer.test_schemes import paid

    return paid(0).but(id=name)


class TestBook(ReaderConformance):
    def make(self) -> Any:
        return Book(a="settled", b="not_settled")

    def settled(self) -> Sequence[Hold]:
        return [held("a")]

    def dead(self) -> Sequence[Hold]:
        return [held("b")]

    def alive(self) -> Sequence[Hold]:
        return [held("c")]


class TestAsyncBook(TestBook):
    def make(self) -> Any:
        return AsyncBook(a="settled", b="not_settled")


@pytest.mark.parametrize(
    ("reader", "where"),
    [
        (Book(b="not_settled"), "what_settled"),
        (Book(a="settled"), "expired_unused"),
        (Book(a="settled", b="not_settled", c="not_settled"), "can_settle_yet"),
        (Book(a="paid"), "what_settled"),
    ],
)
def test_a_broken_reader_is_noticed(reader: Book, where: str) -> None:
    tests = TestBook()
    tests.reader = reader
    (name,) = (name for name in dir(tests) if name.startswith("test_") and where in name)
    with pytest.raises(AssertionError):
        getattr(tests, name)()


def test_fetches_run_off_the_loop_and_their_failures_reach_the_scheme() -> None:
    class Reads(Voucher):
        def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
            try:
                yield from Fetch(lambda: 1 // 0)
            except ZeroDivisionError:
                return (yield from super().sign(offer, validity))
            raise AssertionError

    tests: Any = Vouchers.__new__(type("Mine", (Vouchers,), {"make": lambda self: Reads()}))
    tests.setup_method()
    tests.test_it_signs_what_is_offered()
    tests.test_async_clients_get_the_same()
    tests.teardown_method()


# --- the room


def test_what_is_named_is_there_and_nothing_is_loaded_before() -> None:
    program = "import sys, x402_client.testing as t; print(*[n for n in sys.modules if n.startswith('x402_client')])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) == {"x402_client", "x402_client.testing"}
    assert all(getattr(testing, name).__doc__ for name in testing.__all__)
    assert sorted(testing.__all__) == testing.__all__
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        testing.Nothing  # noqa: B018


def test_all_classes_but_the_adapters_need_neither_pytest_nor_hypothesis() -> None:
    program = """
import subprocess
import sys
sys.modules["pytest"] = sys.modules["hypothesis"] = None
import x402_client.testing as testing
names = [name for name in testing.__all__ if name != "AdapterConformance"]
print(*[getattr(testing, name).__name__ for name in names])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [name for name in testing.__all__ if name != "AdapterConformance"]
