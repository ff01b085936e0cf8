"""The manual's programs run, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

MANUAL = Path(__file__).parents[2] / "x402_client" / "manual"
PAGES = sorted(MANUAL.rglob("*.md"))


def blocks(page: Path) -> list[str]:
    """Return the whole programs of a page: fragments import nothing."""
    found = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [block for block in found if re.search(r"^(from|import) ", block, re.MULTILINE)]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_its_programs_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, block in enumerate(blocks(page)):
        exec(compile(block, f"{page}, program {number}", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_it_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_a_contents_page_lists_every_page() -> None:
    contents = (MANUAL / "extending" / "README.md").read_text("utf-8")
    listed = set(re.findall(r"\]\(([^)]+\.md)\)", contents))
    assert listed == {page.name for page in (MANUAL / "extending").glob("*.md")} - {"README.md"}
