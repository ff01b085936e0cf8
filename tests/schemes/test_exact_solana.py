"""The transactions that are signed, decoded again and held against what each facilitator enforces."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from solders.compute_budget import ID as COMPUTE_BUDGET
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.token.associated import get_associated_token_address
from solders.transaction import VersionedTransaction

from tests.chains.scripted_rpc import Answer, Scripted, error, result
from x402_client import errors
from x402_client.chains import solana as chain_module
from x402_client.chains.rpc import Rpc
from x402_client.chains.solana import SolanaChain
from x402_client.chains.tokens import Tokens
from x402_client.core.asks import Ask, Fetch, SignatureGiven, SignMessage
from x402_client.core.drive import run
from x402_client.guards.steady_clock import steady
from x402_client.model.money import Token
from x402_client.model.networks import SOLANA_DEVNET
from x402_client.model.offers import Offer
from x402_client.model.signing import Signed
from x402_client.schemes import exact_solana as module
from x402_client.schemes.exact_solana import ExactSolana
from x402_client.schemes.solana_message import TOKEN_2022_PROGRAM, TOKEN_PROGRAM

MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
BUYER, SELLER, FEE_PAYER = (Keypair.from_seed(bytes([n]) * 32) for n in (1, 2, 3))
USDC, PYUSD = Tokens().find(SOLANA_DEVNET, "USDC"), Tokens().find(SOLANA_DEVNET, "PYUSD")
#: A token that the user vouches for without its program: its mint is looked up once.
FOUND = Token(SOLANA_DEVNET, str(Pubkey(bytes([9]) * 32)), "FND", 6, currency="USD")
BLOCKHASH, HINT = str(Pubkey(bytes([7]) * 32)), str(Pubkey(bytes([8]) * 32))
LATEST = result({"context": {"slot": 1}, "value": {"blockhash": BLOCKHASH, "lastValidBlockHeight": 150}})


def offer(version: int = 2, network: str = SOLANA_DEVNET, token: Token | None = USDC, **extra: Any) -> Offer:
    assert token is not None
    return Offer(
        1,
        version,
        "exact",
        SOLANA_DEVNET,
        10_000,
        token.address,
        str(SELLER.pubkey()),
        60,
        token,
        token.price(10_000),
        written_network=network,
        extra={"feePayer": str(FEE_PAYER.pubkey()), **extra},
    )


@dataclass
class Bench:
    """A scheme, its endpoint, and who signs."""

    endpoint: Scripted
    scheme: ExactSolana
    chain: SolanaChain
    signer: Keypair = BUYER
    seconds: float = 0.0
    trusted: bool = False

    def answer(self, ask: Ask[Any]) -> Any:
        if isinstance(ask, Fetch):
            return ask.read()
        assert isinstance(ask, SignMessage)
        return SignatureGiven(bytes(self.signer.sign_message(ask.message)), self.trusted, self.seconds)

    def sign(self, this: Offer) -> Signed:
        assert self.scheme.objection(this) is None
        return run(self.scheme.sign(this, 600), self.answer)

    def calls(self) -> list[str]:
        return [asked["method"] for asked in self.endpoint.asked]


@contextmanager
def bench(check_funds: bool = False, own_key: bool = False, **answers: Answer) -> Iterator[Bench]:
    with Scripted(**({"getLatestBlockhash": LATEST} | answers)) as endpoint:
        chain = SolanaChain(Rpc(SOLANA_DEVNET, [endpoint.url]))
        scheme = ExactSolana(str(BUYER.pubkey()), lambda network: chain, check_funds, own_key)
        yield Bench(endpoint, scheme, chain)
        chain.rpc.close()


@dataclass
class Decoded:
    """What a facilitator sees."""

    transaction: VersionedTransaction
    message: MessageV0
    programs: list[Pubkey]
    units: int
    unit_price: int
    memo: bytes | None


def decode(signed: Signed) -> Decoded:
    transaction = VersionedTransaction.from_bytes(base64.b64decode(signed.payload["transaction"]))
    message = transaction.message
    assert isinstance(message, MessageV0)
    programs = [message.account_keys[one.program_id_index] for one in message.instructions]
    limit, price, *rest = message.instructions
    assert limit.data[0] == 2
    assert price.data[0] == 3
    memo = bytes(rest[1].data) if len(rest) > 1 else None
    return Decoded(
        transaction, message, programs, int.from_bytes(limit.data[1:5], "little"),
        int.from_bytes(price.data[1:9], "little"), memo,
    )  # fmt: skip


def check_rules(signed: Signed, this: Offer) -> Decoded:
    """Check what every facilitator enforces, in both versions."""
    seen = decode(signed)
    message, token = seen.message, this.token
    assert token is not None
    assert isinstance(message, MessageV0)
    program = Pubkey.from_string(token.program or TOKEN_PROGRAM)
    assert seen.programs[:3] == [COMPUTE_BUDGET, COMPUTE_BUDGET, program]
    assert message.account_keys[0] == FEE_PAYER.pubkey()
    assert message.account_keys[1] == BUYER.pubkey()
    assert message.header.num_required_signatures == 2
    assert message.header.num_readonly_signed_accounts == 1, "the buyer only signs"
    assert seen.transaction.signatures[0] == Signature.default()
    assert seen.transaction.signatures[1].verify(BUYER.pubkey(), to_bytes_versioned(message))
    transfer = message.instructions[2]
    assert bytes(transfer.data) == bytes([12]) + (10_000).to_bytes(8, "little") + bytes([6])
    mint = Pubkey.from_string(token.address)
    accounts = [message.account_keys[index] for index in transfer.accounts]
    assert accounts == [
        get_associated_token_address(BUYER.pubkey(), mint, program),
        mint,
        get_associated_token_address(SELLER.pubkey(), mint, program),
        BUYER.pubkey(),
    ]
    assert not any(0 in bytes(one.accounts) for one in message.instructions), "the fee payer takes part in nothing"
    assert 0 < seen.unit_price <= 1_000_000
    assert seen.units < 100_000
    assert len(bytes(seen.transaction)) <= 1232
    return seen


@pytest.mark.parametrize("token", [USDC, PYUSD], ids=["SPL Token", "Token-2022"])
@pytest.mark.parametrize(
    ("version", "network", "memos"),
    [
        (2, SOLANA_DEVNET, 1),
        (2, "solana-devnet", 1),
        (1, "solana-devnet", 0),
        (1, "solana", 0),
        (1, SOLANA_DEVNET, 1),
    ],
)
def test_the_layout_goes_by_version_and_name(version: int, network: str, memos: int, token: Token) -> None:
    this = offer(version, network, token)
    with bench() as at:
        signed = at.sign(this)
    seen = check_rules(signed, this)
    assert seen.programs[3:] == [MEMO] * memos
    assert seen.units == 20_000
    if memos:
        assert seen.memo is not None
        assert len(bytes.fromhex(seen.memo.decode())) >= 16
        assert signed.nonce == seen.memo.decode()
    else:
        assert seen.unit_price <= 49_999
        assert signed.nonce == str(seen.transaction.signatures[1])


@dataclass(frozen=True)
class Facilitator:
    """What one kind of facilitator takes, as read in its source or measured."""

    serves: tuple[tuple[int, str], ...]
    instructions: tuple[int, ...]
    memo_needed: bool
    most_unit_price: int
    units_below: int


V2, V1_PLAIN, V1_CAIP2 = (2, SOLANA_DEVNET), (1, "solana-devnet"), (1, SOLANA_DEVNET)
FACILITATORS = {
    "official, 2.25": Facilitator((V2, V1_PLAIN, V1_CAIP2), (3, 4, 5, 6), False, 5_000_000, 1_400_001),
    "official, legacy version 1": Facilitator((V1_PLAIN,), (3,), False, 5_000_000, 1_400_001),
    "Faremeter": Facilitator((V2, V1_CAIP2), (4,), True, 1_000_000, 1_400_001),
    "hosted": Facilitator((V2, V1_PLAIN), (3, 4), False, 1_000_000, 100_000),
}


@pytest.mark.parametrize("memo", [None, "order 7", "m" * 256], ids=["no memo", "a memo", "a long memo"])
@pytest.mark.parametrize("name", FACILITATORS)
def test_every_facilitator_takes_what_it_is_offered(name: str, memo: str | None) -> None:
    facilitator = FACILITATORS[name]
    for version, network in facilitator.serves:
        extra = {} if memo is None else {"memo": memo}
        with bench() as at:
            seen = decode(at.sign(offer(version, network, **extra)))
        assert len(seen.programs) in facilitator.instructions
        assert (MEMO in seen.programs) or not facilitator.memo_needed
        assert seen.unit_price <= facilitator.most_unit_price
        assert seen.units < facilitator.units_below
        assert seen.units * seen.unit_price < 5_000 * 10**6, "the fee stays below a signature's own"


def test_programs_of_the_table() -> None:
    assert USDC is not None
    assert PYUSD is not None
    assert (USDC.program, PYUSD.program) == (TOKEN_PROGRAM, TOKEN_2022_PROGRAM)


@pytest.mark.parametrize(
    ("size", "units"), [(1, 20_000), (33, 20_000), (34, 50_000), (118, 50_000), (119, 99_000), (256, 99_000)]
)
def test_a_sellers_memo_sizes_the_compute_limit(size: int, units: int) -> None:
    memo = "m" * size
    this = offer(memo=memo)
    with bench() as at:
        signed = at.sign(this)
    seen = check_rules(signed, this)
    assert seen.memo == memo.encode()
    assert seen.units == units
    assert signed.nonce == signed.evidence["signature"], "a memo of the seller's identifies no payment of ours"


def simulated(units: int) -> Answer:
    return result({"context": {"slot": 1}, "value": {"err": None, "unitsConsumed": units, "logs": []}})


def test_a_memo_in_another_script_is_simulated() -> None:
    this = offer(memo="支払い")
    with bench(simulateTransaction=simulated(40_000)) as at:
        seen = check_rules(at.sign(this), this)
    assert 40_000 < seen.units < 50_000
    assert seen.memo == "支払い".encode()


def test_a_memo_that_nobody_would_settle_is_not_signed() -> None:
    with bench(simulateTransaction=simulated(112_000)) as at, pytest.raises(errors.SigningError, match="112000"):
        at.sign(offer(memo="支払い" * 10))


def test_a_memo_that_cannot_be_simulated_is_not_signed() -> None:
    failed = result({"value": {"err": {"InstructionError": [2, "Custom"]}, "unitsConsumed": 5}})
    with bench(simulateTransaction=failed) as at, pytest.raises(errors.ChainUnavailable):
        at.sign(offer(memo="支払い"))


@pytest.mark.parametrize("version_network", [(2, SOLANA_DEVNET), (1, "solana-devnet")])
def test_equal_purchases_are_different_transactions(version_network: tuple[int, str]) -> None:
    this = offer(*version_network, memo="the same")
    with bench() as at:
        made = [at.sign(this) for _ in range(500)]
    assert len({one.payload["transaction"] for one in made}) == 500
    assert len({one.nonce for one in made}) == 500


def test_a_warm_payment_asks_nobody() -> None:
    with bench() as at:
        for _ in range(100):
            at.sign(offer())
    assert at.calls() == ["getLatestBlockhash"]


def test_a_hint_is_bounded_by_the_height_of_the_chain() -> None:
    """The seller does not say until which height its hint is valid; nothing but a height proves that it is not."""
    with bench() as at:
        signed = [at.sign(offer(recentBlockhash=hint)) for hint in (HINT, str(Pubkey(bytes([10]) * 32)))]
    assert str(decode(signed[0]).message.recent_blockhash) == HINT
    assert at.calls() == ["getLatestBlockhash"], "a warm payment asks nothing"
    for one in signed:
        assert one.evidence["last_valid_height"] is None
        assert 300 <= one.evidence["height_bound"] <= 310
        assert one.evidence["slot"] == 1
        assert not one.evidence["no_end"]


@pytest.mark.parametrize("answer", [error(-1, "no"), result(None), result({"value": {"blockhash": 1}}), None])
def test_a_hint_is_paid_without_an_endpoint_that_answers(answer: Answer | None) -> None:
    with bench(getLatestBlockhash=answer or LATEST) as at:
        if answer is None:
            at.chain.rpc.urls = ()
        signed = [at.sign(offer(recentBlockhash=HINT)) for _ in range(5)]
    for one in signed:
        assert str(decode(one).message.recent_blockhash) == HINT
        assert (one.evidence["last_valid_height"], one.evidence["height_bound"]) == (None, None)
        assert one.evidence["no_end"]
    assert at.calls().count("getLatestBlockhash") <= 2, "in the way of one payment, and once more beside it"


def test_a_hint_is_paid_where_what_asks_the_chain_fails_in_a_way_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries that mock HTTP raise an AssertionError for a question that they do not expect."""

    def unexpected(*asked: Any, **more: Any) -> Any:
        raise AssertionError

    with bench() as at:
        monkeypatch.setattr(at.chain.rpc, "call", unexpected)
        assert at.sign(offer(recentBlockhash=HINT)).evidence["no_end"]


def test_a_hint_that_is_the_latest_blockhash_has_its_height() -> None:
    with bench() as at:
        signed = at.sign(offer(recentBlockhash=BLOCKHASH))
    assert signed.evidence["last_valid_height"] == 150


@pytest.mark.parametrize("hint", ["", "nonsense", 7, None, "0" * 44])
def test_a_hint_that_is_none_is_passed_over(hint: Any) -> None:
    with bench() as at:
        signed = at.sign(offer(recentBlockhash=hint))
    assert str(decode(signed).message.recent_blockhash) == BLOCKHASH


@pytest.mark.parametrize("check_funds", [False, True])
@pytest.mark.parametrize("own_key", [False, True])
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("token", [USDC, FOUND])
@pytest.mark.parametrize("extra", [{}, {"recentBlockhash": HINT}, {"memo": "order 7"}, {"memo": "№ 7"}])
@pytest.mark.parametrize("written", [(2, SOLANA_DEVNET), (1, "solana-devnet")])
def test_where_it_signs_here_nothing_but_the_key_is_asked(
    check_funds: bool, own_key: bool, warm: bool, token: Token, extra: dict[str, Any], written: tuple[int, str]
) -> None:
    this = offer(*written, token, **extra)
    simulated = result({"value": {"err": None, "unitsConsumed": 30_000}})
    info = result({"value": {"owner": TOKEN_PROGRAM, "data": {"parsed": {"info": {"decimals": 6}}}}})
    funds = result({"value": [account(10_000), account(0)]})
    answers = {"simulateTransaction": simulated, "getAccountInfo": info, "getMultipleAccounts": funds}
    with bench(check_funds, own_key, **answers) as at:
        if warm:
            at.sign(offer(token=token))
        before = len(at.calls())
        here = at.scheme.signs_here(this)
        at.sign(this)
        asked = at.calls()[before:]
    # The rule: "With a local signer and nobody to ask, `admit` signs first".
    assert here is (own_key and not asked)


def test_version_1_has_no_hints() -> None:
    with bench() as at:
        signed = at.sign(offer(1, "solana-devnet", recentBlockhash=HINT))
    assert str(decode(signed).message.recent_blockhash) == BLOCKHASH


def test_a_hint_that_was_seen_long_ago_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with bench() as at:
        at.sign(offer(recentBlockhash=HINT))
        later = steady() + 31
        monkeypatch.setattr(chain_module, "steady", lambda: later)
        signed = at.sign(offer(recentBlockhash=HINT))
    assert str(decode(signed).message.recent_blockhash) == BLOCKHASH
    assert signed.evidence["last_valid_height"] == 150


def test_hints_are_not_remembered_without_bound() -> None:
    with bench() as at:
        for number in range(1_000):
            at.chain.fresh_hint(str(number))
        assert len(at.chain._hints) <= 256


def test_a_token_the_user_vouches_for_is_looked_up_once() -> None:
    mint = str(Keypair().pubkey())
    vouched = Token(SOLANA_DEVNET, mint, "OWN", 6)
    info = {"owner": TOKEN_2022_PROGRAM, "data": {"parsed": {"info": {"decimals": 6}}}}
    with bench(getAccountInfo=result({"context": {}, "value": info})) as at:
        first = at.sign(offer(token=vouched))
        at.sign(offer(token=vouched))
    assert decode(first).programs[2] == Pubkey.from_string(TOKEN_2022_PROGRAM)
    assert sorted(at.calls()) == ["getAccountInfo", "getLatestBlockhash"]


@pytest.mark.parametrize(
    "info",
    [
        {"owner": str(MEMO), "data": {"parsed": {"info": {"decimals": 6}}}},
        {"owner": TOKEN_PROGRAM, "data": {"parsed": {"info": {"decimals": 9}}}},
    ],
)
def test_a_vouched_token_that_is_something_else_is_not_signed(info: Any) -> None:
    vouched = Token(SOLANA_DEVNET, str(Keypair().pubkey()), "OWN", 6)
    with bench(getAccountInfo=result({"value": info})) as at, pytest.raises(errors.SigningError):
        at.sign(offer(token=vouched))


@pytest.mark.parametrize("info", [None, {}, {"owner": TOKEN_PROGRAM, "data": ["", "base64"]}, 7])
def test_a_mint_that_is_none_is_not_signed(info: Any) -> None:
    vouched = Token(SOLANA_DEVNET, str(Keypair().pubkey()), "OWN", 6)
    with bench(getAccountInfo=result({"value": info})) as at, pytest.raises(errors.ChainUnavailable):
        at.sign(offer(token=vouched))


@pytest.mark.parametrize("answer", [result(None), result({"value": {"blockhash": 1}}), error(-1, "no"), result([])])
def test_garbage_for_a_blockhash_is_not_signed(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    with bench(getLatestBlockhash=answer) as at, pytest.raises(errors.ChainUnavailable):
        at.sign(offer())


def test_a_slow_signer_signs_a_later_blockhash_and_then_gives_up() -> None:
    with bench() as at:
        at.seconds = 20
        with pytest.raises(errors.SigningError, match="20 s twice"):
            at.sign(offer(recentBlockhash=HINT))
    assert at.calls() == ["getLatestBlockhash"]


def test_another_keys_signature_is_not_sent() -> None:
    with bench() as at:
        at.signer = SELLER
        with pytest.raises(errors.SigningError, match="not by"):
            at.sign(offer())


OBJECTIONS = [
    (offer(feePayer=None), "feePayer"),
    (offer(feePayer="nobody"), "feePayer"),
    (offer(feePayer=7), "feePayer"),
    (offer(feePayer=str(BUYER.pubkey())), "buyer itself"),
    (offer(feePayer=TOKEN_PROGRAM), "a program or the token's own mint"),
    (offer(memo=7), "not text"),
    (offer(memo="m" * 257), "257 bytes"),
    (offer(memo="é" * 129), "258 bytes"),
]


@pytest.mark.parametrize(("this", "words"), OBJECTIONS, ids=[words for _, words in OBJECTIONS])
def test_objections(this: Offer, words: str) -> None:
    with bench() as at:
        assert words in (at.scheme.objection(this) or "")


@pytest.mark.parametrize(
    ("pay_to", "words"),
    [
        ("0x036CbD53842c5426634e7929541eC2318f3dCF7e", "not an address"),
        ("1" * 32, "a program"),
        (TOKEN_PROGRAM, "a program"),
        (str(BUYER.pubkey()), "buyer itself"),
        (USDC.address if USDC else "", "own mint"),
    ],
)
def test_objections_to_recipients(pay_to: str, words: str) -> None:
    from dataclasses import replace

    with bench() as at:
        assert words in (at.scheme.objection(replace(offer(), pay_to=pay_to)) or "")


def test_an_amount_above_the_chains_range() -> None:
    from dataclasses import replace

    with bench() as at:
        assert "above" in (at.scheme.objection(replace(offer(), amount=2**64)) or "")
        assert at.scheme.objection(replace(offer(), amount=2**64 - 1)) is None


def account(amount: int | None) -> Any:
    if amount is None:
        return None
    return {"data": {"parsed": {"info": {"tokenAmount": {"amount": str(amount)}}}}}


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [(None, 0, "no such account"), (9_999, 0, "it holds 0\\.009999"), (10_000, None, "does not exist")],
)
def test_funds_are_looked_at_where_asked(ours: int | None, theirs: int | None, words: str) -> None:
    answer = result({"value": [account(ours), account(theirs)]})
    with (
        bench(check_funds=True, getMultipleAccounts=answer) as at,
        pytest.raises(errors.InsufficientFunds, match=words) as raised,
    ):
        at.sign(offer())
    assert raised.value.money == "untouched"


def test_enough_funds_pass() -> None:
    with bench(check_funds=True, getMultipleAccounts=result({"value": [account(10_000), account(0)]})) as at:
        check_rules(at.sign(offer()), offer())


def test_a_recorded_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """These bytes were recorded once and decoded by hand; they change only on purpose."""
    monkeypatch.setattr(module.os, "urandom", lambda size: bytes(range(size)))
    with bench() as at:
        made = at.sign(offer(recentBlockhash=HINT))
    assert made.nonce == bytes(range(16)).hex()
    assert made.payload["transaction"] == RECORDED


RECORDED = (
    "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABBe7CVZBlS5c4N"
    "6t5rypOfOBP5E6Kdj6E/0xNLo2RoQPa01JPdf3b1pbtIL/eywV/+X3/c26CUyxDGqp7iaXUCgAIBBAjtSSjGKNHCxurpAziQWZVh"
    "KVknOlxj+TY2wUYUrIc30YqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c7a8bnBYfbWmKRrmweAmkoY2/U8QytqJL8bEI"
    "g/zLIpjtxjbgQB4pwJnqJwOAZZHm5AvuwQkVBwJdu/5tY3Yf4gMGRm/lIRcy/+ytunLDm+e8jOW7xfcSayxDmzpAAAAABUpTWpkp"
    "IQZNJOhxYNo4fHw1td28kruB5B+oQEEFRI0G3fbh12Whk9nL4UbO63msHLSF7V9bN5E6jPWFfv8AqTtELLORIVfxOpM9ATQoLQMr"
    "X/7NAaLb8bd5BgjfAC6nCAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgEBAAFAiBOAAAEAAkDAQAAAAAAAAAGBAMHAgEK"
    "DBAnAAAAAAAABgUAIDAwMDEwMjAzMDQwNTA2MDcwODA5MGEwYjBjMGQwZTBmAA=="
)
