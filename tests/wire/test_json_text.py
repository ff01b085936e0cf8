"""JSON is read in one pass where one is enough, and what is refused is the same as in two."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from x402_client.errors import MalformedQuote
from x402_client.wire.json_text import load, load_exactly

PARTS = (
    "{", "}", "[", "]", ":", ",", '"', '"a"', '""', "\\", "\\u", "d800", "0041", "1", "0", "-", "+", ".", "e", "e400",
    "NaN", "Infinity", "-Infinity", "null", "true", " ", "\t", "\0", "\x7f", "\xa0", "\u2028", "é", "\ufeff",
    "\U0001f600", "\ud800", "'", "/",
)  # fmt: skip
DEPTH = 4


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError
    return dict(pairs)


def finite(text: str) -> float:
    if math.isinf(float(text)):
        raise ValueError
    return float(text)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def in_two_passes(text: str) -> Any:
    """Read what both parsers read, and refuse the rest."""
    from_json(text.encode(), allow_inf_nan=False)
    value = json.loads(text, object_pairs_hook=once, parse_float=finite)
    if depth(value) > DEPTH:
        raise ValueError
    return value


def same(text: str) -> bool:
    """Return True if both read a text, and alike. Raise AssertionError if one does and the other does not."""
    try:
        wanted = in_two_passes(text)
    except ValueError:
        for read in (load, load_exactly):
            with pytest.raises(MalformedQuote):
                read(text, DEPTH)
        return False
    assert repr(load(text, DEPTH)) == repr(wanted)
    return True


def test_every_short_text_is_read_as_by_two_parsers() -> None:
    texts = ("".join(parts) for count in (1, 2, 3) for parts in itertools.product(PARTS, repeat=count))
    assert sum(map(same, texts)) > 100


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PARTS), min_size=4, max_size=24).map("".join))
@example('{"a":1,"a":1}')
@example('{"a":"\\ud83d\\ude00"}')
@example('{"a":"\\ude00\\ud83d"}')
@example('["\\ud800"]')
def test_a_longer_text_is_too(text: str) -> None:
    same(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


@given(_JSON, st.booleans(), st.integers(0, 200), st.sampled_from(PARTS))
def test_a_sound_document_is_too_and_with_a_part_more(value: Any, is_ascii: bool, at: int, more: str) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    same(text)
    same(text[:at] + more + text[at:])


@pytest.mark.parametrize("levels", [64, 65, 1_000, 100_000])
def test_deep_nesting_never_reaches_the_recursion_limit(levels: int) -> None:
    with pytest.raises(MalformedQuote):
        load("[" * levels, 10**9)
