"""Walks the tree of commands: for the ends of their help, and for the manual page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.main import get_command

from ..model.keywords import near
from .examples import help_lines

#: What people type for commands of ours.
_MEANT = {"pay": "get", "buy": "get", "fetch": "get", "curl": "get", "balance": "wallet balance", "init": "policy init"}
#: Options that people type for what the policy says, and what to write there.
_IN_POLICY = {
    ("--network", "--networks", "--chain"): 'networks = ["base"]',
    ("--asset", "--token", "--currency"): 'assets = ["USDC"]',
    ("--pay-to", "--recipient"): 'pay_to = ["0x..."]',
}
_VERBOSE = ("-v", "-vv", "--verbose")
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


def options_first(root: Any, arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``-v`` before the command, where it belongs, if it was typed behind it."""
    options = [one for _, command in walk(root) for one in command.params if one.param_type_name == "option"]
    take_values = {name for one in options if not (one.is_flag or one.count) for name in one.opts}
    given = list(arguments)
    end = given.index("--") if "--" in given else len(given)
    typed = [n for n in range(end) if given[n] in _VERBOSE and (n == 0 or given[n - 1] not in take_values)]
    return [given[n] for n in typed] + [one for n, one in enumerate(given) if n not in typed]


def command_meant(root: Any, arguments: Sequence[str]) -> str:
    """Return the command that may be meant by a first word that is none; "" if it is one, or near none."""
    word = next((one for one in arguments if one[:1] != "-"), "")
    return "" if not word or word in root.commands else _MEANT.get(word) or near(word, root.commands) or ""


def option_meant(root: Any, arguments: Sequence[str]) -> str:
    """Return what stands in the policy in place of an option that a command does not have; "" if none was typed."""
    command = root
    for word in arguments:
        command = getattr(command, "commands", {}).get(word, command)
    known = _options_of(command)
    typed = {one.partition("=")[0] for one in arguments}.difference(known)
    fields = [field for names, field in _IN_POLICY.items() if typed.intersection(names)]
    return fields[0] if fields and "--policy" in known else ""


def option_behind(root: Any, arguments: Sequence[str]) -> str:
    """Return a sentence on an option that stands before the command that has it; "" if none does."""
    command, path, rest = root, "x402", list(arguments)
    while rest and getattr(command, "commands", None):
        given, *rest = rest
        name = given.partition("=")[0]
        known = _options_of(command).get(name)
        if given[:1] != "-":
            if given not in command.commands:
                return ""
            command, path = command.commands[given], f"{path} {given}"
        elif known is None:
            found = _having(command, path, name, rest)
            return f"{name} goes behind the command: {found} {name} ..." if found else ""
        elif not (known.is_flag or known.count or "=" in given):
            rest = rest[1:]
    return ""


def _having(command: Any, path: str, name: str, rest: Sequence[str]) -> str:
    """Return the command among the rest of a line that has an option; "" if none does. A value may look like one."""
    for place, word in enumerate(rest, start=1):
        child = getattr(command, "commands", {}).get(word)
        found = _having(child, f"{path} {word}", name, rest[place:]) if child is not None else ""
        if found:
            return found
    return path if name in _options_of(command) else ""


def _options_of(command: Any) -> dict[str, Any]:
    found = (one for one in command.params if one.param_type_name == "option")
    return {name: one for one in found for name in (*one.opts, *one.secondary_opts)}


def first_sentence(text: str) -> str:
    """Return the first sentence of a help text, on one line."""
    return _SENTENCE.split(" ".join(text.partition("\n\n")[0].split()), maxsplit=1)[0]
