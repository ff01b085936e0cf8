"""What became of a Permit2 payment, and what was taken of a ceiling: from endpoints that tell, lag, hide and lie."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.wire.terms import PAYER, SELLER, USDC
from x402_client.chains import rpc as module
from x402_client.chains.permit2_settlement import FIRST_BLOCK, KNOWN_AT
from x402_client.chains.rpc import Endpoints
from x402_client.chains.settlement import ChainReader
from x402_client.model.holds import CEILING, Authorization, Hold, Purchase
from x402_client.model.hosts import Origin
from x402_client.model.offers import Offer

from .scripted_rpc import Answer, Scripted, error, result, status
from .test_settlement import GARBAGE, NETWORK, TOKEN, block

NONCE = (5 << 8) | 7
SET, CLEAR = result(f"0x{1 << 7:064x}"), result("0x" + "0" * 64)
OTHERS = result(f"0x{(2**256 - 1) ^ (1 << 7):064x}")
EXPIRES = int(time.time()) - 100
HASH = "0x" + "ab" * 32


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.01,))


def hold(ceiling: int | None = None, nonce: str = str(NONCE), **evidence: Any) -> Hold:
    assert TOKEN is not None
    purchase = Purchase("id", "request", False, "GET", "http://seller/", Origin("http", "seller", 80))
    scheme, price = ("upto" if ceiling else "exact"), TOKEN.price(10_000)
    extra = {"assetTransferMethod": "permit2"}
    offer = Offer(1, 2, scheme, NETWORK, 10_000, USDC, SELLER, token=TOKEN, price=price, extra=extra)
    kind = CEILING if ceiling else "transfer"
    known = {FIRST_BLOCK: 60, KNOWN_AT: int(time.time()) + 60}
    found = known if not evidence else {k: v for k, v in evidence.items() if v is not None}
    signed = Authorization(nonce, PAYER, EXPIRES, ("X-PAYMENT", ""), found, kind, ceiling, "bit")
    return Hold("1", purchase, offer, price, time.time(), "signed", authorization=signed)


def transfers(*values: int) -> Answer:
    return result([{"data": f"0x{value:064x}", "transactionHash": HASH} for value in values])


def naming(nonce: int = NONCE) -> Answer:
    """A transaction whose calldata has this nonce somewhere."""
    return result({"input": f"0x12345678{'00' * 32}{nonce:064x}{'ff' * 7}"})


def endpoint(bitmap: Answer = SET, logs: Answer | None = None, **by_method: Answer) -> Scripted:
    told = {
        "eth_getBlockByNumber": block(70, time.time()),
        "eth_getLogs": logs or transfers(10_000), "eth_getTransactionByHash": naming(),
    }  # fmt: skip
    return Scripted(eth_call=bitmap, **(told | by_method))


def reader(*endpoints: Scripted) -> ChainReader:
    return ChainReader(Endpoints({NETWORK: tuple(one.url for one in endpoints)}))


def read(this: Hold, *endpoints: Scripted) -> str:
    return reader(*endpoints).read(this)


def test_the_bit_and_the_tokens_transfer_together_are_settled() -> None:
    with endpoint() as node:
        assert read(hold(), node) == "settled"
    call, _, _, logs = (asked for asked in node.asked if asked["method"] != "eth_chainId")
    assert call["params"][0] == {
        "to": "0x000000000022D473030F116dDEE9F6B43aC78BA3",
        "data": "0x4fe02b44" + "0" * 24 + PAYER[2:].lower() + f"{5:064x}",
    }
    assert logs["params"][0]["address"] == USDC
    assert logs["params"][0]["topics"][1:] == ["0x" + "0" * 24 + one[2:].lower() for one in (PAYER, SELLER)]
    assert (logs["params"][0]["fromBlock"], logs["params"][0]["toBlock"]) == (hex(60), hex(70))


@pytest.mark.parametrize("values", [(), (9_999,), (10_001,)])
def test_a_bit_without_the_transfer_was_cancelled_by_the_owner(values: tuple[int, ...]) -> None:
    with endpoint(logs=transfers(*values)) as node:
        assert read(hold(), node) == "not_settled"


def test_before_the_deadline_a_cancelled_one_is_not_believed_dead() -> None:
    with endpoint(logs=transfers(), eth_getBlockByNumber=block(70, EXPIRES)) as node:
        assert read(hold(), node) == "unknown"


@pytest.mark.parametrize(("head", "deep"), [(59, 58), (70, 71), (70, 59)])
def test_transfers_that_were_not_looked_for_up_to_the_deep_block_prove_nothing(head: int, deep: int) -> None:
    def blocks(asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        return block(deep if asked["params"][0] == "safe" else head, time.time())(asked)

    with endpoint(logs=transfers(), eth_getBlockByNumber=blocks) as node:
        assert read(hold(), node) == "unknown"


def test_without_the_first_block_a_set_bit_tells_nothing() -> None:
    with endpoint() as node:
        assert read(hold(nothing=None), node) == "unknown"
        assert reader(node).charge(hold(10_000, nothing=None)) is None


@pytest.mark.parametrize(
    ("head", "deep", "expected"),
    [
        (-1, -100, "live"),
        # Permit2 takes a signature while the block's time is not later than the deadline.
        (0, -100, "live"),
        (1, 0, "unknown"),
        (100, -100, "unknown"),
        (200, 1, "not_settled"),
    ],
)
@pytest.mark.parametrize("bitmap", [CLEAR, OTHERS])
def test_unused_is_dead_only_past_the_deadline_by_the_chains_clock(
    head: float, deep: float, expected: str, bitmap: Answer
) -> None:
    def blocks(asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        return block(70, EXPIRES + (deep if asked["params"][0] == "safe" else head))(asked)

    with endpoint(bitmap, eth_getBlockByNumber=blocks) as node:
        assert read(hold(), node) == expected


def test_a_bit_that_differs_in_the_deep_block_tells_nothing() -> None:
    def bitmap(asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        return (CLEAR if asked["params"][1] == "latest" else SET)(asked)

    with endpoint(bitmap) as node:
        assert read(hold(), node) == "unknown"


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("method", ["eth_call", "eth_getLogs", "eth_getBlockByNumber"])
def test_garbage_tells_nothing(method: str, garbage: Answer) -> None:
    if (method, garbage) == ("eth_call", GARBAGE[4]):  # all bits are set: here that is an answer
        return
    given = {"bitmap": garbage} if method == "eth_call" else {method: garbage}
    with endpoint(**given) as node:
        assert read(hold(), node) == "unknown"
        assert reader(node).charge(hold(10_000)) is None


@pytest.mark.parametrize("nonce", ["0x" + "11" * 32, str(2**256), "", "-1", "1" * 79])
def test_a_nonce_that_is_none_is_not_asked_about(nonce: str) -> None:
    with endpoint() as node:
        assert read(hold(nonce=nonce), node) == "unknown"


# --- what was taken of a ceiling


def charge(*endpoints: Scripted, ceiling: int = 10_000) -> int | None:
    return reader(*endpoints).charge(hold(ceiling))


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ((7_000,), 7_000),
        ((10_000,), 10_000),
        # Another purchase of the same seller, and one by a larger ceiling: never less than was taken counts.
        ((3_000, 7_000), 7_000),
        ((7_000, 3_000), 7_000),
        ((7_000, 10_001), 7_000),
        ((), None),
        ((0,), None),
        ((10_001,), None),
    ],
)
def test_the_largest_transfer_that_the_ceiling_allows_counts(values: tuple[int, ...], taken: int | None) -> None:
    with endpoint(logs=transfers(*values)) as node:
        assert charge(node) == taken
        if taken is not None:
            assert read(hold(10_000), node) == "settled"


def test_a_transfer_of_another_payment_frees_nothing() -> None:
    """The seller names the small charge of an earlier purchase, and takes the whole ceiling out of sight."""
    with endpoint(logs=transfers(3), eth_getTransactionByHash=naming(NONCE + 1)) as node:
        assert charge(node) is None


def test_while_the_bit_is_clear_nothing_was_taken_yet() -> None:
    with endpoint(CLEAR) as node:
        assert charge(node) is None


def test_every_witness_has_to_tell_and_the_largest_charge_counts() -> None:
    with (
        endpoint(logs=transfers(3_000)) as one,
        endpoint(logs=transfers(7_000)) as other,
        endpoint(status(404)) as down,
    ):
        assert charge(one, other) == 7_000
        assert charge(one, down) is None
        assert charge() is None


def test_long_ranges_are_asked_in_parts_until_the_deadline_has_passed() -> None:
    asked: list[tuple[int, int]] = []

    def logs(question: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        first, last = (int(question["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
        asked.append((first, last))
        return (transfers(7_000) if first <= 2_100 <= last else transfers())(question)

    def blocks(question: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        tag = question["params"][0]
        number = 10**6 if tag == "latest" else int(tag, 16)
        return block(number, EXPIRES + (1 if number > 3_000 else -1))(question)

    with endpoint(logs=logs, eth_getBlockByNumber=blocks) as node:
        assert charge(node) == 7_000
    assert asked == [(60, 1_059), (1_060, 2_059), (2_060, 3_059)]


def test_a_range_without_an_end_is_given_up() -> None:
    with endpoint(eth_getBlockByNumber=block(10**9, EXPIRES - 1)) as node:
        assert charge(node) is None
    assert sum(one["method"] == "eth_getLogs" for one in node.asked) == 50


@pytest.mark.parametrize(
    "log", [{"data": "0x1", "transactionHash": HASH}, {"data": 7}, {"data": f"0x{7:064x}", "transactionHash": 7}, 7]
)
def test_a_log_that_makes_no_sense_tells_nothing(log: Any) -> None:
    with endpoint(logs=result([log])) as node:
        assert charge(node) is None


def test_an_endpoint_that_refuses_logs_tells_nothing() -> None:
    with endpoint(logs=error(-32005, "query returned more than 10000 results")) as node:
        assert charge(node) is None
        assert json.dumps(node.asked)
