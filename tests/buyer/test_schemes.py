"""Payment schemes and families of chains of somebody else's: taken, paid with, and never in the place of ours."""

from __future__ import annotations

import itertools
import time
import traceback
from collections.abc import Generator, Iterator
from typing import Any

import anyio
import httpx
import pytest
import requests

import x402_client.httpx as httpx_face
import x402_client.requests as requests_face
from tests.wire.terms import KEY, ORIGIN, quoted
from tests.wire.terms import PAYER as EVM_PAYER
from tests.wire.terms import entry as evm_entry
from x402_client import Buyer, Policy, Token, Wallet, errors
from x402_client.buyer import settlement_reader
from x402_client.chains.settlement import ChainReader
from x402_client.core import ChainFamily, Scheme
from x402_client.core.asks import Fetch, SignTyped
from x402_client.model.holds import Authorization, Hold, Purchase
from x402_client.model.offers import Offer, Quote
from x402_client.model.signing import Signed
from x402_client.policy.choice import Mandate, choose, pick
from x402_client.schemes.exact_evm import ExactEvm, typed_data
from x402_client.wire.bounds import DEFAULT

from .vouchers import GOLD, NETWORK, PAYER, SECRET, SELLER, TOKEN, AsyncKey, Demo, Key, Till, Voucher, entry, offer

ConfigurationError = errors.ConfigurationError


def follows(scheme: Scheme, family: ChainFamily) -> None:
    """Do nothing: type checkers see here that the two follow the protocols."""


follows(Voucher(), Demo())


def buyer(scheme: Any = None, key: Any = None, **more: Any) -> Buyer:
    wallet = more.pop("wallet", None) or Wallet(further={"demo": key or Key()})
    policy = more.pop("policy", None) or Policy(per_request="0.10", tokens=[TOKEN])
    schemes = more.pop("schemes", [scheme or Voucher()])
    return Buyer(wallet, policy, **{"ledger": ":memory:", "schemes": schemes, **more})


def judged(paying: Buyer, *entries: dict[str, Any], mandate: Mandate | None = None) -> Quote:
    rules = paying.rules
    about = (quoted(*entries), rules.policy, ORIGIN, rules.means, mandate or Mandate(), DEFAULT)
    assert pick(*about) == choose(*about).choice
    return choose(*about)


def reason(paying: Buyer, **changes: Any) -> str | None:
    return judged(paying, entry(**changes)).offers[0].reason


@pytest.fixture
def till() -> Iterator[Till]:
    with Till().open() as opened:
        yield opened


# --- paying with one


def test_httpx_pays_with_it(till: Till) -> None:
    paying = buyer()
    with httpx_face.wrap(httpx.Client(), paying) as client:
        response = client.get(till.url)
    outcome = response.extensions["x402"]
    assert (response.text, outcome.money, len(till.taken)) == ("ok", "spent", 1)
    assert outcome.hold.nonce == till.taken[0]["nonce"]
    assert outcome.hold.authorization.payer == PAYER
    assert str(paying.spent()) == "0.05 USD"
    assert paying.holds() == ()


def test_requests_pays_with_it(till: Till) -> None:
    with requests_face.wrap(requests.Session(), buyer()) as session:
        assert session.get(till.url, timeout=5).text == "ok"
    assert len(till.taken) == 1


@pytest.mark.parametrize("key", [Key(), Key(blocking=False), AsyncKey()], ids=["blocking", "at once", "async"])
def test_async_httpx_pays_with_it(till: Till, key: Any) -> None:
    async def main() -> str:
        async with httpx_face.wrap(httpx.AsyncClient(), buyer(key=key)) as client:
            return (await client.get(till.url)).text

    assert anyio.run(main) == "ok"
    assert len(till.taken) == 1
    if isinstance(key, Key):  # what may block does not block the loop
        assert ("MainThread" in key.threads) is not key.blocking


def test_a_file_keeps_its_holds_and_the_same_request_presents_them(tmp_path: Any) -> None:
    with Till(status=503).open() as till:
        paying = buyer(ledger=str(tmp_path / "spend.db"))
        with httpx_face.wrap(httpx.Client(), paying) as client:
            assert client.get(till.url).status_code == 503
            with pytest.raises(errors.PaymentRejected):  # the seller takes each voucher once
                client.get(till.url)
        (hold,) = paying.holds()
        paying.close()
    (again,) = buyer(ledger=str(tmp_path / "spend.db")).holds()
    assert (again.offer, again.nonce) == (hold.offer, till.taken[0]["nonce"])
    assert len(till.taken) == 1


@pytest.mark.parametrize(("payer", "money"), [(PAYER.upper(), "spent"), (None, "spent"), (SELLER, "unknown")])
def test_a_receipts_payer_is_compared_as_the_family_does(payer: str | None, money: str) -> None:
    with Till(payer=payer).open() as till, httpx_face.wrap(httpx.Client(), buyer()) as client:
        assert client.get(till.url).extensions["x402"].money == money


def test_a_family_that_fails_on_a_receipt_loses_no_answer() -> None:
    class Fragile(Demo):
        def canonical(self, address: str) -> str:
            return bytes.fromhex(address).hex()

    class Fails(Voucher):
        family = Fragile()

    with Till(payer="not hex").open() as till, httpx_face.wrap(httpx.Client(), buyer(Fails())) as client:
        response = client.get(till.url)
        assert (response.text, response.extensions["x402"].money) == ("ok", "unknown")


# --- which are taken


class OnEvm(Voucher):
    """Another scheme on a family that ships, with the wallet's own key."""

    family = "eip155"

    def objection(self, offer: Offer) -> str | None:
        return None

    def sign(self, offer: Offer, validity: int) -> Generator[Any, Any, Signed]:
        message = {"from": EVM_PAYER, "to": offer.pay_to, "value": str(offer.amount), "validAfter": "0"}
        message |= {"validBefore": str(2**40), "nonce": "0x" + "00" * 32}
        assert offer.token is not None
        given = yield from SignTyped(typed_data(offer.token, message))
        return Signed({"signature": given.signature.hex()}, given.signature.hex(), EVM_PAYER, int(time.time()) + 60)


def test_a_scheme_may_add_to_a_family_that_ships() -> None:
    paying = buyer(OnEvm(), wallet=Wallet(evm=KEY), policy=Policy(per_request="1"))
    quote = judged(paying, evm_entry(scheme="voucher"), evm_entry(scheme="voucher", network="solana"), evm_entry())
    assert quote.choice is not None
    assert (quote.choice.scheme, quote.choice.position) == ("voucher", 1)
    assert set(paying.rules.schemes) == {("exact", "eip155"), ("upto", "eip155"), ("voucher", "eip155")}


def changed(**members: Any) -> Any:
    return type("Mine", (Voucher,), members)()


class NotOne:
    name, family = "voucher", "demo"
    objection = None


MISTAKES = {
    "ours": ([ExactEvm(EVM_PAYER)], "'exact' on 'eip155' ships with the package and is not replaced"),
    "ours on Solana": ([changed(name="exact", family="solana")], "'exact' on 'solana' ships"),
    "twice": ([Voucher(), Voucher()], "has 'voucher' on 'demo' twice"),
    "a class": ([Voucher], r"schemes holds objects: Voucher\(...\), not the class Voucher"),
    "not a list": (Voucher(), "schemes is a list of payment schemes, not Voucher"),
    "a name": ("voucher", "schemes is a list of payment schemes, not str"),
    "names": (["voucher"], "str is not a payment scheme; it has no method objection and no method remark and no"),
    "what lacks methods": (
        [NotOne()],
        "NotOne is not a payment scheme; it has no method objection and no method remark",
    ),
    "without a name": ([changed(name="")], "Mine is not a payment scheme; it has no name"),
    "without a family": ([changed(family=None)], "Mine is not a payment scheme; it has no family"),
    "a network for a family": ([changed(family="eip155:8453")], "'eip155:8453' is not one"),
    "our family as an object": ([changed(family=type("F", (Demo,), {"name": "eip155"})())], "'eip155' ships"),
    "a family in two objects": (
        [Voucher(), changed(name="other", family=Demo())],
        "'demo' is described by two objects",
    ),
    "the class of a family": ([changed(family=Demo)], r"A chain family is an object: Demo\(\)"),
    "no family at all": (
        [changed(family=object())],
        "object is not a ChainFamily; it has no is_address and no canonical",
    ),
    "an odd name of a family": ([changed(family=type("F", (Demo,), {"name": "Demo:1"})())], "F is not a ChainFamily"),
}


@pytest.mark.parametrize(("schemes", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_when_the_buyer_is_built(schemes: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        buyer(schemes=schemes)


def test_an_async_sign_is_named_when_the_buyer_is_built() -> None:
    async def coroutine(self: Any, offer: Offer, validity: int) -> Any: ...

    async def generator(self: Any, offer: Offer, validity: int) -> Any:
        yield

    for sign in (coroutine, generator):
        with pytest.raises(ConfigurationError, match=r"Mine\.sign is async"):
            buyer(changed(sign=sign))


def test_one_family_serves_several_schemes() -> None:
    assert set(buyer(schemes=[Voucher(), changed(name="other")]).rules.schemes) == {
        ("voucher", "demo"),
        ("other", "demo"),
    }


def test_a_scheme_may_name_a_family_of_which_nothing_is_known() -> None:
    paying = buyer(changed(family="demo"), policy=Policy(per_request="1", tokens=[TOKEN], pay_to=SELLER.upper()))
    assert reason(paying) is not None  # letter by letter
    assert judged(paying, entry(payTo=SELLER.upper())).choice is not None


# --- why an offer is passed over


def test_the_reason_says_what_is_missing() -> None:
    gold = [TOKEN, Token("eip155:8453", "0x" + "6a" * 20, "GOLD"), Token("other:1", "gold", "GOLD")]
    paying = buyer(policy=Policy(per_request="1", tokens=gold))
    assert reason(paying) is None
    assert reason(paying, scheme="exact") == "payment scheme 'exact' is not supported on demo:1"
    assert reason(paying, scheme="barter") == "payment scheme 'barter' is not supported"
    assert reason(paying, network="eip155:8453", asset="GOLD") == "payment scheme 'voucher' is not supported on base"
    assert reason(paying, network="other:1", asset="GOLD") == "payment scheme 'voucher' is not supported on other:1"
    assert reason(paying, network="eip155:8453", asset="GOLD", scheme="exact") == "the wallet has no key for base"
    assert reason(paying, payTo="nobody") == "payTo is not an address"
    assert reason(paying, asset="silver") == (
        "silver on demo:1 is not a token this buyer knows; Policy(tokens=[Token(...)]) vouches for one"
    )


def test_a_scheme_that_fails_on_one_offer_leaves_the_others() -> None:
    class Fails(Voucher):
        def objection(self, offer: Offer) -> str | None:
            return None if offer.extra["kind"] == "gold" else str(1 / 0)

    quote = judged(buyer(Fails()), entry(extra={}), entry(extra={"kind": 0}), entry(amount="6"))
    assert [one.reason for one in quote.offers] == [
        "payment scheme 'voucher' failed on it with KeyError",
        "payment scheme 'voucher' failed on it with ZeroDivisionError",
        None,
    ]


@pytest.mark.parametrize("pinned", [SELLER, SELLER.upper()])
def test_pay_to_is_compared_as_the_family_does(pinned: str) -> None:
    paying = buyer(policy=Policy(per_request="1", tokens=[TOKEN], pay_to=[PAYER, pinned]))
    assert reason(paying) is None
    assert reason(paying, payTo=SELLER.upper()) is None
    assert "pinned by the policy's pay_to" in str(reason(paying, payTo="77" * 32))


def test_assets_and_tokens_are_found_as_the_family_does() -> None:
    paying = buyer(policy=Policy(per_request="1", tokens=[TOKEN], assets=[GOLD.upper()]))
    assert reason(paying, asset=GOLD.upper()) is None
    assert reason(paying, asset="gold") is None
    assert paying.means.token(NETWORK, GOLD.upper()) == TOKEN


def test_frozen_terms_are_compared_as_the_family_does() -> None:
    paying = buyer()
    frozen = Mandate(quote=judged(paying, entry()))
    assert judged(paying, entry(payTo=SELLER.upper(), asset=GOLD.upper()), mandate=frozen).choice is not None
    assert judged(paying, entry(payTo="77" * 32), mandate=frozen).choice is None
    assert judged(paying, entry(scheme="other"), mandate=frozen).choice is None


def test_a_token_is_held_against_its_family_when_the_buyer_is_built() -> None:
    wrong = Token(NETWORK, "gold", "GOLD")
    with pytest.raises(ConfigurationError, match="'gold' is not an address on demo:1"):
        buyer(policy=Policy(per_request="1", tokens=[wrong]))

    class Words(Demo):
        def token_problem(self, token: Token) -> str | None:
            return None if token.address.isalpha() else "A token here is a word."

    with pytest.raises(ConfigurationError, match="A token here is a word"):
        buyer(changed(family=Words()))
    assert buyer(changed(family=Words()), policy=Policy(per_request="1", tokens=[wrong]))


# --- signing


def refused(scheme: Any, till: Till, **more: Any) -> errors.X402Error:
    paying = buyer(scheme, **more)
    with httpx_face.wrap(httpx.Client(), paying) as client, pytest.raises(errors.X402Error) as caught:
        client.get(till.url)
    assert (str(paying.spent()), paying.holds(), till.taken) == ("0.00 USD", (), [])
    assert caught.value.money == "untouched"
    return caught.value


def result(value: Any) -> Any:
    def sign(self: Any, offer: Offer, validity: int) -> Any:
        return value
        yield

    return changed(sign=sign)


GOOD = ({"a": 1}, "nonce", PAYER, 2**31)


@pytest.mark.parametrize(
    "returned",
    [
        None,
        GOOD,
        Signed(GOOD[0], "", *GOOD[2:]),
        Signed(*GOOD[:3], 1e9),
        Signed(*GOOD[:2], None, 1),
        Signed(*GOOD[:3], 0),
        Signed(*GOOD[:3], 10**30),
        Signed(*GOOD, None),
    ],  # type: ignore[arg-type]
)
def test_what_is_not_a_payment_is_not_recorded(till: Till, returned: Any) -> None:
    assert "did not return a Signed" in str(refused(result(returned), till))


def test_a_payload_that_is_not_json_is_not_recorded(till: Till) -> None:
    assert "cannot be written as JSON" in str(refused(result(Signed({"a": object()}, *GOOD[1:])), till))


def test_a_scheme_that_fails_gives_the_budget_back(till: Till) -> None:
    def sign(self: Any, offer: Offer, validity: int) -> Any:
        yield from Fetch(lambda: 1 // 0)

    failure = refused(changed(sign=sign), till)
    assert "Signing failed with ZeroDivisionError" in str(failure)
    assert isinstance(failure, errors.SigningError)


@pytest.mark.parametrize("returned", [None, "", b"", 64, "00" * 64, bytes(64)])
def test_a_signers_answer_is_checked(till: Till, returned: Any) -> None:
    key = Key()
    key.sign = lambda data: returned  # type: ignore[method-assign]
    failure = refused(Voucher(), till, key=key)
    assert isinstance(failure, errors.SigningError)
    assert "Nothing was sent" in str(failure)


def test_a_key_that_the_wallet_has_not_is_named(till: Till) -> None:
    failure = refused(Voucher(), till, wallet=Wallet(evm=KEY))
    assert "asked for a signature on 'demo'" in str(failure)


def test_a_sync_client_with_an_async_signer_is_told_when_it_is_wrapped() -> None:
    paying = buyer(key=AsyncKey())
    with pytest.raises(ConfigurationError, match="the demo signer of this buyer is async"):
        httpx_face.wrap(httpx.Client(), paying)


# --- the wallet


def test_a_wallet_shows_the_address_and_never_the_key() -> None:
    wallet = Wallet(evm=KEY, further={"demo": Key()})
    assert repr(wallet) == f"Wallet(evm={EVM_PAYER}, demo={PAYER})"
    assert wallet.signer("demo").address == PAYER
    assert wallet.signer("eip155").address == EVM_PAYER
    assert wallet.signer("solana") is wallet.signer("other") is None
    assert SECRET not in repr(wallet.signer("demo"))


@pytest.mark.parametrize(
    ("further", "words"),
    [
        ({"demo": SECRET}, "A signer for 'demo' is an object with an `address`"),
        ({SECRET: "demo"}, "maps families of chains to signers"),
        ([SECRET], "maps families of chains to signers"),
        (SECRET, "maps families of chains to signers"),
        ({"demo": Key}, "A signer for 'demo'"),
        ({"eip155": SECRET}, r"given as Wallet\(evm=...\)"),
        ({"evm": SECRET}, r"given as Wallet\(evm=...\)"),
        ({"solana": SECRET}, r"given as Wallet\(solana=...\)"),
        ({}, "A wallet needs a key"),
    ],
)
def test_a_mistaken_signer_is_named_and_never_shown(further: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Wallet(further=further)
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__) if "x402_client" in str(frame)]
    shown = str(caught.value) + "".join(repr(list(frame.f_locals.values())) for frame in frames)
    assert SECRET not in shown
    assert caught.value.__context__ is None


# --- did it settle?


def paid(expires: float, offered: Offer | None = None) -> Hold:
    offered = offered or offer()
    assert offered.price is not None
    signed = Authorization("ab" * 16, PAYER, int(expires), ("", ""))
    purchase = Purchase("a", "a", False, "GET", "https://api.example.com/", ORIGIN)
    return Hold("a", purchase, offered, offered.price, 0.0, "signed", "unknown", signed)


class Looks(Voucher):
    """Knows what became of its payments."""

    said = "not_settled"

    def look(self, rpc: Any, hold: Hold, signed: Authorization) -> Any:
        return self.said


class LooksItself(Demo):
    def look(self, rpc: Any, hold: Hold, signed: Authorization) -> Any:
        return rpc.urls[0].rpartition("/")[2]


RPC = {NETWORK: ["http://127.0.0.1:9/settled", "http://127.0.0.1:9/unknown"]}


def test_of_an_unknown_family_nobody_can_tell() -> None:
    hold = paid(time.time() - 10_000)
    for known in (buyer(rpc=RPC), buyer(changed(family="demo"), rpc=RPC), buyer(wallet=Wallet(evm=KEY), schemes=())):
        assert settlement_reader.read(known.reader, hold) == "unknown"


def test_a_scheme_or_its_family_can_tell() -> None:
    long_ago, just_now = paid(time.time() - 10_000), paid(time.time() - 2)
    looking = buyer(Looks(), rpc=RPC)
    assert settlement_reader.read(looking.reader, long_ago) == "not_settled"
    assert settlement_reader.read(looking.reader, just_now) == "unknown"  # too early for anybody's word but the chain's
    assert settlement_reader.read(buyer(Looks()).reader, long_ago) == "unknown"  # there is no endpoint to ask
    assert settlement_reader.read(buyer(changed(family=LooksItself()), rpc=RPC).reader, long_ago) == "settled"
    assert settlement_reader.read(
        buyer(type("Both", (Looks,), {"family": LooksItself()})(), rpc=RPC).reader, long_ago
    ) == ("not_settled")


@pytest.mark.parametrize("said", [None, "", "paid", 1, "unknown"])
def test_a_look_that_says_nothing_gives_nothing_back(said: Any) -> None:
    looks = Looks()
    looks.said = said
    assert settlement_reader.read(buyer(looks, rpc=RPC).reader, paid(0)) == "unknown"


def test_the_look_of_a_family_that_ships_is_not_asked_about_other_schemes() -> None:
    """A token's contract knows nothing of a voucher: it would say that the authorization is unused."""
    (evm,) = quoted(evm_entry(scheme="voucher")).offers
    token = buyer(OnEvm(), wallet=Wallet(evm=KEY)).means.token(evm.network, evm.asset)
    assert token is not None
    hold = paid(0, evm.judged(token, token.price(evm.amount), None))
    asked = itertools.count()

    class Line:
        def call(self, *_: Any) -> Any:
            next(asked)
            return {"timestamp": "0xffffffff", "number": "0x1"}

    class Endpoints:
        def each(self, network: str) -> list[Any]:
            return [Line()]

    means = buyer(OnEvm(), wallet=Wallet(evm=KEY)).means
    assert ChainReader(Endpoints(), means.look).read(hold) == "unknown"  # type: ignore[arg-type]
    assert ChainReader(Endpoints()).read(hold) == "unknown"  # type: ignore[arg-type]
    assert next(asked) == 0


def test_reconcile_gives_back_what_its_scheme_saw_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    with Till(status=503).open() as till:
        paying = buyer(Looks(), rpc=RPC)
        with httpx_face.wrap(httpx.Client(), paying) as client:
            assert client.get(till.url).status_code == 503
        assert str(paying.spent()) == "0.05 USD"
        later = time.time() + 10_000
        monkeypatch.setattr("x402_client.buyer.settlement_reader.time.time", lambda: later)
        found = paying.reconcile()
        assert (len(found.released), str(paying.spent())) == (1, "0.00 USD")
