"""A page of a list: what is wrong with one entry spoils no other, and nothing in it harms the reader."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client.discovery.documents import DEPTH, Ambiguous, load, read_page


def test_the_entries_are_found_where_each_facilitator_puts_them() -> None:
    for name in ("items", "resources", "data"):
        assert read_page(json.dumps({"x402Version": 2, name: [1, 2]}).encode()).records == [1, 2]
    assert read_page(b"\xef\xbb\xbf[1, 2]").records == [1, 2]


def test_the_ways_to_the_next_page_are_read_and_nonsense_is_none() -> None:
    page = read_page(b'{"items": [], "pagination": {"total": 7, "cursor": "abc"}, "partialResults": true}')
    assert (page.total, page.cursor, page.partial) == (7, "abc", True)
    for wrong in (
        b'{"total": -1, "cursor": 7}',
        b'{"total": "7", "cursor": ""}',
        b'{"cursor": "a\\nb"}',
        b"[]",
        b"null",
    ):
        page = read_page(b'{"items": [], "pagination": ' + wrong + b"}")
        assert (page.total, page.cursor, page.partial) == (None, None, False)


@pytest.mark.parametrize(
    ("entry", "read"),
    [
        (b'{"a": NaN}', {"a": None}),
        (b'{"a": -Infinity}', {"a": None}),
        (b'{"a": %s}' % (b"9" * 5_000), {"a": None}),
        (b'{"a": "\\ud83d"}', {"a": "\ud83d"}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (b'{"a": "b\n\x1b[31m\x00"}', {"a": "b\n\x1b[31m\x00"}),
        (b'{"a": "]\\"}", "c": %s}' % (b'{"a": ["}\\"", ' * 40 + b"1" + b"]}" * 40), None),
        (b"[" * 5_000 + b"]" * 5_000, None),
    ],
)
def test_a_dirty_entry_leaves_the_others_as_they_are(entry: bytes, read: object) -> None:
    before, found, after = read_page(b'{"items": [{"b": 1}, ' + entry + b', {"c": 2}]}').records
    assert (before, after) == ({"b": 1}, {"c": 2})
    assert found == read or (read is None and _depth(found) == DEPTH - 2)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def test_an_object_with_two_meanings_is_no_object() -> None:
    first, second = read_page(b'{"items": [{"amount": "1", "amount": "2"}, {"c": 2}]}').records
    assert isinstance(first, Ambiguous)
    assert second == {"c": 2}


@pytest.mark.parametrize(
    "text", [b"", b"<html>", b'{"items": [', b'{"items": {}}', b"7", b'{"accepts": []}', b"[" * 70]
)
def test_what_is_no_list_is_said_in_words(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"^its answer "):
        read_page(text)


def test_deep_nesting_never_reaches_the_parser_whatever_the_recursion_limit() -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        for bomb in (b"[" * 1_000_000, b"[" * 500_000 + b"]" * 500_000, b'{"a":' * 1_000_000, b'["]", ' * 1_000_000):
            with pytest.raises(ValueError, match=f"deeper than {DEPTH} levels"):
                load(bomb)
    finally:
        sys.setrecursionlimit(before)
    assert load(b'"' + b"[" * 100_000 + b'"') == "[" * 100_000  # brackets in a text are no nesting


def test_a_text_without_an_end_is_looked_at_once() -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        load(b'"\\' * 2_000_000)  # looked at again from each quotation mark it would take hours
    with pytest.raises(ValueError, match="is not JSON"):
        load(b'["' + b"[" * 100)


@given(st.one_of(st.binary(), st.text(alphabet='{}[]",:\\\n0a ').map(str.encode)))
def test_bytes_of_any_kind_are_read_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        assert load(data) is not Ambiguous
