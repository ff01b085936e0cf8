"""Names of functions that ``payable_tool`` makes: a model, and Python, can use each of them."""

from __future__ import annotations

import keyword
import re
from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from x402_client import errors
from x402_client.agents import payable_tool
from x402_client.agents.function_names import name_of
from x402_client.sandbox import Sandbox

SELLER = "https://api.example.com"
#: Words that a path is made of: common ones, keywords, places, numbers, other scripts, signs.
SEGMENTS = st.one_of(
    st.sampled_from(
        [*keyword.kwlist, "v1", "weather", "{city}", ":city", "2024", "a-b", "report.json", "_", "*", "%20"]
    ),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=80).map(lambda text: quote(text, safe="")),
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/weather", "weather"),
        ("/v1/weather", "v1_weather"),
        ("/in/{city}", "in_city"),
        ("/weather/in/:city", "weather_in_city"),
        ("/report-2024.json", "report_2024_json"),
        ("/caf%C3%A9", "cafe"),
        ("", "api_example_com"),
        ("/", "api_example_com"),
        ("/in", "api_example_com_in"),
        ("/None", "api_example_com_None"),
        ("/2024/report", "api_example_com_2024_report"),
    ],
)
def test_a_name_says_the_whole_path(path: str, name: str) -> None:
    assert name_of(f"{SELLER}{path}?units=metric") == name


@pytest.mark.parametrize("host", ["http://127.0.0.1:8402", "https://in", "http://[::1]", "https://import"])
def test_a_host_that_is_no_name_is_marked_as_a_host(host: str) -> None:
    assert name_of(f"{host}/weather") == "weather"
    for path in ("/", "/class"):
        assert name_of(f"{host}{path}").isidentifier()
        assert not keyword.iskeyword(name_of(f"{host}{path}"))


@given(st.sampled_from([SELLER, "http://127.0.0.1:8402", "https://in"]), st.lists(SEGMENTS, max_size=6))
@example("https://in", [])
@example(SELLER, ["\u00aa"])
def test_every_path_has_a_name_that_python_and_a_model_take(host: str, segments: list[str]) -> None:
    name = name_of(f"{host}/{'/'.join(segments)}")
    assert re.fullmatch(r"[A-Za-z]\w{0,63}", name, re.ASCII), name
    assert not keyword.iskeyword(name)


WORDS = st.from_regex(r"[a-z0-9]{1,30}", fullmatch=True).filter(lambda word: word != "api")
OTHER_SCRIPTS = st.text("天气空界語Жщ", min_size=1, max_size=3).map(quote)


@given(*[st.lists(WORDS | OTHER_SCRIPTS, max_size=5)] * 2)
@example(["in"], [])
@example(["a" * 40, "b" * 40], ["a" * 40, "c" * 40])
@example([quote("天")], [quote("空")])
def test_other_words_in_a_path_make_another_name(one: list[str], other: list[str]) -> None:
    first, second = (name_of(f"{SELLER}/{'/'.join(path)}") for path in (one, other))
    assert (first == second) is (one == other)


def test_a_function_has_the_name_and_no_keyword_can_be_given() -> None:
    with Sandbox() as seller, httpx.Client() as client:
        url, schema = f"{seller.url}/in/{{city}}", {"properties": {"city": {}}}
        buyer = seller.buyer()
        assert payable_tool(client, buyer, url, schema).__name__ == "in_city"
        for wrong in ("in", "", "2nd", "a b", "a" * 65):
            with pytest.raises(errors.ConfigurationError, match="name is a name of a function"):
                payable_tool(client, buyer, url, schema, name=wrong)
