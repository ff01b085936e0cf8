"""``discover`` and ``adiscover`` against the sandbox's own list: judged by a buyer, by a policy, or by nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.adapters.scripted_server import Server
from x402_client import Buyer, Limit, Money, Policy, Token, Wallet, errors
from x402_client.discovery import FACILITATORS, AsyncListings, Listing, Listings, adiscover, discover
from x402_client.discovery.judging import judge_of, origin_of
from x402_client.discovery.records import read_listing
from x402_client.model.hosts import Pattern
from x402_client.sandbox import Sandbox

from .lists import answer, numbered, offer, record

KEY = "0x" + "46" * 32


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        made.sell("/poem", "0.02", description="Four lines,\nrhymed")
        yield made


def paths(found: Listings | list[Listing]) -> list[str]:
    return [listing.url.rpartition("/")[2] for listing in found]


def serve(*pages: Any) -> Server:
    server = Server()
    scripts = [lambda exchange, body=one.body: exchange.answer(200, body) for one in pages]
    server.on("/discovery/resources", *scripts)
    return server


def test_a_buyers_policy_and_keys_judge_each_listing(sandbox: Sandbox) -> None:
    buyer = sandbox.buyer(Policy(per_request="0.02", per_day="1"))
    found = {listing.url.rpartition("/")[2]: listing for listing in discover(facilitator=sandbox.url, buyer=buyer)}
    assert list(found) == ["weather", "report", "yacht", "poem"]
    poem, yacht = found["poem"], found["yacht"]
    assert (poem.price, poem.method, poem.description) == (Money("0.02"), "GET", "Four lines, rhymed")
    assert poem.choice is not None
    assert [reason.partition("): ")[2] for reason in poem.reasons] == ["offer 1 costs the same and comes first"]
    assert (yacht.choice, yacht.price) == (None, Money("250000"))
    assert [reason.partition("): ")[2] for reason in yacht.reasons] == [
        "it costs 250000.00 USD; one payment may cost 0.02 USD"
    ] * 2
    assert sandbox.visits == sandbox.settlements == []


def test_an_allowance_judges_as_its_buyer_does_and_by_its_own_terms(sandbox: Sandbox) -> None:
    buyer = sandbox.buyer(Policy(per_request="1"))
    cheap = buyer.allowance("5", per_request="0.02").allowance("1")
    assert [listing.choice is not None for listing in discover("poem", facilitator=sandbox.url, buyer=cheap)] == [True]
    [report] = discover("report", facilitator=sandbox.url, buyer=cheap)
    assert report.choice is None
    assert "one payment may cost 0.02 USD" in report.reasons[0]
    away = buyer.allowance("5", name="away", hosts=["other.example"])
    [poem] = discover("poem", facilitator=sandbox.url, buyer=away)
    assert poem.choice is None
    assert "is not among the hosts of the allowance 'away' (other.example)" in poem.refusal
    [poem] = discover("poem", facilitator=sandbox.url, buyer=buyer.allowance("5 EUR"))
    assert "pays nothing in USD" in poem.reasons[0]


def test_a_policy_alone_judges_as_if_there_were_every_key(sandbox: Sandbox) -> None:
    policy = sandbox.policy(Policy(per_request="0.02", networks=["solana-devnet"]))
    [poem] = discover("poem", facilitator=sandbox.url, policy=policy)
    assert poem.choice is not None
    assert poem.choice.position == 2
    assert poem.reasons[0].endswith("offer 2 is preferred (exact on solana-devnet, 0.02 USD)")


def test_without_either_there_are_prices_of_known_tokens_and_no_judgement(sandbox: Sandbox) -> None:
    [poem] = discover("poem", facilitator=sandbox.url)
    assert [one.price for one in poem.offers] == [None, Money("0.02", "USD (test)")]
    assert (poem.price, poem.choice, poem.reasons) == (Money("0.02", "USD (test)"), None, ())


def test_a_key_that_is_missing_a_host_that_is_denied_and_plain_http_are_reasons() -> None:
    solana = offer(network="solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", asset="USDC")
    records = [
        record("https://good.example/"), record("https://bad.example/"), record("http://plain.example/"),
        record("https://solana.example/", accepts=[solana]),
    ]  # fmt: skip
    buyer = Buyer(Wallet(evm=KEY), Policy(per_request="1", hosts={"bad.example": "deny"}), ledger=":memory:")
    with serve(answer(*records, pagination={"total": 4})) as server:
        good, bad, plain, other = discover(facilitator=server.url(""), buyer=buyer)
    assert (good.choice is not None, good.refusal, good.reasons) == (True, "", ())
    assert (bad.choice, bad.refusal) == (
        None,
        "https://bad.example is denied by the policy's hosts entry 'bad.example'.",
    )
    assert "is not https, so anybody on the way could change the terms" in plain.refusal
    assert (other.choice, other.reasons[0].partition("): ")[2]) == (None, "the wallet has no key for solana")


def test_a_vouched_token_has_a_price_for_those_who_vouch() -> None:
    odd = "0x" + "ab" * 20
    policy = Policy(per_request="1", tokens=[Token("base", odd, "ODD", decimals=2, name="Odd", version="1")])
    with serve(answer(record(accepts=[offer(asset=odd, amount="5")]), pagination={"total": 1})) as server:
        assert [one.price for one in discover(facilitator=server.url(""))] == [None]
        assert [one.price for one in discover(facilitator=server.url(""), policy=policy)] == [Money("0.05")]


def test_max_price_filters_and_is_a_reason_against_dearer_offers(sandbox: Sandbox) -> None:
    buyer = sandbox.buyer(Policy(per_request="1000000"))
    assert paths(discover(facilitator=sandbox.url, buyer=buyer, max_price="0.02")) == ["weather", "poem"]
    both = record(accepts=[offer(amount="9000000"), offer(amount="10000")])
    with serve(answer(both, pagination={"total": 1})) as server:
        [listing] = discover(facilitator=server.url(""), policy=Policy(per_request="10"), max_price="0.05")
    assert listing.price == Money("0.01")
    assert listing.reasons[0].endswith("it costs 9.00 USD; one payment may cost 0.05 USD")


def test_pages_are_asked_for_when_they_are_needed_and_no_sooner() -> None:
    pages = [answer(*numbered(2 * at, 2), pagination={"total": 6}) for at in range(3)]
    with serve(*pages) as server:
        found = discover(facilitator=server.url(""))
        assert server.requests == []
        assert paths([next(found), next(found)]) == ["0", "1"]
        assert len(server.requests) == 1
        assert paths(found) == ["2", "3", "4", "5"]
        assert list(found) == []
        assert len(server.requests) == 3


def test_a_limit_ends_it_without_another_page() -> None:
    with serve(*(answer(*numbered(2 * at, 2)) for at in range(9))) as server:
        assert paths(discover(facilitator=server.url(""), limit=3)) == ["0", "1", "2"]
        assert len(server.requests) == 2


def test_what_was_left_out_and_who_did_not_answer_can_be_asked() -> None:
    with serve(answer(None, record(), pagination={"total": 2})) as server:
        found = discover(facilitator=["http://127.0.0.1:9", server.url("")])
        assert len(list(found)) == 1
        assert (found.skipped, found.partial, len(found.failures)) == (1, False, 1)
        assert found.faults == (f"entry 1 of {server.url('')}: it is no object",)
        assert found.failures[0].startswith("http://127.0.0.1:9: ConnectError")
        assert repr(found) == f"<Listings of http://127.0.0.1:9, {server.url('')}: 1 skipped, 1 failed>"


def test_where_none_answers_it_is_an_error_that_names_them() -> None:
    with pytest.raises(errors.DiscoveryUnavailable, match=r"http://127\.0\.0\.1:9: ConnectError") as raised:
        list(discover(facilitator="http://127.0.0.1:9"))
    assert raised.value.money == "untouched"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_twin_finds_the_same(sandbox: Sandbox, backend: str) -> None:
    async def main() -> None:
        found = adiscover(facilitator=sandbox.url, limit=3)
        assert isinstance(found, AsyncListings)
        assert [listing.url async for listing in found] == [
            listing.url for listing in discover(facilitator=sandbox.url, limit=3)
        ]
        with pytest.raises(errors.DiscoveryUnavailable):
            [one async for one in adiscover(facilitator="http://127.0.0.1:9")]

    anyio.run(main, backend=backend)


def test_no_ledger_is_opened(sandbox: Sandbox, tmp_path: Path) -> None:
    assert paths(discover(facilitator=sandbox.url, policy=Policy(per_request="1"))) != []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"facilitator": []}, "facilitator is empty"),
        ({"facilitator": "weather"}, "'weather' is no facilitator's; write one"),
        ({"facilitator": "ftp://a.example"}, "The URL of a.example is no facilitator's"),
        ({"facilitator": "https://k:secret@a.example"}, "The URL of a.example is no facilitator's"),
        ({"facilitator": "https://a.example/?key=secret"}, "The URL of a.example is no facilitator's"),
        ({"facilitator": "http://a.example"}, "is not https, so anybody on the way could change the list"),
        ({"query": 7}, "query is a text"),
        ({"query": "x" * 401}, "query is a text of at most 400 characters"),
        ({"network": "bse"}, "did you mean \"base\""),
        ({"network": []}, "networks is empty"),
        ({"max_price": 0.05}, "floats round"),
        ({"kind": "ftp"}, 'kind is "http" or "mcp"'),
        ({"limit": 0}, "limit is a whole number above zero"),
        ({"pages": True}, "pages is a whole number above zero"),
        ({"timeout": 0}, "timeout is a number of seconds"),
        ({"headers": {"a": 1}}, "headers maps names"),
        ({"policy": "policy.toml"}, "policy is a Policy, not str"),
        ({"buyer": "me"}, "buyer is a Buyer"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_before_anything_is_asked(wrong: dict[str, Any], words: str) -> None:
    for look in (discover, adiscover):
        with pytest.raises(errors.ConfigurationError) as raised:
            look(**{"facilitator": "http://127.0.0.1:9", **wrong})  # type: ignore[operator]
        assert words in raised.value.args[0]
        assert "secret" not in str(raised.value)


def test_a_buyer_has_its_own_policy(sandbox: Sandbox) -> None:
    with pytest.raises(errors.ConfigurationError, match="not both"):
        discover(facilitator=sandbox.url, buyer=sandbox.buyer(), policy=Policy(per_day="1"))


def test_a_facilitator_is_named_in_several_ways(sandbox: Sandbox) -> None:
    for url in (sandbox.url + "/", sandbox.url + "/discovery/resources", f" {sandbox.url}"):
        assert len(list(discover(facilitator=[url, sandbox.url]))) == 4
    assert all(url.startswith("https://") for url in FACILITATORS)


def test_hosts_that_a_policy_allows_over_http_may_be_facilitators() -> None:
    policy = Policy(per_day="1", hosts={"x.example": Limit(per_day="1")}, http_hosts=["lan.example"])
    assert discover(facilitator="http://lan.example/x402", policy=policy).skipped == 0


INSIDE = [
    "http://127.0.0.1:9/", "http://localhost/", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/",
    "https://192.168.1.1/", "https://[fd00::1]/", "https://0x0a000001/", "https://[64:ff9b::a9fe:a9fe]/",
    "https://metadata.google.internal/", "https://intranet/", "https://nas.local/",
]  # fmt: skip


@pytest.mark.parametrize("url", INSIDE)
@pytest.mark.parametrize("judged", ["by a policy", "by nothing"])
def test_a_strangers_list_that_leads_inside_is_told_of_beforehand(url: str, judged: str) -> None:
    policy = Policy(per_request="1")
    judge = judge_of(None, policy if judged == "by a policy" else None, None)
    inside = judge(read_listing(record(url), "https://list.example"))
    outside = judge(read_listing(record(), "https://list.example"))
    assert (inside.choice, outside.refusal) == (None, "")
    assert inside.reasons[0] == inside.refusal
    assert inside.refusal.startswith(str(origin_of(url)))
    assert "where a stranger's list must not lead; list it in Policy(hosts=" in inside.refusal
    assert (outside.choice is not None) is (judged == "by a policy")


def test_a_place_inside_that_the_user_named_may_be_led_to() -> None:
    listing = read_listing(record("https://10.0.0.1/"), "https://list.example")
    for policy, hosts in (
        (Policy(per_request="1", hosts={"10.0.0.1": Limit(per_day="1")}), ()),
        (Policy(per_request="1"), (Pattern.parse("10.0.0.1"),)),
    ):
        judged = judge_of(None, policy, None, hosts)(listing)
        assert (judged.refusal, judged.choice is not None) == ("", True)
    neighbour = judge_of(None, Policy(per_request="1"), None)(
        read_listing(record("https://10.0.0.1/"), "https://10.0.0.1")
    )
    assert neighbour.choice is not None


def test_a_list_on_this_machine_leads_to_this_machine_and_no_further_inside() -> None:
    judge = judge_of(None, Policy(per_request="1", http_hosts=["169.254.169.254"]), None)
    here = "http://localhost:8402"
    assert judge(read_listing(record("http://127.0.0.1:9/"), here)).choice is not None
    assert judge(read_listing(record("http://169.254.169.254/"), here)).refusal


def test_only_the_named_hosts_are_listed() -> None:
    with serve(
        answer(record("https://api.example/a"), record("https://b.other.example/"), record("https://10.0.0.1/"))
    ) as server:
        found = discover(
            facilitator=server.url(""), hosts=["*.other.example", "10.0.0.1"], policy=Policy(per_request="1")
        )
        assert [(one.host, one.choice is not None) for one in found] == [("b.other.example", True), ("10.0.0.1", True)]
    with pytest.raises(errors.ConfigurationError, match="hosts is a list"):
        discover(hosts="api.example")
