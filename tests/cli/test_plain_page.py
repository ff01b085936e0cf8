"""In a pipe no page of the manual is wider than a hundred columns, and nothing of it is lost."""

from __future__ import annotations

import re

import pytest

from x402_client.cli.manual_pages import pages
from x402_client.cli.plain_page import WIDTH, wrapped

from .running import in_process

PAGES = {name: page.text for name, page in pages().items() if not page.program}


def outside_code(page: str) -> list[str]:
    lines, in_code = [], False
    for line in page.split("\n"):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            lines.append(line)
    return lines


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_wide(name: str) -> None:
    page = wrapped(PAGES[name])
    wide = [line for line in outside_code(page) if len(line) > WIDTH and " " in line.strip("-` ")]
    assert wide == []
    known = set(re.findall(r"\w+", PAGES[name]))
    assert set(re.findall(r"\w+", page)) == known, "no word is lost, and none is made up"
    assert wrapped(page) == page


def test_the_command_shows_it_so() -> None:
    ran = in_process(["manual", "when-something-goes-wrong"], {})
    assert max(map(len, outside_code(ran.text))) <= WIDTH
    assert (
        "- you see: `PaymentOutcomeUnknown`, a time-out, a broken line\n  - it means: The payment left, and no"
        in ran.text
    )


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("short", "short"),
        ("- " + "word " * 30, "- " + "word " * 18 + "word\n  " + ("word " * 11).rstrip()),
        ("```python\nx = 1" + " " * 120 + "# why\n```", "```python\n# why\nx = 1\n```"),
        ("text\n\n    x\n    y" + " + y" * 40 + "\n\n    z", "text\n\n    x\n    y" + " + y" * 40 + "\n\n    z"),
        ("- item\n    " + "word " * 30, "- item " + "word " * 17 + "word\n  " + ("word " * 12).rstrip()),
        ("```\n" + "y" * 150 + "\n```", "```\n" + "y" * 150 + "\n```"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
        (
            "| a | b |\n|---|---|\n| `x \\| y` | " + "z " * 60 + "|",
            "- a: `x | y`\n  - b: " + "z " * 46 + "z\n    " + "z " * 12 + "z",
        ),
        ("a `" + "c " * 20 + "` " * 1 + "word " * 20, None),
        ("# " + "h" * 120, "# " + "h" * 120),
    ],
)  # fmt: skip
def test_what_becomes_of_each_kind_of_line(page: str, shown: str | None) -> None:
    made = wrapped(page)
    if shown is None:
        assert "`" + "c " * 20 + "`" in made, "code stays in one line"
    else:
        assert made == shown
