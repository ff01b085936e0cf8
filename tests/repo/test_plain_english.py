"""Docstrings and comments are plain English, as CONTRIBUTING asks for."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "x402_client"

#: Every room and every module of the root. A new one is added here.
ROOMS = (
    "__init__.py", "__main__.py", "adapters", "agents", "aiohttp.py", "buyer", "chains", "cli", "core", "discovery",
    "errors.py", "events.py", "guards", "httpx.py", "httpx2.py", "ledgers", "mcp.py", "model", "otel.py", "policy",
    "pytest_plugin.py", "receipts.py", "requests.py", "sandbox", "schemes", "signers", "testing", "wire",
)  # fmt: skip

#: A function's docstring begins with a verb, a class's with a noun: never with one of these.
_FIRST = re.compile(r"(What|Whether|Who|Which|Where|How|The same)\b")
_BANNED = re.compile(r"\b(whatever|whoever|nobody|so many|so lately)\b", re.IGNORECASE)

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Line = tuple[int, str]


def test_every_room_is_listed() -> None:
    found = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_and_comments_are_plain(room: str) -> None:
    assert [*_faults(PACKAGE / room)] == []


def test_what_is_looked_for_is_found() -> None:
    text = (
        'def one():\n    """Whether it is so."""\n\n\n'
        "def two():\n    '''Return it.\n\n    Nobody\n    knows.'''  # so\n    # whatever comes\n    return 'whoever'\n"
    )
    assert [*_faults_of(text)] == [
        (2, "begins with 'Whether'"), (6, "says 'Nobody'"), (10, "says 'whatever'"),
    ]  # fmt: skip


def _faults(room: Path) -> Iterator[str]:
    for path in [room] if room.is_file() else sorted(room.rglob("*.py")):
        for line, fault in _faults_of(path.read_text("utf-8")):
            yield f"{path.relative_to(PACKAGE)}:{line} {fault}"


def _faults_of(text: str) -> Iterator[Line]:
    docstrings = [*_docstrings(text)]
    for line, words in docstrings:
        if first := _FIRST.match(words):
            yield line, f"begins with {first[0]!r}"
    for line, words in (*docstrings, *_comments(text)):
        if banned := _BANNED.search(" ".join(words.split())):
            yield line, f"says {banned[0]!r}"


def _docstrings(text: str) -> Iterator[Line]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Documented) and (words := ast.get_docstring(node)):
            yield node.body[0].lineno, words


def _comments(text: str) -> Iterator[Line]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
