"""Lists page by page: tidy ones to their end, untidy ones without being led in circles."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client import errors
from x402_client.discovery import Listing
from x402_client.discovery.survey import Answer, Survey

from .lists import answer, numbered, offer, record, survey

BUSY = [Answer(429), Answer(503), Answer(problem="it was too slow")]


def run(asked: Survey, *answers: Answer) -> tuple[list[Listing], list[tuple[str, dict[str, str]]]]:
    """Play answers, the last one for ever, and return what was found and asked."""
    left, found, questions = list(answers), list[Listing](), list[tuple[str, dict[str, str]]]()
    while (question := asked.next()) is not None:
        parts = urlsplit(question.url)
        questions.append((parts.path, dict(parse_qsl(parts.query))))
        found += asked.take(left.pop(0) if len(left) > 1 else left[0])
        assert len(questions) < 1_000
    return found, questions


def test_a_list_is_read_to_its_total() -> None:
    pages = [answer(*numbered(at, 2), pagination={"total": 5}) for at in (0, 2)]
    found, asked = run(survey(), *pages, answer(*numbered(4, 1), pagination={"total": 5}))
    assert [listing.url for listing in found] == [f"https://api.example/{number}" for number in range(5)]
    assert asked == [
        ("/discovery/resources", {"limit": "100"}),
        ("/discovery/resources", {"limit": "100", "offset": "2"}),
        ("/discovery/resources", {"limit": "100", "offset": "4"}),
    ]


def test_a_list_without_a_total_ends_with_an_empty_page() -> None:
    found, asked = run(survey(), answer(*numbered(0, 3)), answer())
    assert (len(found), len(asked)) == (3, 2)


def test_a_search_is_by_words_with_the_filters_that_are_known() -> None:
    found, asked = run(
        survey(query="sunny weather", networks=("eip155:8453",), max_price="0.050", kind="http"),
        answer(record("https://api.example/other"), name="resources"),
    )
    assert [listing.url for listing in found] == ["https://api.example/other"]  # the facilitator's search is believed
    fields = {
        "query": "sunny weather",
        "type": "http",
        "network": "eip155:8453",
        "maxUsdPrice": "0.050000",
        "limit": "20",
    }
    assert asked == [("/discovery/search", fields)]


def test_a_search_follows_cursors_until_there_is_none_or_the_same_again() -> None:
    def page(first: int, cursor: Any) -> Answer:
        return answer(*numbered(first, 2), name="resources", pagination={"limit": 2, "cursor": cursor})

    found, asked = run(survey(query="x"), page(0, "a"), page(2, "b"), page(4, None))
    assert (len(found), [fields.get("cursor") for _, fields in asked]) == (6, [None, "a", "b"])
    found, asked = run(survey(query="x"), page(0, "a"), page(2, "a"))
    assert (len(found), len(asked)) == (4, 2)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_where_there_is_no_search_the_list_is_searched_by_words(status: int) -> None:
    records = [
        record("https://a.example/"), record("https://b.example/", description="Sunny Weather"),
        record("https://c.example/weather", tags=["sunny"]), record("https://d.example/", description="Sunny"),
    ]  # fmt: skip
    found, asked = run(survey(query="weather SUNNY"), Answer(status), answer(*records, pagination={"total": 4}))
    assert [listing.host for listing in found] == ["b.example", "c.example"]
    assert [path for path, _ in asked] == ["/discovery/search", "/discovery/resources"]


@pytest.mark.parametrize("status", [400, 422])
def test_a_filter_that_is_not_known_is_left_out(status: int) -> None:
    found, asked = run(survey(query="x", max_price="0.05"), Answer(status), answer(record(), name="resources"))
    assert (len(found), ["maxUsdPrice" in fields for _, fields in asked]) == (1, [True, False])


def test_filters_hold_also_where_a_facilitator_ignores_them() -> None:
    solana = offer(network="solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", asset="USDC")
    records = [
        record("https://cheap.example/"), record("https://dear.example/", accepts=[offer(amount="60000")]),
        record("https://both.example/", accepts=[offer(amount="60000"), solana]),
        record("https://solana.example/", accepts=[solana]),
        record("https://odd.example/", accepts=[offer(asset="DOGE")]), record("https://tool.example/", type="mcp"),
    ]  # fmt: skip

    def hosts(**wanted: Any) -> list[str]:
        found, _ = run(survey(**wanted), answer(*records, pagination={"total": 6}))
        return [listing.host.partition(".")[0] for listing in found]

    assert hosts() == ["cheap", "dear", "both", "solana", "odd", "tool"]
    assert hosts(max_price="0.05") == ["cheap", "both", "solana", "tool"]
    assert hosts(max_price="0.05 EUR") == []
    assert hosts(networks=("eip155:8453",)) == ["cheap", "dear", "both", "odd", "tool"]
    assert hosts(networks=("eip155:137", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp")) == ["both", "solana"]
    assert hosts(kind="mcp") == ["tool"]


def test_one_dirty_entry_spoils_no_page_and_is_counted() -> None:
    asked = survey()
    dirty = [None, {"resource": "weather"}, record(accepts=[])]
    found, _ = run(asked, answer(numbered(0, 1)[0], *dirty, numbered(1, 1)[0]), answer())
    assert [listing.url[-1] for listing in found] == ["0", "1"]
    assert (asked.skipped, asked.failures, asked.partial) == (3, [], False)
    assert asked.faults[0] == "entry 2 of https://one.example: it is no object"


def test_an_entry_is_kept_without_what_is_nested_too_deep() -> None:
    deep: object = []
    for _ in range(100):
        deep = [deep]
    records = [record("https://a.example/"), record("https://b.example/", extensions={"x": deep})]
    asked = survey()
    found, _ = run(asked, answer(*records, pagination={"total": 2}))
    assert [listing.host for listing in found] == ["a.example", "b.example"]
    assert asked.failures == []


def test_control_characters_are_never_shown() -> None:
    body = json.dumps({"items": [record(description="Su@nny")]}).replace("@", "\x1b").encode()
    [listing], _ = run(survey(), Answer(200, body), answer())
    assert listing.description == "Su nny"


def test_of_many_dirty_entries_the_first_are_told() -> None:
    asked = survey()
    run(asked, answer(*[None] * 500), answer())
    assert (asked.skipped, len(asked.faults)) == (500, 20)


@pytest.mark.parametrize(
    "page", [answer(*numbered(0, 2)), answer(None, {}), answer(*numbered(0, 2), pagination={"total": 10**9})]
)
def test_a_facilitator_that_gives_the_first_page_for_ever_is_left(page: Answer) -> None:
    asked = survey()
    found, questions = run(asked, page)
    assert len(questions) == 2
    assert len(found) <= 2


def test_pages_without_end_end_where_they_were_said_to() -> None:
    asked = survey(pages=3)
    found, questions = run(asked, *(answer(*numbered(10 * at, 10)) for at in range(50)))
    assert (len(found), len(questions), asked.partial) == (30, 3, True)


def test_a_page_with_too_many_entries_is_cut() -> None:
    asked = survey(pages=1)
    found, _ = run(asked, answer(*numbered(0, 2_100)))
    assert (len(found), asked.partial) == (2_000, True)


def test_what_two_facilitators_list_is_given_once_and_both_are_read_to_the_end() -> None:
    asked = survey("https://one.example", "https://two.example")
    pages = [answer(*numbered(0, 2)), answer(), answer(*numbered(0, 2)), answer(*numbered(2, 2)), answer()]
    found, _ = run(asked, *pages)
    assert [listing.facilitator for listing in found] == ["https://one.example"] * 2 + ["https://two.example"] * 2


def test_one_url_with_two_methods_or_tools_is_two_listings() -> None:
    def told(**input: str) -> dict[str, Any]:
        return record(extensions={"bazaar": {"info": {"input": input}}})

    records = [told(method="GET"), told(method="post"), told(method="GET"), told(tool="a"), told(tool="b")]
    found, _ = run(survey(), answer(*records, pagination={"total": 5}))
    assert [(listing.method, listing.tool) for listing in found] == [("GET", ""), ("POST", ""), ("", "a"), ("", "b")]


@pytest.mark.parametrize("busy", BUSY)
def test_a_busy_facilitator_is_asked_once_more(busy: Answer) -> None:
    asked = survey()
    assert asked.next() is not None
    assert asked.take(busy) == []
    again = asked.next()
    assert again is not None
    assert 0 < again.wait <= 3
    assert len(asked.take(answer(record(), pagination={"total": 1}))) == 1
    assert asked.next() is None


def test_a_wait_that_is_asked_for_is_bounded() -> None:
    asked = survey()
    asked.next()
    asked.take(Answer(429, wait=86_400))
    question = asked.next()
    assert question is not None
    assert question.wait == 3


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Answer(500), "it answered 500"),
        (Answer(402), "it answered 402"),
        (Answer(problem="ConnectError"), "ConnectError"),
        (Answer(200, b"<html>"), "its answer is not JSON"),
        (Answer(200, b"{}"), "its answer has no list of entries"),
    ],
)
def test_a_facilitator_that_fails_alone_is_an_error_and_beside_others_a_line(broken: Answer, words: str) -> None:
    with pytest.raises(errors.DiscoveryUnavailable, match=words) as raised:
        run(survey(), broken)
    assert raised.value.money == "untouched"
    asked = survey("https://one.example", "https://two.example")
    sound = answer(record(), pagination={"total": 1})
    left = [broken, broken] if broken.problem or broken.status == 500 else [broken]
    found, _ = run(asked, *left, sound)
    assert len(found) == 1
    assert asked.failures[0].startswith(f"https://one.example: {words}")


def test_a_list_that_breaks_off_gives_what_it_gave_and_then_the_error() -> None:
    asked, given = survey(), []
    asked.next()
    given += asked.take(answer(*numbered(0, 3)))
    asked.next()
    given += asked.take(Answer(403))
    assert len(given) == 3
    with pytest.raises(errors.DiscoveryUnavailable, match="it answered 403 after 1 of its pages"):
        asked.next()


_PAGES = st.builds(
    lambda records, more: answer(*records, **more),
    st.lists(st.sampled_from([*numbered(0, 6), None, {}, record(accepts=[])]), max_size=5),
    st.fixed_dictionaries({}, optional={
        "pagination": st.fixed_dictionaries({}, optional={
            "total": st.integers(-1, 20), "cursor": st.sampled_from(["a", "b", "", None])}),
        "partialResults": st.booleans()}),
)  # fmt: skip
_ANSWERS = st.one_of(_PAGES, st.builds(Answer, st.sampled_from([200, 400, 404, 429, 500]), st.just(b"[]")),
                     st.just(Answer(problem="gone")))  # fmt: skip


@given(st.lists(_ANSWERS, min_size=1, max_size=12), st.sampled_from(["", "weather"]), st.integers(1, 4))
def test_any_answers_come_to_an_end_and_no_listing_comes_twice(answers: list[Answer], query: str, pages: int) -> None:
    asked = survey("https://one.example", "https://two.example", query=query, pages=pages)
    left, found, count = list(answers), list[str](), 0
    try:
        while asked.next() is not None:
            found += [listing.url for listing in asked.take(left.pop(0) if len(left) > 1 else left[0])]
            count += 1
            assert count <= 2 * (2 * pages + 4)
    except errors.DiscoveryUnavailable:
        assert len(asked.failures) == 2
    assert len(found) == len(set(found))
