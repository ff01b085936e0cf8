"""The pages on ledgers and windows: the code that they show runs, and needs no private name."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import x402_client
from x402_client.core import Ledger, LedgerExtras
from x402_client.ledgers.conformance import LedgerConformance

PACKAGE = Path(x402_client.__file__).parent
PAGES = PACKAGE / "manual" / "extending"
NAMES = ("ledger", "window")
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(name: str) -> str:
    return (PAGES / f"{name}.md").read_text("utf-8")


def program(name: str) -> str:
    """All blocks of a page, as a reader would type them into one file."""
    return "\n\n".join(_BLOCK.findall(text_of(name)))


def run(*command: str, cwd: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    ran = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=300, cwd=cwd, env=environment
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_ledger_of_the_page_keeps_the_contract_and_pays(tmp_path: Path) -> None:
    file = tmp_path / "test_page.py"
    file.write_text(program("ledger"), "utf-8")
    said = run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(file), cwd=tmp_path)
    contract = [name for name in dir(LedgerConformance) if name.startswith("test_")]
    assert f"{len(contract) + 1} passed" in said


def test_the_page_on_windows_runs(tmp_path: Path) -> None:
    run("-W", "error", "-c", program("window"), cwd=tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_no_private_name_is_needed(name: str) -> None:
    """Of modules: no part begins with an underscore. Of objects: only those of the reader's own ``self``."""
    for node in ast.walk(ast.parse(program(name))):
        if isinstance(node, ast.ImportFrom):
            imported = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            assert not [part for part in imported if part.startswith("_")]
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            assert ast.unparse(node.value) == "self"


def test_every_method_and_attribute_is_on_the_page() -> None:
    text = text_of("ledger")
    for port in (Ledger, LedgerExtras):
        for name in vars(port):
            assert name.startswith("_") or re.search(rf"`{name}\b", text), name


@pytest.mark.parametrize("name", NAMES)
def test_what_a_page_names_is_there(name: str) -> None:
    text, root = text_of(name), PACKAGE.parent
    for linked in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (PAGES / linked).is_file(), linked
    for file in re.findall(r"`([\w/]+\.(?:py|md))`", text):
        assert (root / file).is_file() or (PACKAGE / file).is_file(), file


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_about_a_page(name: str) -> None:
    """Without its code."""
    assert len(_BLOCK.sub("", text_of(name)).split()) < 1_000
