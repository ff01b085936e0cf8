"""The manual as a site: its order is that of the index, and mkdocs finds no broken link."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.real.environments import needed

from .manual_pages import MANUAL, PAGES, ROOT
from .site import CONFIG, build, nav, written


def test_its_order_is_that_of_the_index_and_no_page_is_left_out() -> None:
    assert written() == nav(), "run python -m tests.repo.site"
    listed = re.findall(r": ([\w/-]+\.md)$", written(), re.MULTILINE)
    assert sorted(listed) == sorted(page.relative_to(MANUAL).as_posix() for page in PAGES)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(MANUAL, tmp_path / MANUAL.relative_to(ROOT))
    (tmp_path / ".github").mkdir()
    shutil.copy(CONFIG, tmp_path / ".github")
    return tmp_path


@pytest.mark.foreign
@pytest.mark.timeout(600)
def test_it_is_built_without_a_warning_and_fetches_nothing_from_elsewhere(checkout: Path) -> None:
    done = _built(checkout)
    assert done[0] == 0, done[1]
    for page in (checkout / "site").rglob("*.html"):
        asked = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=.(https?:[^ >]+)", page.read_text("utf-8"))
        assert asked == []
    assert (checkout / "site" / "llms.txt").exists()


@pytest.mark.foreign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("link", ["gone.md", "threads.md#gone", "/threads.md"])
def test_a_broken_link_fails(checkout: Path, link: str) -> None:
    page = checkout / "x402_client" / "manual" / "index.md"
    page.write_text(page.read_text("utf-8") + f"\n[a link]({link})\n", "utf-8")
    code, said = _built(checkout)
    assert code == 1
    assert link.lstrip("/") in said


def _built(checkout: Path) -> tuple[int, str]:
    done = needed(build, checkout, checkout / "site")
    return done.returncode, done.stdout
