"""Walks the tree of commands: for the ends of their help, and for the manual page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import typer
from typer.main import get_command

from ..model.keywords import near
from .examples import help_lines

#: What people type for commands of ours, at the top and behind a group.
_MEANT = {
    **dict.fromkeys(("pay", "buy", "fetch", "curl", "download"), "get"),
    **dict.fromkeys(("init", "limits", "policy new", "policy create", "policy make", "policy edit"), "policy init"),
    **dict.fromkeys(("policy show", "policy list", "policy validate", "policy test"), "policy check"),
    **dict.fromkeys(("setup", "keygen", "wallet create", "wallet make", "wallet generate", "wallet add"), "wallet new"),
    **dict.fromkeys(("address", "wallet list", "wallet ls", "wallet address", "wallet info"), "wallet show"),
    **dict.fromkeys(("wallet export", "wallet key", "wallet backup", "wallet delete"), "manual wallets"),
    **dict.fromkeys(("faucet", "deposit", "topup", "top-up", "wallet deposit", "wallet faucet"), "wallet fund"),
    **dict.fromkeys(("history", "payments", "log", "ls", "ledger history", "ledger log", "ledger ls"), "ledger list"),
    **dict.fromkeys(("budget", "budgets", "config", "settings", "info", "whoami", "ledger status"), "status"),
    **dict.fromkeys(("ledger total", "ledger sum", "ledger balance", "spend", "spending"), "ledger spent"),
    **dict.fromkeys(("price", "cost", "ask"), "quote"),
    **dict.fromkeys(("server", "serve", "run", "start", "seller"), "sandbox"),
    **dict.fromkeys(("docs", "doc", "man"), "manual"),
    **dict.fromkeys(("find", "discover", "list-sellers", "bazaar"), "search"),
    "balance": "wallet balance", "version": "--version", "completion": "--install-completion",
}  # fmt: skip
#: Options that people type for what the policy says, and what to write there.
_IN_POLICY = {
    ("--network", "--networks", "--chain"): 'networks = ["base"]',
    ("--asset", "--token", "--currency"): 'assets = ["USDC"]',
    ("--pay-to", "--recipient"): 'pay_to = ["0x..."]',
    ("--budget", "--per-day", "--daily", "--max-per-day"): 'per_day = "5"',
    ("--hosts", "--allow", "--only"): "only_listed_hosts = true, with a table [hosts],",
}
#: Options that people type for a key.
_KEYS = ("--private-key", "--privkey", "--secret", "--secret-key", "--mnemonic", "--seed", "--evm-key", "--solana-key")
_VERBOSE = ("-v", "-vv", "--verbose")
_SENTENCE = re.compile(r"(?<=[.!?])\s")


def whole(app: typer.Typer) -> Any:
    """Return the command of an app. Every help ends with examples, and no description in a list is cut off."""
    root: Any = get_command(app)
    for words, command in walk(root):
        command.suggest_commands = False  # ``command_meant`` knows them all
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
    """Return the command, or the commands, that may be meant by a word that is none; "" if all are, or none is near."""
    command, path = root, ""
    words = [one for one in arguments if one[:1] != "-"]
    for place, word in enumerate(words, start=1):
        if not getattr(command, "commands", None):
            return ""
        if word == "help":
            return " ".join([*path.split(), *words[place:], "-h"])
        if word not in command.commands:
            return _meant(root, command, path, word.lower())
        command, path = command.commands[word], f"{path} {word}".strip()
    return ""


def _meant(root: Any, group: Any, path: str, word: str) -> str:
    """Return what may be meant by a word behind a group: one of its own commands, or one that is elsewhere."""
    known = _MEANT.get(f"{path} {word}".strip())
    if known is not None:
        return known
    places = [words for words, _ in walk(root) if words]
    leaves = {words.rpartition(" ")[2] for words in places}
    own = None if word in leaves else near(word, group.commands)
    if own is not None:
        return f"{path} {own}".strip()
    leaf = near(word, sorted(leaves), 0.85)
    return "` or `x402 ".join(words for words in places if words.rpartition(" ")[2] == leaf)


def option_meant(root: Any, arguments: Sequence[str]) -> str:
    """Return what stands in the policy in place of an option that a command does not have; "" if none was typed."""
    command = root
    for word in arguments:
        command = getattr(command, "commands", {}).get(word, command)
    known = _options_of(command)
    typed = {one.partition("=")[0] for one in arguments}.difference(known)
    fields = [field for names, field in _IN_POLICY.items() if typed.intersection(names)]
    return fields[0] if fields and "--policy" in known else ""


def value_meant(arguments: Sequence[str]) -> str:
    """Return a sentence on an option that takes no value, or that is not there for a reason; "" if none was typed."""
    names = {one.partition("=")[0] for one in arguments}
    if names.intersection(_KEYS):
        return "A key is never an option, as other programs could read it: `x402 wallet import` asks for it."
    after = [value for name, value in pairwise(arguments) if name == "--json"]
    if any(value[:1] in "{[" for value in after):
        return "--json takes no value: it shows what came as JSON. A body to send stands behind -d."
    return ""


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
