"""The manual's programs run, and what its pages name is there.

All blocks of a page in ``python`` are one program, as a reader would type it; fragments are in ``py``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "x402_client" / "manual"
PAGES = sorted(MANUAL.rglob("*.md"))


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_its_program_runs(page: Path, tmp_path: Path) -> None:
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks(page)), "utf-8")
    command = [sys.executable, "-W", "error", str(program)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_it_names_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    named = re.findall(r"`((?:examples|x402_client|tests)/[\w/]+\.py)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_extending_page_has_a_program() -> None:
    pages = [page for page in PAGES if page.parent.name == "extending" and page.name != "README.md"]
    assert [page.name for page in pages if not blocks(page)] == []


def test_the_contents_list_every_page() -> None:
    contents = (MANUAL / "extending" / "README.md").read_text("utf-8")
    listed = set(re.findall(r"\]\(([^)]+\.md)\)", contents))
    assert listed == {page.name for page in (MANUAL / "extending").glob("*.md")} - {"README.md"}
