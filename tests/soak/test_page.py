"""The manual's page of evidence has a place for each table."""

from __future__ import annotations

from pathlib import Path

import pytest

from .benchmarks import instructions, report
from .matrix import table as matrix
from .page import PAGE, put
from .weather import table as weather

MARKS = [(matrix.START, matrix.END), (weather.START, weather.END), (report.BEGIN, report.END),
         (instructions.BEGIN, instructions.END)]  # fmt: skip


@pytest.mark.parametrize(("start", "end"), MARKS)
def test_the_page_has_the_marks_and_a_table_between_them(start: str, end: str) -> None:
    text = PAGE.read_text("utf-8")
    assert text.count(start) == text.count(end) == 1
    assert "\n| " in text.partition(start)[2].partition(end)[0]


def test_a_table_goes_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- b -->\nafter\n", "utf-8")
    put("new\n", "<!-- a -->", "<!-- b -->", page)
    assert page.read_text("utf-8") == "before\n<!-- a -->\n\nnew\n\n<!-- b -->\nafter\n"
    page.write_text("no marks\n", "utf-8")
    with pytest.raises(ValueError, match="no place for the table"):
        put("new\n", "<!-- a -->", "<!-- b -->", page)
