"""Lines are broken between words, go on below their text, and keep whole what a user may want to copy."""

from __future__ import annotations

import io
import itertools

import pytest
from rich.console import Console
from rich.text import Text

from x402_client.cli.screen import facts, put, table
from x402_client.cli.wrapping import wrapped
from x402_client.sandbox import Sandbox

from .running import in_process, terminal

HASH = "0x" + "ab" * 32


def test_a_line_goes_on_below_its_text() -> None:
    assert wrapped("    one two three four", 12) == ["    one two", "    three", "    four"]
    assert wrapped("name  one two three", 12, hang=6) == ["name  one", "      two", "      three"]
    assert wrapped("a  b\n\nc", 12) == ["a  b", "", "c"]


def test_a_command_and_a_long_word_stay_whole_where_they_can() -> None:
    assert wrapped("Then type `x402 ledger holds`.", 22) == ["Then type", "`x402 ledger holds`."]
    assert wrapped(f"    transaction {HASH}", 68) == ["    transaction", f"  {HASH}"]
    assert wrapped(f"transaction {HASH}", 40) == ["transaction", HASH[:40], HASH[40:]]
    assert wrapped("`a command that is longer than this`", 16) == ["`a command that", "is longer than", "this`"]


@pytest.mark.parametrize("width", [1, 2, 7, 20, 60])
def test_no_line_is_wider_and_no_word_is_lost(width: int) -> None:
    text = f"    The price 価格は is `x402 ledger show {HASH[:20]}` and {HASH}, or ` a lone quote.  Two blanks."
    lines = wrapped(text, width)
    assert all(Text(line).cell_len <= max(width, 2) for line in lines)
    assert "".join(itertools.chain(*lines)).replace(" ", "") == text.replace(" ", "")


def drawn(width: int, **options: object) -> tuple[list[str], list[str]]:
    """Draw a table on a terminal, and return its lines and the columns that were left out."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    rows = table("name", "place", "price", "host", right=("price",), folds="host")
    rows.add_row("a", "b" * 10, "0.01 USD", "long.name.example.com")
    left_out = put(rows, console, **options)  # type: ignore[arg-type]
    return console.file.getvalue().splitlines(), left_out  # type: ignore[attr-defined]


def test_a_table_folds_one_column_then_leaves_out_others_then_has_lines_for_each_row() -> None:
    assert len(drawn(60)[0]) == 2
    folded, left_out = drawn(46, spare=("place",))
    assert [line.split() for line in folded[1:]] == [["a", "b" * 10, "0.01", "USD", "long.name.example."], ["com"]]
    assert left_out == []
    narrower, left_out = drawn(36, spare=("place",))
    assert (narrower[0].split(), left_out) == (["name", "price", "host"], ["place"])
    assert drawn(24, spare=("place",))[0] == ["name", "a", "  price  0.01 USD", "  host", "   long.name.example.com"]
    compact = ["a  place bbbbbbbbbb", "  price 0.01 USD", "  host long.name.example.com"]
    assert drawn(30, compact=True)[0] == compact


def test_facts_go_on_in_their_column_and_are_not_wider_than_can_be_read() -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    facts([("name", Text("word " * 30, style="red")), ("empty", ""), ("bar", Text("###"))], console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [len(line) <= 100 for line in lines] == [True] * 4
    assert lines[0].startswith("name   word word")
    assert lines[1].startswith("       word")
    assert lines[2:] == ["empty", "bar    ###"]


@pytest.mark.parametrize("columns", [60, 150])
def test_texts_take_the_width_that_there_is(seller: Sandbox, given: dict[str, str], columns: int) -> None:
    in_process(["get", f"{seller.url}/fault/drop-before-settling/weather", "-X", "POST", "--yes"], given)
    seen = terminal(["ledger", "holds"], given | {"NO_COLOR": "1"}, columns=columns).screen
    lines = seen.splitlines()
    assert any(len(line) > 80 for line in lines) is (columns == 150)
    assert max(map(len, lines)) <= min(columns, 100)
    assert all(line.startswith("    ") for line in lines[2:])
