"""The pages on schemes, families, signers, readers and tokens: what they show runs, and what they name is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import x402_client

PAGES = Path(x402_client.__file__).parent / "manual" / "extending"
NAMES = ("scheme", "chain-family", "signer", "reader", "token")
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> list[str]:
    return _BLOCK.findall((PAGES / f"{name}.md").read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_page_shows_runs(name: str, tmp_path: Path) -> None:
    """All blocks of a page are one program, as a reader would type it."""
    assert len(blocks(name)) > 1
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks(name)), "utf-8")
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(program)], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_page_leads_where_it_says(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text("utf-8")
    for linked in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (PAGES / linked).is_file(), linked
    for example in re.findall(r"`(examples/\w+\.py)`", text):
        assert (PAGES.parents[2] / example).is_file(), example


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_about_a_page(name: str) -> None:
    assert len((PAGES / f"{name}.md").read_text("utf-8").split()) < 1_000
