"""The manual page x402(1), made from the help texts: ``python -m x402_client.cli.man > x402_client/manual/x402.1``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from ..buyer.environment import EVM_VARIABLE, SOLANA_VARIABLE
from ..signers.keystore import PASSPHRASE_VARIABLE
from .app import app
from .examples import examples_of
from .exits import MEANING
from .tree import walk, whole

#: Begins a paragraph of help whose lines stay as they are.
_AS_IS = "\b"
_EXIT_CODES = "Exit codes:"
_VARIABLES = {
    EVM_VARIABLE: "A private key for EVM chains, in hex. It pays instead of the wallet.",
    SOLANA_VARIABLE: "A private key for Solana, in base58. It pays instead of the wallet.",
    PASSPHRASE_VARIABLE: "The passphrase of the wallet. Without it, the keyring or a prompt.",
    "NO_COLOR": "If set, no colours and no other marks are used on a terminal.",
    "XDG_DATA_HOME": "Where the ledger and the wallets are, instead of ~/.local/share.",
}
_FILES = {
    "~/.local/share/x402_client/ledger.db": "The ledger: what was paid, and what is open. Only you can read it.",
    "~/.local/share/x402_client/wallets/default": "The wallet that pays, encrypted with its passphrase.",
}


def man_page() -> str:
    """Return the manual page, in the format of man(7)."""
    root = whole(app)
    return "\n".join([*_head(root), *_commands(root), *_tail(root)]) + "\n"


def _head(root: Any) -> Iterator[str]:
    release = version("x402-buyer")
    yield f'.TH X402 1 "" "x402\\-buyer {release}" "User Commands"'
    yield from (".SH NAME", "x402 \\- pay for what answers 402 Payment Required, within limits")
    yield from (".SH SYNOPSIS", ".B x402", "[\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...")
    yield ".SH DESCRIPTION"
    yield from _paragraphs(root.help)
    yield from _options(root)
    yield ".SH EXAMPLES"
    yield from _examples("")


def _commands(root: Any) -> Iterator[str]:
    yield ".SH COMMANDS"
    for words, command in walk(root):
        if words and not command.hidden:
            yield f'.SS "{_escaped(" ".join(["x402", words, *_pieces(command)]))}"'
            yield from _paragraphs(command.help)
            yield from _options(command)
            yield from _examples(words)


def _tail(root: Any) -> Iterator[str]:
    yield ".SH EXIT STATUS"
    yield from _listed({str(int(code)): f"{meaning[:1].upper()}{meaning[1:]}." for code, meaning in MEANING.items()})
    yield ".SH ENVIRONMENT"
    yield from _listed({**_named_by_options(root), **_VARIABLES})
    yield ".SH FILES"
    yield from _listed(_FILES)


def _pieces(command: Any) -> Iterator[str]:
    """Yield what follows the name of a command in its first line."""
    if any(_is_option(parameter) for parameter in command.params):
        yield "[OPTION]..."
    if getattr(command, "commands", None):
        yield "COMMAND"
    for parameter in command.params:
        if not _is_option(parameter):
            name = parameter.metavar or parameter.name.upper()
            yield name if parameter.required else f"[{name}]"


def _options(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or not parameter.help:
            continue
        names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in (*parameter.opts, *parameter.secondary_opts))
        if not _is_option(parameter):
            names = f"\\fI{_escaped(parameter.metavar or parameter.name.upper())}\\fR"
        elif parameter.metavar:
            names += f" \\fI{_escaped(parameter.metavar)}\\fR"
        yield from (".TP", names, _line(" ".join(parameter.help.split())))


def _examples(words: str) -> Iterator[str]:
    for typed, does in examples_of(words):
        yield from (".PP", ".nf", f".RS\n\\fB{_escaped(typed)}\\fR\n.RE", ".fi", ".RS 8", _line(does), ".RE")


def _paragraphs(text: str | None) -> Iterator[str]:
    """Yield the paragraphs of a help text. Exit codes have a section of their own."""
    for paragraph in (text or "").split("\n\n"):
        as_is, lines = paragraph.startswith(_AS_IS), paragraph.removeprefix(_AS_IS).strip("\n").splitlines()
        if not lines or lines[0] == _EXIT_CODES:
            continue
        yield ".PP"
        yield from (".nf", *map(_line, lines), ".fi") if as_is else (_line(" ".join(lines)),)


def _named_by_options(root: Any) -> dict[str, str]:
    """Return the variables that stand for options, each with the option it stands for."""
    found: dict[str, str] = {}
    for _, command in walk(root):
        for parameter in command.params:
            if isinstance(getattr(parameter, "envvar", None), str):
                found.setdefault(parameter.envvar, f"Stands for {parameter.opts[0]}.")
    return dict(sorted(found.items()))


def _listed(rows: dict[str, str]) -> Iterator[str]:
    for name, value in rows.items():
        yield from (".TP", f"\\fB{_escaped(name)}\\fR", _line(value))


def _is_option(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "option")


def _line(text: str) -> str:
    """Return a line that begins with no request of roff."""
    return f"\\&{_escaped(text)}" if text.startswith((".", "'")) else _escaped(text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")


if __name__ == "__main__":
    sys.stdout.write(man_page())
