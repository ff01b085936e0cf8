"""The manual's pages say what is so: their commands and policies exist, and their sentences are short."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.real.environments import clean_environ
from x402_client import Policy
from x402_client.cli.app import app
from x402_client.cli.commands.sandbox import policy_text
from x402_client.sandbox import Sandbox

from .recipes import MANUAL, write

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(MANUAL.rglob("*.md"))]
_SHELL = re.compile(r"^ *```(?:console|sh)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_MOST_WORDS = 20


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_first_program_runs(tmp_path: Path) -> None:
    with Sandbox() as seller:
        [program] = write("start-here.md", tmp_path, **{"http://127.0.0.1:8402": seller.url})
        policy = tmp_path / "policy.toml"
        policy.write_text(policy_text(seller), "utf-8")
        ours = {"X402_EVM_KEY": seller.key("evm"), "X402_POLICY": str(policy), "X402_LEDGER": str(tmp_path / "l.db")}
        env = clean_environ() | ours | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-W", "error", str(program)]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        assert "worth it" in done.stdout
        assert "money: spent - left today: 4.99 USD" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_its_policy_files_are_read(page: Path, tmp_path: Path) -> None:
    for text in re.findall(r"^ *```toml\n(.*?)^ *```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        file = tmp_path / "policy.toml"
        file.write_text(text, "utf-8")
        assert Policy.from_file(file)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_its_commands_are_there(page: Path) -> None:
    for words in _commands(page.read_text("utf-8")):
        command: Any = get_command(app)
        while hasattr(command, "commands") and words and not words[0].startswith("-"):
            assert words[0] in command.commands, f"x402 has no {words[0]}"
            command = command.commands[words.pop(0)]
        known = {name for parameter in command.params for name in parameter.opts} | {"--help", "--json"}
        assert [word for word in words if word.startswith("--") and word.partition("=")[0] not in known] == []


def _commands(text: str) -> Iterator[list[str]]:
    for block in _SHELL.findall(text):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            for found in re.findall(r"(?:^|[$;&|] *)\s*x402 ([^#|;&>]*)", line):
                yield found.split()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_its_sentences_are_short(page: Path) -> None:
    lengths = [len(re.findall(r"[\w'-]+", sentence)) for sentence in _sentences(page.read_text("utf-8"))]
    assert sum(lengths) <= _MOST_WORDS * max(1, len(lengths))


def _sentences(text: str) -> Iterator[str]:
    """Yield the sentences of running text: no code, headings or tables. An item of a list begins a sentence."""
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^ *(#|\||<!--).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^ *(?:[-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "code", re.sub(r"\]\([^)]*\)", "]", text))
    for paragraph in re.split(r"\n\s*\n", text):
        yield from filter(None, re.split(r"(?<=[.!?])\s+", " ".join(paragraph.split())))


def test_a_page_of_long_sentences_is_noticed() -> None:
    long = " ".join(["word"] * 30) + "."
    assert [len(found.split()) for found in _sentences(f"# A heading\n\n{long} Two words.\n\n- {long}")] == [30, 2, 30]
