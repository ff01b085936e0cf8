"""The manual's programs run, and what its pages name is there.

All blocks of a page in ``python`` are one program, as a reader would type it; fragments are in ``py``.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from x402_client.core import ChainFamily, Courier, Ledger, LedgerExtras, Scheme, SettlementReader

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "x402_client" / "manual"
PAGES = sorted(MANUAL.rglob("*.md"))


#: A page that shows tests.
TESTS = re.compile(r"^class Test\w+|^def test_", re.MULTILINE)


def named(page: Path) -> str:
    return page.stem


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=named)
def test_its_program_runs(page: Path, tmp_path: Path) -> None:
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks(page)), "utf-8")
    command = [sys.executable, "-W", "error", str(program)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if TESTS.search("\n".join(blocks(page)))], ids=named)
def test_the_tests_that_a_page_shows_pass(page: Path, tmp_path: Path) -> None:
    program = tmp_path / "test_page.py"
    program.write_text("\n\n".join(blocks(page)), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(program)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"[1-9]\d* passed", ran.stdout)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=named)
def test_a_program_needs_no_private_name(page: Path) -> None:
    """Of modules no part begins with an underscore; of objects only those of the reader's own ``self``."""
    for node in ast.walk(ast.parse("\n\n".join(blocks(page)))):
        if isinstance(node, ast.ImportFrom):
            imported = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            assert not [part for part in imported if part.startswith("_")]
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            assert ast.unparse(node.value) == "self"


@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("ledger", (Ledger, LedgerExtras)),
        ("http-client", (Courier,)),
        ("scheme", (Scheme,)),
        ("chain-family", (ChainFamily,)),
        ("reader", (SettlementReader,)),
    ],
)
def test_all_that_a_port_has_is_on_its_page(name: str, ports: tuple[type, ...]) -> None:
    text = (MANUAL / "extending" / f"{name}.md").read_text("utf-8")
    members = [member for port in ports for member in vars(port) if not member.startswith("_")]
    assert [member for member in members if not re.search(rf"\b{member}\b", text)] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
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
