"""``payable_tool``: the function that a schema makes, where its arguments go, and what it may cost."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any, Literal, get_type_hints
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.scripted_server import Server
from x402_client import Limit, Policy, errors
from x402_client.agents import payable_tool
from x402_client.agents.schemas import arguments_of, description_of, parameters_of
from x402_client.discovery import discover
from x402_client.sandbox import Sandbox

from .clients import Toolbox

CITY = {
    "properties": {"days": {"type": "integer"}, "city": {"type": "string", "description": "Its name"}},
    "required": ["city"],
}


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that answers with what it was asked."""
    with Server() as made:
        made.fallback = lambda one: one.answer(200, json.dumps([one.seen.target, one.read_body().decode()]).encode())
        yield made


def buyer(seller: Sandbox) -> Any:
    return seller.buyer(Policy(per_request="0.10", per_day="5"))


def asked(found: dict[str, Any]) -> tuple[str, str]:
    assert found["ok"], found
    target, body = json.loads(found["body"])
    return target, body


def test_it_is_paid_up_to_its_own_cap_and_no_more(box: Toolbox, seller: Sandbox) -> None:
    url = seller.sell("/weather", "0.02", content="Rain.")
    found = box.payable(own := buyer(seller), url, CITY, "0.03")(city="Rome", days=3)
    assert (found["body"], found["paid"], found["left"]) == ("Rain.", "0.02 USD", "4.98 USD of the day's budget")
    refused = box.payable(own, url, CITY, max_usd="0.01")("Rome")
    assert (refused["ok"], refused["error"], refused["next"]) == (False, "TooExpensive", "stop")
    assert len(seller.settlements) == 1


def test_arguments_go_into_the_query_or_into_a_body(box: Toolbox, seller: Sandbox, server: Server) -> None:
    own, url = buyer(seller), server.url("/weather?units=si")
    assert asked(box.payable(own, url, CITY)(city="a&b=c", days=3)) == ("/weather?units=si&city=a%26b%3Dc&days=3", "")
    assert asked(box.payable(own, url, CITY, method="post")("Rome")) == ("/weather?units=si", '{"city": "Rome"}')
    lists = {"properties": {"tags": {"type": "array"}, "deep": {"type": "object"}, "on": {"type": "boolean"}}}
    target, _ = asked(box.payable(own, url, lists)(tags=["a", 2], deep={"b": [1]}, on=True))
    assert parse_qs(urlsplit(target).query) == {
        "units": ["si"], "tags": ["a", "2"], "deep": ['{"b": [1]}'], "on": ["true"],
    }  # fmt: skip
    assert asked(box.payable(own, server.url("/plain"))()) == ("/plain", "")


def test_arguments_go_into_the_places_of_a_path(box: Toolbox, seller: Sandbox, server: Server) -> None:
    own = buyer(seller)
    assert asked(box.payable(own, server.url("/in/{city}/now"), CITY)("a/b?c", days=2)) == (
        "/in/a%2Fb%3Fc/now?days=2",
        "",
    )
    assert asked(box.payable(own, server.url("/in/:city"), CITY, method="POST")("Rome")) == ("/in/Rome", "")
    for value in ("..", ".", ""):
        found = box.payable(own, server.url("/in/{city}"), CITY)(value)
        assert (found["ok"], found["error"], found["next"]) == (False, "NotFetched", "stop")
    assert "city is missing" in box.payable(own, server.url("/in/{city}"), {"properties": {"city": {}}})()["says"]
    assert asked(box.payable(own, server.url("/at/:time/x"))()) == ("/at/:time/x", "")  # not every colon is a place
    assert all(".." not in seen.target for seen in server.requests)


def test_only_its_own_host_is_asked(box: Toolbox, seller: Sandbox, server: Server) -> None:
    with Server() as other:
        other.on("/in", lambda one: one.answer(200, b"secret"))
        server.on("/go", lambda one: one.answer(302, b"", [("Location", other.url("/in"))]))
        assert box.payable(own := buyer(seller), server.url("/go"))()["error"] == "NotFetched"
        assert other.requests == []
        assert box.payable(own, server.url("/go"), hosts=["127.0.0.1"])()["body"] == "secret"


def test_wrong_arguments_are_a_result_that_says_which_are_right(box: Toolbox, seller: Sandbox, server: Server) -> None:
    ask = box.payable(buyer(seller), server.url("/weather"), CITY)
    for found in (ask(), ask(town="Rome"), ask("a", 1, 2), ask("a", city="b")):
        assert (found["ok"], found["error"], found["money"], found["next"]) == (
            False,
            "NotFetched",
            "untouched",
            "stop",
        )
        assert "it takes city, days." in found["says"]
    assert ask(city=float("nan"))["ok"] is False
    assert ask(city=object())["ok"] is False
    assert server.requests == []


FITTING: list[tuple[dict[str, Any], list[Any], list[Any]]] = [
    ({"type": "string"}, ["a", ""], [1, True, ["a"], {}]),
    ({"type": "integer"}, [1, -1, 2.0], ["1", "many", 1.5, True]),
    ({"type": "number"}, [1, 1.5], ["1", False]),
    ({"type": "boolean"}, [True, False], [1, "true"]),
    ({"type": "array"}, [[], [1]], ["a", {}]),
    ({"type": "object"}, [{}, {"a": 1}], ["a", []]),
    ({"type": ["string", "integer"]}, ["a", 1], [1.5, True]),
    ({"type": "nonsense"}, ["a", 1, True], []),
    ({}, ["a", 1, True], []),
    ({"enum": ["a", 1]}, ["a", 1], ["b", True, 2]),
    ({"enum": "nonsense"}, ["b"], []),
    ({"type": "integer", "minimum": 1, "maximum": 3}, [1, 3], [0, 4, -1]),
    ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 3}, [1.5], [1, 3]),
    ({"minimum": "nonsense", "maximum": True}, [-9, 9, "a"], []),
]


@pytest.mark.parametrize(("schema", "right", "wrong"), FITTING, ids=[str(one[0]) for one in FITTING])
def test_an_argument_outside_of_its_schema_is_never_paid_for(
    box: Toolbox, seller: Sandbox, server: Server, schema: dict[str, Any], right: list[Any], wrong: list[Any]
) -> None:
    ask = box.payable(buyer(seller), server.url("/weather"), {"properties": {"n": schema}, "required": ["n"]})
    for value in wrong:
        found = ask(n=value)
        assert (found["ok"], found["error"], found["money"]) == (False, "NotFetched", "untouched"), value
        assert found["says"].startswith("n is ")
    assert server.requests == []
    for value in right:
        assert ask(n=value)["ok"], value
    assert len(server.requests) == len(right)


@pytest.mark.parametrize(("allowed", "said"), [("0.10", "0.10"), ("9", "3.00")])
def test_the_price_that_a_model_reads_is_no_higher_than_the_policy_allows(
    seller: Sandbox, allowed: str, said: str
) -> None:
    own = seller.buyer(Policy(per_request=allowed, per_day="10"))
    with httpx.Client() as client:
        tool = payable_tool(client, own, f"{seller.url}/weather", CITY, "3")
    assert f"Each call costs up to {said} USD." in (tool.__doc__ or "")


def test_half_a_character_is_in_no_url(plain: Toolbox, seller: Sandbox) -> None:
    buyer = seller.buyer()
    for url in (f"{seller.url}/{{city}}", f"{seller.url}/weather"):
        found = plain.payable(buyer, url, {"properties": {"city": {"type": "string"}}})("\ud800")
        assert (found["error"], found["money"], found["next"]) == ("NotFetched", "untouched", "stop")


def test_a_model_sees_a_function_like_any_other(seller: Sandbox) -> None:
    schema = {
        "properties": {
            "kind": {"enum": ["sun", "rain"]}, "from": {"type": "string"}, "max-results": {"type": "integer"},
            "max_results": {"type": "number"}, "2nd": {}, "city": {"type": "string", "description": "Its\nname"},
        },
        "required": ["city", "from"],
    }  # fmt: skip
    with httpx.Client() as client:
        ask = payable_tool(client, buyer(seller), "https://api.example.com/v1/weather", schema, "0.03")
    assert ask.__name__ == "v1_weather"
    assert list(inspect.signature(ask).parameters) == ["from_", "city", "kind", "max_results", "max_results_", "_2nd"]
    hints = get_type_hints(ask)
    assert (hints["from_"], hints["city"], hints["max_results"], hints["return"]) == (
        str,
        str,
        int | None,
        dict[str, Any],
    )
    assert hints["kind"] == Literal["sun", "rain"] | None
    doc = inspect.getdoc(ask) or ""
    assert doc.startswith(
        "Ask GET https://api.example.com/v1/weather. Each call costs up to 0.03 USD. After a failure, obey "
    )
    assert "\n    city: Its name\n" in doc
    assert parameters_of(ask)["required"] == ["from_", "city"]
    assert parameters_of(ask)["properties"]["kind"] == {
        "type": "string", "enum": ["sun", "rain"], "description": "See the name.",
    }  # fmt: skip
    assert "Args:" not in description_of(ask)


def test_a_listing_brings_method_schema_and_words_along(plain: Toolbox, seller: Sandbox) -> None:
    seller.sell("/poem", "0.02", content="Roses are red.", description='Four "lines"')
    own = buyer(seller)
    [listing] = discover("poem", facilitator=seller.url, buyer=own)
    ask = payable_tool(plain.client, own, listing, max_usd="0.05", hosts=["127.0.0.1"])
    assert (ask.__name__, ask()["body"]) == ("poem", "Roses are red.")  # type: ignore[index]
    assert "The seller says of it: \"Four 'lines'\"" in (ask.__doc__ or "")
    named = payable_tool(plain.client, own, listing, name="buy_poem", description="Buys four lines.")
    assert (named.__name__, (named.__doc__ or "").partition(" Each")[0]) == ("buy_poem", "Buys four lines.")


def test_a_listing_leads_inside_only_where_its_host_is_named(box: Toolbox, seller: Sandbox) -> None:
    url = seller.sell("/poem", "0.02", content="Roses are red.")
    [listing] = discover("poem", facilitator=seller.url, buyer=buyer(seller))
    refused = box.payable(own := buyer(seller), listing)()
    assert (refused["error"], refused["money"]) == ("NotFetched", "untouched")
    assert seller.settlements == []
    for ask in (box.payable(own, listing, hosts=["127.0.0.1"]), box.payable(own, url)):
        assert ask()["body"] == "Roses are red."


@pytest.mark.parametrize(("rule", "ok"), [("deny", False), (Limit(per_day="1"), True)])
def test_a_policy_that_pays_a_listing_s_host_names_it(plain: Toolbox, seller: Sandbox, rule: Any, ok: bool) -> None:
    seller.sell("/poem", "0.02")
    own = seller.buyer(Policy(per_request="0.10", hosts={"127.0.0.1": rule}))
    [listing] = discover("poem", facilitator=seller.url, buyer=own)
    assert plain.payable(own, listing)()["ok"] is ok


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "weather"}, "payable_tool: url is not a URL of a web server"),
        ({"url": "https://user:secret@a.example/"}, "payable_tool: url names a user"),
        ({"schema": []}, "schema is a JSON Schema of an object"),
        ({"schema": {"type": "array"}}, "schema is a JSON Schema of an object"),
        ({"schema": {"properties": {"city": "string"}}}, 'schema has its arguments in "properties"'),
        ({"schema": {"city": "string"}}, 'schema has its arguments in "properties", and this one has none, but city.'),
        ({"schema": {"type": "object", "city": {"type": "string"}}}, 'schema has its arguments in "properties", and'),
        ({"url": "https://a.example/in/{city}"}, "The URL has a place for city, and schema names no such argument"),
        ({"url": "https://a.example/{b}", "schema": CITY}, "place for b, and schema names no such argument (city, d"),
        ({"max_usd": 0.05}, "floats round"),
        ({"method": "CONNECT"}, "method is one of GET"),
        ({"name": "buy it"}, "name is a name of a function"),
        ({"hosts": []}, "hosts is empty"),
    ],
)
def test_a_mistake_is_named_when_it_is_made(seller: Sandbox, wrong: dict[str, Any], words: str) -> None:
    given = {"url": "https://api.example.com/weather", **wrong}
    with httpx.Client() as client, pytest.raises(errors.ConfigurationError) as raised:
        payable_tool(client, buyer(seller), given.pop("url"), **given)
    assert words in raised.value.args[0]
    assert "secret" not in str(raised.value)


_SCHEMAS = st.dictionaries(
    st.text(max_size=12),
    st.fixed_dictionaries({}, optional={
        "type": st.sampled_from(["string", "integer", "array", "nonsense"]) | st.none() | st.lists(st.text()),
        "enum": st.lists(st.text(max_size=3), max_size=3), "description": st.text(max_size=20) | st.none(),
    }), max_size=6,
)  # fmt: skip


@given(_SCHEMAS)
def test_any_names_make_arguments_of_their_own(properties: dict[str, Any]) -> None:
    found = arguments_of({"properties": properties, "required": list(properties)[:2]})
    assert sorted(one.name for one in found) == sorted(properties)
    assert len({one.python for one in found}) == len(found)
    assert all(one.python.isidentifier() for one in found)
    inspect.Signature([inspect.Parameter(one.python, inspect.Parameter.POSITIONAL_OR_KEYWORD) for one in found])
