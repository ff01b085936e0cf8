"""Walks the tree of commands: for the ends of their help, and for the manual page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from .examples import help_lines

_SENTENCE = re.compile(r"(?<=[.!?])\s")


def whole(app: typer.Typer) -> Any:
    """Return the command of an app. Every help ends with examples, and no description in a list is cut off."""
    root: Any = get_command(app)
    for words, command in walk(root):
        command.short_help = first_sentence(command.help or "")
        lines = [*help_lines(words)]
        if lines:
            command.epilog = "\n".join(["\b", "Examples:", *lines])
    return root


def walk(command: Any, words: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each command with its words: "" for the root, "wallet new" for one inside of a group."""
    yield words, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, f"{words} {name}".strip())


def first_sentence(text: str) -> str:
    """Return the first sentence of a help text, on one line."""
    return _SENTENCE.split(" ".join(text.partition("\n\n")[0].split()), maxsplit=1)[0]
