"""The search for a payment on Solana, against an account whose history is long, and endpoints that page it oddly."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from x402_client.chains import solana_settlement as module
from x402_client.chains.rpc_answers import Garbage
from x402_client.chains.solana import LIFE_SECONDS
from x402_client.chains.solana_settlement import look
from x402_client.errors import ChainUnavailable
from x402_client.model.holds import Authorization, Hold, Purchase
from x402_client.model.hosts import Origin
from x402_client.model.networks import SOLANA_DEVNET
from x402_client.model.offers import Offer

NOW = int(time.time())
MADE, LAST = 10_000, 10_100
OWN = "our signature"


def signed(nonce: str = "our memo", last: int | None = LAST, bound: int | None = None) -> Authorization:
    known = {"blockhash": "hash", "last_valid_height": last, "height_bound": bound, "slot": MADE}
    return Authorization(
        nonce, "payer", NOW, ("X-PAYMENT", ""), {"signature": OWN, "token_account": "account", **known}
    )


def hold(authorization: Authorization) -> Hold:
    purchase = Purchase("id", "request", False, "GET", "http://seller/", Origin("http", "seller", 80))
    offer = Offer(1, 2, "exact", SOLANA_DEVNET, 10_000, "mint", "seller")
    return Hold("1", purchase, offer, None, 0.0, "signed", authorization=authorization)  # type: ignore[arg-type]


def time_of(slot: int) -> int:
    """Return the chain's time of a slot, on a chain of the usual pace, where our clock was right as we signed."""
    return NOW - LIFE_SECONDS + (slot - MADE) * 2 // 5


class Node:
    """A node that knows an account's transactions, newest first, and gives at most so many of them at once."""

    def __init__(self, entries: list[dict[str, Any]], most: int = 1000, **answers: Any) -> None:
        self.entries, self.most = entries, most
        known = {"getSlot": MADE + 500, "getBlockHeight": LAST + 400, "getFirstAvailableBlock": 0}
        known |= {"isBlockhashValid": {"value": False}, "getBlockTime": time_of}
        self.answers = known | answers
        self.pages = self.lookups = 0

    def call(self, method: str, *params: Any) -> Any:
        if method == "getSignaturesForAddress":
            self.pages += 1
            options = params[1]
            names = [one["signature"] for one in self.entries]
            first = names.index(options["before"]) + 1 if "before" in options else 0
            return self.entries[first:][: min(self.most, options["limit"])]
        if method == "getTransaction":
            self.lookups += 1
            return {"transaction": {"signatures": ["fee payer", OWN if params[0] == "landed" else params[0]]}}
        found = self.answers[method]
        return found(*params) if callable(found) else found


def entry(name: str, slot: int, memo: str | None) -> dict[str, Any]:
    return {"signature": name, "slot": slot, "err": None, "memo": memo, "blockTime": time_of(slot)}


def others(count: int, slot: int = MADE + 50, memo: str | None = "[5] other") -> list[dict[str, Any]]:
    return [entry(f"{slot}-{number}", slot, memo) for number in range(count)]


LANDED = entry("landed", MADE + 10, "[8] our memo")
OLD = others(3, MADE - 1_000)


def asked(node: Any, authorization: Authorization | None = None) -> str:
    this = hold(authorization or signed())
    assert this.authorization is not None
    return look(node, this, this.authorization)


@pytest.mark.parametrize("since", [0, 1, 199, 200, 201, 999, 1000, 1001, 2300])
@pytest.mark.parametrize("most", [100, 1000])
def test_a_payment_is_found_behind_all_that_landed_since(since: int, most: int) -> None:
    assert asked(Node([*others(since), LANDED, *OLD], most)) == "settled"
    assert asked(Node([*others(since), *OLD], most)) == "not_settled"


@settings(max_examples=60)
@given(st.integers(0, 60), st.integers(1, 30), st.integers(0, 40), st.booleans(), st.booleans())
def test_however_it_is_paged(since: int, most: int, older: int, landed: bool, old_enough: bool) -> None:
    rest = others(older, MADE - 1_000 if old_enough else MADE - 100)
    node = Node([*others(since), *([LANDED] if landed else []), *rest], most)
    found: Any
    try:
        found = asked(node)
    except Garbage:
        found = "could not tell"
    through = most * module._PAGES
    if landed and since < through:
        assert found == "settled"
    elif not landed and since + (0 if old_enough else older) < through - most:
        assert found == "not_settled"
    else:
        assert found != "not_settled" or not landed


def test_a_page_that_is_not_full_is_no_end() -> None:
    node = Node([*others(150), LANDED, *OLD], most=100)
    assert asked(node) == "settled"
    assert node.pages == 2


def test_beyond_the_bound_nothing_is_proven() -> None:
    busy = others(module._PAGE * module._PAGES)
    with pytest.raises(Garbage):
        asked(Node([*busy, LANDED]))
    with pytest.raises(Garbage):
        asked(Node(busy))


def test_transactions_that_only_their_content_tells_apart_are_bounded_too() -> None:
    """Without a memo of our own each one has to be read."""
    plain = signed(nonce=OWN)
    assert asked(Node([*others(300, memo=None), LANDED, *OLD]), plain) == "settled"
    node = Node(others(module._LOOKUPS + 1, memo=None))
    with pytest.raises(Garbage):
        asked(node, plain)
    assert node.lookups <= module._LOOKUPS


def test_an_endpoint_that_gives_one_page_for_ever_is_left() -> None:
    class Stuck(Node):
        def call(self, method: str, *params: Any) -> Any:
            return others(10) if method == "getSignaturesForAddress" else super().call(method, *params)

    with pytest.raises(Garbage):
        asked(Stuck([]))


@pytest.mark.parametrize("page", [None, {}, [None], [1], [{"slot": MADE + 1, "err": None}], "page"])
def test_garbage_in_a_page_is_no_absence(page: Any) -> None:
    class Odd(Node):
        def call(self, method: str, *params: Any) -> Any:
            return page if method == "getSignaturesForAddress" else super().call(method, *params)

    with pytest.raises(Garbage):
        asked(Odd([]), signed(nonce=OWN))


@pytest.mark.parametrize(
    ("finalized", "processed", "expected"),
    [
        (LAST - 10, LAST, "live"),
        (LAST - 10, LAST + 1, "unknown"),
        (LAST, LAST + 40, "unknown"),
        (LAST + 1, LAST + 41, "not_settled"),
        (None, LAST, Garbage),
        (LAST, "soon", Garbage),
    ],
)
def test_heights_tell_what_lives(finalized: Any, processed: Any, expected: Any) -> None:
    def height(options: dict[str, str]) -> Any:
        return finalized if options["commitment"] == "finalized" else processed

    check(Node([], getBlockHeight=height), signed(), expected)


@pytest.mark.parametrize(
    ("usable", "at", "expected"),
    [
        (True, 10_000, "live"),
        (False, -700, "live"),  # our clock was fast: by the chain's it has not expired
        (False, 0, "live"),
        (False, 1, "unknown"),
        # A node that never saw the blockhash says no as well: the chain's clock has to be past a margin.
        (False, 59, "unknown"),
        (False, 60, "unknown"),
        (False, 61, "not_settled"),
        (None, 10_000, Garbage),
        (False, None, Garbage),
    ],
)
@pytest.mark.parametrize("bounded", [True, False])
def test_a_hints_end_goes_by_a_bound_and_the_chains_clock_and_a_margin(
    usable: Any, at: int | None, expected: Any, bounded: bool
) -> None:
    node = Node(OLD, isBlockhashValid={"value": usable}, getBlockTime=None if at is None else NOW + at)
    unbounded = "unknown" if expected == "not_settled" else expected
    check(node, signed(last=None, bound=LAST if bounded else None), expected if bounded else unbounded)


@pytest.mark.parametrize(("height", "expected"), [(LAST, "live"), (LAST + 1, "not_settled")])
def test_no_clock_makes_up_for_a_height_within_the_bound(height: int, expected: str) -> None:
    """Our clock was slow while we signed: by the chain's clock the payment expired long ago, and it can land."""
    check(Node(OLD, getBlockHeight=height, getBlockTime=NOW + 10**6), signed(last=None, bound=LAST), expected)


def test_a_node_that_has_the_blockhash_contradicts_a_wrong_height() -> None:
    """An endpoint that lied before the payment was signed is one witness; the other one is not to follow it."""
    check(Node(OLD, isBlockhashValid={"value": True}), signed(), "live")


@settings(max_examples=300, deadline=None)
@given(
    told=st.one_of(st.integers(MADE - 100, MADE + 1_500), st.integers(0, 10**9)),
    lands=st.integers(0, 150),
    since=st.integers(0, 30),
    most=st.integers(2, 40),
    memo=st.sampled_from([None, "[8] our memo", "[9] order 7 of a seller's"]),
    begins=st.one_of(st.just(0), st.integers(MADE - 500, MADE + 10_000)),
    later=st.integers(400, 10**6),
    fast=st.one_of(st.just(0), st.integers(-86_400, 60)),
)
def test_no_slot_that_one_endpoint_told_hides_a_payment_from_another(
    told: int, lands: int, since: int, most: int, memo: str | None, begins: int, later: int, fast: int
) -> None:
    """The slot, too, is what one endpoint told before. A payment without a memo of ours is read itself."""
    landed = entry("landed", MADE + lands, memo)
    known = [one for one in (*others(since, MADE + 160, memo=memo), landed, *OLD) if one["slot"] >= begins]
    node = Node(known, most, getFirstAvailableBlock=begins, getSlot=MADE + later, getBlockHeight=LAST + later)
    own = signed("our memo" if memo == landed["memo"] == LANDED["memo"] else OWN)
    wrong = replace(own, evidence={**own.evidence, "slot": told}, expires=own.expires + fast)
    try:
        found = asked(node, wrong)
    except Garbage:
        found = "could not tell"
    assert found != "not_settled"
    assert found == "settled" or landed not in known


@settings(max_examples=200, deadline=None)
@given(
    fakes=st.lists(st.sampled_from(["[8] our memo", "[9] x our memo x"]), max_size=30),
    place=st.none() | st.integers(0, 30),
    read=st.sampled_from(["whole", "nothing", "silence"]),
)
def test_no_transaction_with_the_payments_memo_passes_for_the_payment(
    fakes: list[str], place: int | None, read: str
) -> None:
    """The seller knows the memo, and can send one of its own. It is read; where none can be read, the memo decides."""

    class Reading(Node):
        def call(self, method: str, *params: Any) -> Any:
            if method == "getTransaction" and read != "whole":
                if read == "silence":
                    raise ChainUnavailable("silent")
                return None
            return super().call(method, *params)

    known = [entry(f"fake {number}", MADE + 20, memo) for number, memo in enumerate(fakes)]
    if place is not None:
        known.insert(place, LANDED)
    expected = place is not None or (bool(fakes) and read != "whole")
    assert asked(Reading([*known, *OLD])) == ("settled" if expected else "not_settled")


def test_an_account_with_much_traffic_is_searched_only_to_where_the_payment_was_made() -> None:
    node = Node([LANDED | {"signature": "x", "memo": None}, *others(3_000, MADE - 400, memo=None)], most=100)
    assert asked(node, signed(nonce=OWN)) == "not_settled"
    assert (node.pages, node.lookups) == (2, 2)  # once among what is confirmed, and once among what is final


def check(node: Node, authorization: Authorization, expected: Any) -> None:
    if isinstance(expected, str):
        assert asked(node, authorization) == expected
    else:
        with pytest.raises(expected):
            asked(node, authorization)


@pytest.mark.parametrize(
    ("first", "expected"),
    [(0, "not_settled"), (MADE - 152, "not_settled"), (MADE - 151, "not_settled"), (MADE - 149, "unknown"),
     (MADE + 400, "unknown"), (None, Garbage), ("0", Garbage)],
)  # fmt: skip
def test_a_history_that_begins_after_the_payment_proves_nothing(first: Any, expected: Any) -> None:
    """Nodes forget after a few days: a payment that landed before is absent there."""
    check(Node([], getFirstAvailableBlock=first), signed(), expected)


@pytest.mark.parametrize(
    ("at", "expected"), [(-7 * 3600, "not_settled"), (-5 * 3600, "unknown"), (0, "unknown"), (None, "unknown")]
)
def test_where_the_slot_is_not_known_the_first_blocks_time_tells(at: int | None, expected: str) -> None:
    def told(slot: int) -> int | None:
        return NOW + 1_000 if slot != 5 else None if at is None else NOW + at

    node = Node(OLD, getBlockTime=told, getFirstAvailableBlock=5)
    unplaced = signed()
    check(node, replace(unplaced, evidence={**unplaced.evidence, "slot": None}), expected)


def test_a_slot_that_is_none_tells_nothing() -> None:
    check(Node(OLD, getSlot="now"), signed(), Garbage)


@pytest.mark.parametrize("method", ["getSignaturesForAddress", "getSlot", "getBlockHeight"])
def test_silence_is_no_absence(method: str) -> None:
    class Silent(Node):
        def call(self, name: str, *params: Any) -> Any:
            if name == method:
                raise ChainUnavailable("silent")
            return super().call(name, *params)

    read: Callable[[], str] = lambda: asked(Silent(OLD))  # noqa: E731
    with pytest.raises(ChainUnavailable):
        read()
