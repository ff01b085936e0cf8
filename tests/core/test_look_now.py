"""After an end that leaves open what became of the money the chain is asked at once. It changes ``.money`` alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.terms import PAYER, USDC, entry
from x402_client import Policy
from x402_client.core import asks
from x402_client.core.empty_wallet import may_mean_no_funds, says_no_funds
from x402_client.errors import MoneyState, PaymentOutcomeUnknown, PaymentRejected, X402Error

from .scripted_flow import PAID, Ground, asking, called, paid, reply

DROP = OSError("reset")
PRICE = 10_000
SHOWN, SHORT = asks.Seen(True), asks.Seen(False)


def ground_for(**buyer: Any) -> Ground:
    return Ground(Policy(per_request="0.05", per_day="1"), **buyer)


def ended(answer: Any, seen: asks.Seen = SHORT, ground: Ground | None = None, look: Any = None) -> Any:
    """The error or the answer of one call."""
    ground = ground or ground_for()
    try:
        return ground.pay(called(), Send=answer, LookNow=look or (lambda ask: seen))
    except X402Error as error:
        return error


def money_of(end: Any) -> MoneyState:
    return end.money if isinstance(end, X402Error) else end.outcome.money  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("answer", "kind", "without"),
    [
        (DROP, PaymentOutcomeUnknown, "unknown"),
        (TimeoutError(), PaymentOutcomeUnknown, "unknown"),
        (asking(), PaymentRejected, "held"),
        (paid(402), PaymentRejected, "held"),
        (reply(500, b"oh"), asks.Reply, "unknown"),
        (reply(503), asks.Reply, "unknown"),
        (reply(404), asks.Reply, "held"),  # a no proves nothing: the seller may have settled first
        (reply(422, b"no"), asks.Reply, "held"),
    ],
)
@pytest.mark.parametrize("repeat", [(), ("GET",)])
def test_what_the_chain_shows_changes_the_money_and_nothing_else(
    answer: Any, kind: type[Any], without: MoneyState, repeat: tuple[str, ...]
) -> None:
    ends, books = [], []
    for seen in (SHORT, SHOWN):
        ground = ground_for(repeat=repeat)
        if isinstance(answer, asks.Reply):
            answer = asks.Reply(answer.status, answer.header, answer.native)
        ends.append(ended(answer, seen, ground))
        assert ground.names.count("LookNow") == 1
        after = [] if kind is asks.Reply else ["Freezes"]
        assert ground.names[-1 - len(after) :] == ["LookNow", *after], "after the rest, and nothing is written"
        [hold] = ground.ledger.holds()
        books.append((hold.state, hold.money, ground.spent))
        [row] = ground.ledger._rows.values()
        assert not row.in_flight
    assert [type(end) for end in ends] == [kind, kind]
    assert [money_of(end) for end in ends] == [without, "spent"]
    assert books[0] == books[1] == ("signed", "held", PRICE)
    if kind is not asks.Reply:
        assert "The chain shows that it was paid" in str(ends[1])
        assert ["after that time" in str(end) for end in ends] == [True, False], "no time is named once it is known"
        assert "The chain shows" not in str(ends[0])


@pytest.mark.parametrize("answer", [paid(), reply(200), reply(302), paid(404), paid(500)])
def test_an_end_that_leaves_nothing_open_is_not_looked_at(answer: Any) -> None:
    ground = ground_for()
    ended(answer, ground=ground)
    assert "LookNow" not in ground.names


@pytest.mark.parametrize("killed", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_call_that_is_being_cancelled_looks_at_nothing(killed: type[BaseException]) -> None:
    ground = ground_for()
    with pytest.raises(killed):
        ground.pay(called(), Send=killed())
    assert "LookNow" not in ground.names


@pytest.mark.parametrize("answer", [DROP, asking(), reply(500)])
def test_a_look_that_fails_does_not_take_the_place_of_the_end(answer: Any) -> None:
    def fails(ask: asks.LookNow) -> asks.Seen:
        raise RuntimeError("odd")

    assert money_of(ended(answer, look=fails)) in ("held", "unknown")


def test_the_same_request_presents_what_the_chain_showed_before_its_expiry() -> None:
    ground = ground_for()
    first = ended(DROP, SHOWN, ground)
    again = ground.pay(called(), Send=paid(), Settlement="open")
    assert again.outcome.hold.id == first.hold.id
    assert ground.all(asks.SignTyped) == []


# --- on its way


@pytest.mark.parametrize(
    "receipt",
    [
        {"errorReason": "settlement_pending"},
        {"error": "Settlement_Pending: not confirmed yet"},
        {"errorReason": "x", "payment_state": "pending"},
        {"errorReason": "x", "payment_state": "SETTLED"},
        {"errorReason": "x", "retry_action": "poll"},
        {"errorReason": "x", "retry_action": "retry_same_payment", "authorization_expires_at": 1},
    ],
)
@pytest.mark.parametrize("status", [402, 400, 409])
def test_what_is_on_its_way_is_unknown_and_presented_again(receipt: dict[str, Any], status: int) -> None:
    ground = ground_for(repeat=("GET",))
    end = ended(reply(status, b"{}", payment_response=PAID | {"success": False} | receipt), ground=ground)
    assert money_of(end) == "unknown"
    assert len({send.header for send in ground.all(asks.Send)}) == 1
    assert len(ground.all(asks.SignTyped)) == 1
    assert len(ground.all(asks.Send)) == (3 if status == 402 else 2)


@pytest.mark.parametrize(
    "receipt",
    [
        {"errorReason": "x", "retry_action": "resign"},
        {"errorReason": "settlement_pending", "transaction": ""},
        {"errorReason": "invalid_exact_evm_payload_signature"},
        {"errorReason": "x", "payment_state": "failed"},
    ],
)
def test_an_order_to_sign_anew_is_not_obeyed(receipt: dict[str, Any]) -> None:
    ground = ground_for(repeat=("GET",))
    for _ in range(3):
        end = ended(paid(402, success=False, **receipt), ground=ground)
        assert isinstance(end, PaymentRejected)
        assert end.money == "held"
        assert len(ground.ledger.holds()) == 1
    assert ground.all(asks.SignTyped) == []


# --- an empty wallet

DIALECTS = [
    "insufficient_funds",
    "Insufficient funds",
    "insufficient balance",
    "InsufficientBalance",
    "insufficient USDC balance: has 0, needs 10000",
    "invalid_exact_evm_payload_insufficient_balance",
    "invalid_exact_evm_insufficient_balance",
    "execution reverted: ERC20: transfer amount exceeds balance",
    "execution reverted: custom error 0xe450d38c0000",
    "Transaction simulation failed: Error processing Instruction 2: custom program error: 0x1",
    '{"InstructionError":[2,{"Custom":1}]}',
    "Program log: Error: insufficient funds",
    "not enough USDC",
    "balance too low",
]
OTHERS = [
    "insufficient funds for gas * price + value",
    "the fee payer has insufficient funds",
    "Transaction results in an account with insufficient funds for rent",
    "invalid_exact_evm_payload_signature",
    "custom program error: 0x1771",
    "payment required",
    "",
]


@pytest.mark.parametrize("said", DIALECTS)
@pytest.mark.parametrize("where", ["receipt", "terms"])
@pytest.mark.parametrize("balance", [None, 0, 4_000])
def test_an_empty_wallet_is_told_what_to_send_where(said: str, where: str, balance: int | None) -> None:
    answer = paid(402, success=False, errorReason=said) if where == "receipt" else asking(error=said)
    ground = ground_for()
    error = ended(answer, asks.Seen(False, balance), ground)
    assert isinstance(error, PaymentRejected)
    assert error.money == "held"
    [look] = ground.all(asks.LookNow)
    assert look.funds
    text = str(error)
    for part in (PAYER, "base-sepolia (eip155:84532)", USDC, "0.01 USDC", f"Send USDC on base-sepolia to {PAYER}"):
        assert part in text
    assert {None: "is said to hold less", 0: "holds 0 USDC", 4_000: "holds 0.004 USDC"}[balance] in text
    assert text.index("Send USDC") < text.index("Make the same request again")
    assert error.hold is not None
    assert error.hold.last is not None
    assert error.hold.last.short
    assert ground.spent == PRICE, "released by the usual rules alone"
    assert len(ground.ledger.holds()) == 1


@pytest.mark.parametrize("said", DIALECTS)
def test_a_balance_that_suffices_outweighs_a_sellers_word(said: str) -> None:
    error = ended(asking(error=said), asks.Seen(False, PRICE))
    assert "Send USDC" not in str(error)
    assert isinstance(error, PaymentRejected)
    assert error.hold is not None
    assert error.hold.last is not None
    assert not error.hold.last.short


@pytest.mark.parametrize("said", OTHERS)
def test_other_words_are_not_read_as_an_empty_wallet(said: str) -> None:
    assert not says_no_funds(said)
    error = ended(asking(error=said), SHORT)
    assert "Send USDC" not in str(error)


@pytest.mark.parametrize("said", [word for word in OTHERS if may_mean_no_funds(word)])
def test_a_look_explains_what_a_seller_leaves_vague(said: str) -> None:
    ground = ground_for()
    assert f"holds 0 USDC on base-sepolia (eip155:84532), token {USDC}" in str(
        ended(asking(error=said), asks.Seen(False, 0), ground)
    )
    assert ground.all(asks.LookNow)[0].funds


def test_an_ordinary_refusal_asks_for_no_balance() -> None:
    ground = ground_for()
    ended(asking(), ground=ground)
    assert not ground.all(asks.LookNow)[0].funds


def test_an_empty_wallet_is_told_what_to_send_each_time() -> None:
    ground = ground_for(repeat=("GET",))
    for presented in range(2, 9, 2):
        error = ended(asking(error="insufficient_balance"), asks.Seen(False, 0), ground)
        assert f"Send USDC on base-sepolia to {PAYER}" in str(error)
        assert "Ask the seller" not in str(error)
        assert len(ground.all(asks.Send)) == 2, presented


def test_what_the_chain_shows_as_paid_needs_no_funds() -> None:
    error = ended(asking(entry(), error="insufficient_funds"), asks.Seen(True, 0))
    assert error.money == "spent"
    assert "Send USDC" not in str(error)
