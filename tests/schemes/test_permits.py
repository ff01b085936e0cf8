"""Permits: recorded vectors, eth-account's own encoder as a witness, hostile asks, and one at a time."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.scripted_flow import SIGNER, signature
from tests.schemes.test_exact_evm import addresses, uints, witness
from tests.schemes.test_permit2 import SCHEMES, an_endpoint, both, offered
from tests.wire.terms import NETWORK, PAYER, USDC
from x402_client import Token
from x402_client.chains.evm import recover
from x402_client.chains.rpc import Reverted
from x402_client.chains.token_permits import PermitFacts
from x402_client.chains.tokens import SHIPPED
from x402_client.core import asks
from x402_client.core.drive import run
from x402_client.errors import Frozen, InsufficientFunds, LedgerUnavailable, PaymentNotSent, SigningError
from x402_client.ledgers.memory import MemoryLedger
from x402_client.model.budgets import PERMITS
from x402_client.model.offers import Offer
from x402_client.model.signing import Signed
from x402_client.schemes.permit2 import PERMIT2
from x402_client.schemes.permits import KEY, TRANSACTION_KEY, permit_data, permit_objection
from x402_client.schemes.token_domain import separator
from x402_client.signers import ContractSigner

DOMAIN = ("USDC", "2", 84532, USDC)
MESSAGE = {"owner": PAYER, "spender": PERMIT2, "value": 10_000, "nonce": 3, "deadline": 1_800_000_000}
#: Key 0x4646…, the message above. Digest, then signature.
VECTOR = (
    "010a320987e8f4c465ebb685fcd3991eaa6ec94665fe07967f19d41de2b3e914",
    "e2dbf35e3616bb8b8dcc1cf97228f9449ac5659c26adc249987f42f19322d369"
    "5fe1e46f9fdc11ed5132924f7a0772ac64de501ed2f457d3f99b822f2c46c1e91b",
)
TAKEN = {KEY: {"info": {"description": "words", "version": "1"}, "schema": {}}}


def sponsored(scheme: str = "exact", info: dict[str, Any] | None = None, **changes: Any) -> Offer:
    found = {KEY: {**TAKEN[KEY], "info": {**TAKEN[KEY]["info"], **(info or {})}}}
    offer = offered(scheme, **changes)
    return offer.but(sponsoring=found, price=offer.token and offer.token.price(offer.amount))


class Ground:
    """Answers a scheme's asks: a chain where nothing is approved, and a ledger."""

    def __init__(self, have: int = 0, nonce: int = 3, domain: tuple[Any, ...] = DOMAIN, seconds: float = 0.0) -> None:
        self.ledger, self.have, self.seconds = MemoryLedger(), have, seconds
        self.facts: Any = PermitFacts(nonce, separator(*domain), int(time.time()))
        self.failing: dict[type[Any], Exception] = {}
        self.signed: list[Any] = []
        #: What is found where the chain is asked once more. None: it is not asked.
        self.again: tuple[int, list[Any]] | None = None
        self._fetched, self.vouched = 0, False

    def sign(self, offer: Offer, **scheme: Any) -> Signed:
        self._fetched, self.vouched = 0, offer.token not in SHIPPED
        made = SCHEMES[offer.scheme](PAYER, an_endpoint, **scheme)
        signed: Signed = run(made.sign(offer, 600), self.answer)
        return signed

    def answer(self, ask: asks.Ask[Any]) -> Any:
        if type(ask) in self.failing:
            raise self.failing[type(ask)]
        if isinstance(ask, asks.Fetch):
            self._fetched += 1
            again = [] if self.again is None else [self.again]
            found = [*([6] if self.vouched else []), (100, self.have), *again, self.facts][self._fetched - 1]
            if isinstance(found, Exception):
                raise found
            return found
        if isinstance(ask, asks.SignTyped):
            self.signed.append(ask.data.full())
            return signature(ask, self.seconds)
        return LEDGER[type(ask)](self.ledger, ask)


LEDGER: dict[type[Any], Any] = {
    asks.Holds: lambda ledger, ask: ledger.holds(),
    asks.Reserve: lambda ledger, ask: ledger.reserve(ask.order, ask.attempt),
    asks.Record: lambda ledger, ask: ledger.record(ask.hold, ask.authorization),
    asks.Release: lambda ledger, ask: ledger.release(ask.hold),
    asks.Conclude: lambda ledger, ask: ledger.conclude(ask.hold, ask.settled),
}


def test_a_recorded_signature() -> None:
    data = permit_data(DOMAIN, MESSAGE)
    signed = SIGNER.sign(data)
    assert (data.digest.hex(), signed.hex()) == VECTOR
    assert witness(data.full()) == (data.digest, signed)


@settings(max_examples=40)
@given(st.text(max_size=40), st.integers(1, 2**63), addresses, addresses, uints, uints, uints)
def test_the_hand_packed_digest_is_the_general_one(
    name: str, chain: int, asset: str, spender: str, value: int, nonce: int, deadline: int
) -> None:
    message = MESSAGE | {"spender": spender, "value": value, "nonce": nonce, "deadline": deadline}
    data = permit_data((name, "2", chain, asset), message)
    assert witness(data.full())[0] == data.digest
    assert json.loads(json.dumps(data.full())) == data.full()


@both
def test_a_permit_of_exactly_the_price_goes_along_and_is_recorded(scheme: str) -> None:
    ground = Ground()
    signed = ground.sign(sponsored(scheme))
    info = signed.extensions[KEY]
    expires = signed.payload["permit2Authorization"]["deadline"]
    assert {name: info[name] for name in ("from", "asset", "spender", "amount", "nonce", "deadline", "version")} == {
        "from": PAYER, "asset": USDC, "spender": PERMIT2, "amount": "10000", "nonce": "3", "deadline": expires,
        "version": "1",
    }  # fmt: skip
    message = MESSAGE | {"deadline": int(expires)}
    raw = bytes.fromhex(info["signature"][2:])
    assert recover(permit_data(DOMAIN, message).digest, raw) == PAYER
    [kept] = ground.ledger.holds(PERMITS)
    record = kept.authorization
    assert record is not None
    assert (record.kind, record.nonce, record.ceiling, record.expires) == ("permit", "3", 10_000, int(expires))
    assert record.evidence["payment"] == signed.nonce
    assert record.header == ("", "")
    assert (kept.price.units, ground.ledger.holds()) == (0, ()), "the money counts in the payment's hold alone"
    assert info["signature"] not in repr(signed) + repr(kept)


@pytest.mark.parametrize("have", [10_000, 10**12, 2**256 - 1])
def test_an_allowance_that_is_there_is_used(have: int) -> None:
    ground = Ground(have)
    assert ground.sign(sponsored()).extensions == {}
    assert [one["primaryType"] for one in ground.signed] == ["PermitWitnessTransferFrom"]


def test_one_nonce_is_signed_once_until_it_is_over_by_the_chains_clock() -> None:
    ground = Ground()
    expires = ground.sign(sponsored()).expires
    with pytest.raises(PaymentNotSent, match=r"takes one at a time\. It is good until") as waits:
        ground.sign(sponsored("upto"))
    assert waits.value.instead == "wait"
    ground.facts = ground.facts._replace(time=expires)
    with pytest.raises(PaymentNotSent):
        ground.sign(sponsored())
    ground.facts = ground.facts._replace(time=expires + 1)
    assert KEY in ground.sign(sponsored()).extensions
    ground.facts = ground.facts._replace(nonce=4)
    assert ground.sign(sponsored()).extensions[KEY]["nonce"] == "4"


def test_while_one_is_being_signed_another_waits() -> None:
    ground, other = Ground(), None
    inner = ground.answer

    def answer(ask: Any) -> Any:
        nonlocal other
        if isinstance(ask, asks.SignTyped) and other is None:
            other = Ground()
            other.ledger = ground.ledger
            with pytest.raises(PaymentNotSent, match="It is being signed now"):
                other.sign(sponsored())
            assert other.signed == []
        return inner(ask)

    run(SCHEMES["exact"](PAYER, an_endpoint).sign(sponsored(), 600), answer)


def test_a_nonce_that_was_used_is_not_signed_again_on_an_old_answer() -> None:
    ground = Ground()
    ground.sign(sponsored())
    [kept] = ground.ledger.holds(PERMITS)
    ground.ledger.close(kept, "spent", None)
    with pytest.raises(PaymentNotSent, match="takes one at a time"):
        ground.sign(sponsored())


@pytest.mark.parametrize("step", [asks.SignTyped, asks.Record])
def test_if_it_fails_the_nonce_is_free_again(step: type[Any]) -> None:
    ground = Ground()
    ground.failing[step] = SigningError("no")
    with pytest.raises(SigningError):
        ground.sign(sponsored())
    ground.failing.clear()
    assert KEY in ground.sign(sponsored()).extensions


def test_a_ledger_that_fails_to_release_hides_no_error() -> None:
    ground = Ground()
    ground.failing = {asks.SignTyped: SigningError("no"), asks.Release: LedgerUnavailable("gone")}
    with pytest.raises(SigningError, match="no"):
        ground.sign(sponsored())


def test_an_error_of_the_ledger_is_told() -> None:
    ground = Ground()
    ground.failing = {asks.Reserve: Frozen("frozen")}
    with pytest.raises(Frozen):
        ground.sign(sponsored())


def test_a_payment_that_may_yet_take_its_part_of_an_allowance_keeps_it() -> None:
    from tests.core.scripted_flow import Ground as Flow
    from tests.core.test_ceilings import ALLOWED, ENDPOINT, bought

    flow = Flow(ALLOWED, **ENDPOINT)
    bought(flow, have=10_000)  # unresolved: its answer was not read
    ground = Ground(15_000)
    ground.ledger = flow.ledger
    ground.again = (15_000, list(flow.ledger.holds()))
    with pytest.raises(PaymentNotSent, match="Another payment of this wallet by Permit2") as waits:
        ground.sign(sponsored())
    assert waits.value.instead == "wait"
    assert ground.signed == []
    ground.again = (15_000, [])  # the chain shows it as taken, and it took its part before this was read
    assert ground.sign(sponsored()).extensions == {}
    ground.again = (5_000, [])
    assert ground.sign(sponsored()).extensions != {}, "a permit of the price, as what is left is too little"
    ground.have, ground.again = 20_000, None
    assert ground.sign(sponsored()).extensions == {}, "there is room for both, so nobody has to look"


# --- what is refused


@both
@pytest.mark.parametrize(
    "asked",
    [
        {"amount": str(2**256 - 1)},
        {"amount": "10001"},
        {"value": 2**256 - 1},
        {"spender": "0x" + "66" * 20},
        {"asset": "0x" + "66" * 20},
        {"deadline": "99999999999"},
        {"nonce": "7"},
        {"signature": "0x00"},
    ],
)
def test_what_a_seller_writes_about_the_permit_is_refused(scheme: str, asked: dict[str, Any]) -> None:
    found = SCHEMES[scheme](PAYER).objection(sponsored(scheme, asked))
    assert found is not None
    assert next(iter(asked)) in found


def test_an_honest_ask_is_no_objection() -> None:
    same = {"amount": "10000", "spender": PERMIT2.lower(), "asset": USDC}
    assert permit_objection(sponsored(info=same)) is None
    assert permit_objection(offered("exact")) is None
    assert permit_objection(offered("exact").but(sponsoring={KEY: {"info": 7}})) is None


@pytest.mark.parametrize(
    ("changes", "scheme", "why"),
    [
        ({}, {"permits": False}, r"Policy\(permits=False\) signs none"),
        ({"sponsoring": {}}, {}, "No approval is ever signed here"),
        ({"sponsoring": {TRANSACTION_KEY: {}}}, {}, "never expires, so it is not signed"),
        ({"sponsoring": {KEY: {"info": {"version": "2"}}}}, {}, "is of version '2', and 1 is known"),
        ({"extra": {"assetTransferMethod": "permit2", "name": "Fake"}}, {}, "the seller names the token's domain"),
        ({"token": Token(NETWORK, USDC, "USDC")}, {}, "EIP-712 domain are not known"),
        ({"token": Token(NETWORK, USDC, "USDC", name="Other", version="2")}, {}, "own domain is another"),
    ],
)
def test_no_permit_is_signed(changes: dict[str, Any], scheme: dict[str, Any], why: str) -> None:
    ground, offer = Ground(), sponsored(extra={"name": ..., "version": ...})
    with pytest.raises(InsufficientFunds, match=why) as refused:
        ground.sign(offer.but(**changes), **scheme)
    assert (ground.signed, refused.value.instead) == ([], "another")
    assert ground.ledger.holds(PERMITS) == ()


def test_a_contracts_wallet_signs_none() -> None:
    from x402_client.schemes.evm_payer import EvmPayer

    ground = Ground()
    account = EvmPayer(PAYER, ContractSigner(PAYER, sign=lambda data: b""))
    with pytest.raises(InsufficientFunds, match="The wallet is a contract"):
        ground.sign(sponsored(), account=account)


def test_a_token_without_permits_is_named() -> None:
    ground = Ground()
    ground.facts = Reverted("execution reverted")
    with pytest.raises(InsufficientFunds, match="The token takes no permit"):
        ground.sign(sponsored())


def test_a_domain_that_only_the_seller_names_is_compared_with_the_tokens_own() -> None:
    named = {"assetTransferMethod": "permit2", "name": "Mezo USD", "version": "1"}
    offer = sponsored().but(token=Token(NETWORK, USDC, "mUSD"), extra=named)
    with pytest.raises(InsufficientFunds, match="own domain is another"):
        Ground().sign(offer)
    ground = Ground(domain=("Mezo USD", "1", 84532, USDC))
    ground.sign(offer)
    assert ground.signed[1]["domain"]["name"] == "Mezo USD"
