"""A purchase has one name in each library's spelling of its URL, and what a seller tells apart has two."""

from __future__ import annotations

import string
from typing import Any

import httpx
import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from tests.wire.terms import ORIGIN
from x402_client.adapters.httpx_facts import facts
from x402_client.core.call import Call, HttpRequest
from x402_client.core.digests import NOTHING
from x402_client.core.drive import run
from x402_client.core.purchase_name import purchase_of
from x402_client.core.spelling import one_spelling
from x402_client.model.holds import Purchase

from .scripted_flow import Ground, called

UNRESERVED = string.ascii_letters + string.digits + "-._~"
RESERVED = "!$&'()*+,;=:@/"
OTHERS = ' "<>[]^`{|}\\%#é€\U0001f600\x00\x7f'
#: One character of a target with whether it is written encoded: what is reserved means another thing then.
PIECES = st.tuples(st.sampled_from(UNRESERVED), st.none()) | st.tuples(
    st.sampled_from(RESERVED + "?"), st.booleans()
) | st.tuples(st.sampled_from(OTHERS), st.none())  # fmt: skip
PARTS = st.lists(PIECES, max_size=8).map(tuple)
#: A path and a query. A question mark in a path is encoded, or it would end it.
TARGETS = st.tuples(PARTS.map(lambda part: tuple((c, True) if c == "?" else (c, how) for c, how in part)), PARTS)


def encoded(character: str, upper: bool = True) -> str:
    return "".join(f"%{byte:02X}" if upper else f"%{byte:02x}" for byte in character.encode())


def spelled(draw: Any, part: Any) -> str:
    """One spelling of many."""
    found = ""
    for character, is_encoded in part:
        free = is_encoded is None and character not in "%#"
        ways = [encoded(character), encoded(character, False)] if is_encoded is not False else []
        found += draw(st.sampled_from([*ways, *([character] if free or is_encoded is False else [])]))
    return found


def spelling_of(draw: Any, target: Any) -> str:
    path, query = (spelled(draw, part) for part in target)
    return f"/{path}" + (f"?{query}" if query else draw(st.sampled_from(["", "?"])))


@given(st.data(), TARGETS)
def test_each_spelling_of_a_target_is_one(data: Any, target: Any) -> None:
    assert one_spelling(spelling_of(data.draw, target)) == one_spelling(spelling_of(data.draw, target))


@given(st.data(), TARGETS, TARGETS)
def test_different_targets_are_different(data: Any, one: Any, other: Any) -> None:
    found, another = one_spelling(spelling_of(data.draw, one)), one_spelling(spelling_of(data.draw, other))
    assert (found == another) == (one == other)


@given(st.text() | st.text(UNRESERVED + "%?/[ +"))
@example("%4%31")
@example("/?%")
@example("/x??")
@example("\ud800")
def test_what_is_spelled_so_stays_so(target: str) -> None:
    found = one_spelling(target)
    assert one_spelling(found) == found
    assert found.isascii()


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/x?q=1&a=b", "/x?q=1&a=b"),
        ("/6/%7Eme?tags=[1]", "/6/~me?tags=%5B1%5D"),
        ("/a/%41%2fb", "/a/A%2Fb"),
        ("/x?", "/x"),
        ("/x??", "/x??"),
        ("/%zz?5%", "/%25zz?5%25"),
        ("/é x|y^z", "/%C3%A9%20x%7Cy%5Ez"),
        ("/x?a+b", "/x?a+b"),
        ("/x?b=1&a=2", "/x?b=1&a=2"),
    ],
)
def test_rows(target: str, found: str) -> None:
    assert one_spelling(target) == found


#: What each library leaves as it is, or spells by the RFC. aiohttp writes a query's space as a plus, and its ``%2F`` as
#: a slash: these are other targets.
TYPED = st.lists(
    st.sampled_from([*UNRESERVED, *"/:@!$&()*,;=[]{}|^`é", "%7E", "%7e", "%41", "%5b", "%2B", "%20", "%C3"])
)


@given(TYPED, TYPED)
def test_the_libraries_name_one_url_alike(path: list[str], query: list[str]) -> None:
    shown = "/x" + "".join(path).replace("/.", "/") + "?" + "".join(query)
    url = f"{ORIGIN}{shown}"
    by_httpx = facts(httpx.Request("GET", url)).target
    by_requests = requests.Request("GET", url).prepare().path_url
    by_yarl = URL(url).raw_path_qs
    assert one_spelling(by_httpx) == one_spelling(by_requests) == one_spelling(by_yarl)


def test_the_name_goes_by_it_and_the_former_name_by_what_is_sent() -> None:
    request = HttpRequest("GET", ORIGIN, "/%7Eme?", {})
    assert request.identity() == HttpRequest("GET", ORIGIN, "/~me", {}).identity() == f"GET\n{ORIGIN}\n/~me\n"
    assert request.former_identity() == f"GET\n{ORIGIN}\n/%7Eme?\n"
    assert request.target == "/%7Eme?"


def test_a_ledger_of_version_0_1_knows_it_by_the_spelling_that_was_sent() -> None:
    request = HttpRequest("GET", ORIGIN, "/%7Eme", {})
    known = _named(called(request.former_identity()))
    now = _named(called(request.identity(), hop=request.former_identity()))
    assert now.id != known.id
    assert now.names == (now.id, known.id)
    assert now.is_request_of(known)


def _named(call: Call) -> Purchase:
    return run(purchase_of(call, Ground().rules), lambda ask: NOTHING)
