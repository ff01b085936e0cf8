"""``python -m tests.repo.reference``: writes the manual's reference from signatures and docstrings.

A class documents its parameters in a section ``Args:`` of its docstring, one ``name: text`` each; further lines of a
text are indented more.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import x402_client
from x402_client import errors
from x402_client.policy import CAREFUL
from x402_client.wire.bounds import DEFAULT

PAGE = Path(x402_client.__file__).parent / "manual" / "reference.md"
ROOT = x402_client.__name__
#: What an application builds: each of these is shown with a row for every parameter.
BUILT = ("Buyer", "Policy", "Limit", "Wallet")
#: Modules that users import from, after the root, with what they are for.
MODULES = {
    "httpx": "For httpx. `x402_client.httpx2` has the same names for httpx2.",
    "httpx2": "For httpx2, the continuation of httpx.",
    "requests": "For requests.",
    "aiohttp": "For aiohttp: [what to know](aiohttp.md).",
    "agents": "Tools for models: [Agents](agents.md).",
    "discovery": "What is for sale, from facilitators' lists: [Finding sellers](discovery.md).",
    "mcp": "For tools of MCP servers: [MCP](mcp.md).",
    "errors": "Every error, with a page each: [Errors](errors/README.md).",
    "events": "What `Buyer(on_event=...)` is told.",
    "otel": "Spans and metrics, with the extra `[otel]`.",
    "buyer": "What a buyer is made of, for annotations.",
    "policy": "Policies, for annotations.",
    "wire": "How much is read and sent, for `Buyer(bounds=...)`.",
    "ledgers": "Ledgers, and what is needed to write one: [A ledger of your own](extending/ledger.md).",
    "ledgers.sqlite": "The ledger in a file.",
    "ledgers.postgres": "The ledger in PostgreSQL, with the extra `[postgres]`.",
    "ledgers.redis": "The ledger in Redis, with the extra `[redis]`.",
    "ledgers.conformance": "Tests for a ledger of your own.",
    "signers": "Signers of wallets that are contracts: [Wallets](wallets.md#wallets-that-are-contracts).",
    "sandbox": "A seller on this machine, with invented money.",
    "testing": "Tests for what you add: [Extending](extending/README.md).",
    "pytest_plugin": "Fixtures for pytest. They are there as soon as the package is installed.",
    "adapters": "For an HTTP client of your own: [its page](extending/http-client.md).",
    "core": "For what you add to the package: [Extending](extending/README.md).",
}
_NAMED_DEFAULTS = {id(CAREFUL): 'Policy(per_request="0.10", per_day="5")', id(DEFAULT): "Bounds()"}
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields|Examples?):\s*$", re.MULTILINE)
_ARGUMENT = re.compile(r"^(\*{0,2}\w+)(?: \([^)]*\))?: +(.*)$")

_HEAD = """# Reference

Every public name, made from the code by `python -m tests.repo.reference`. A name that is not here may change at any
time: [Stability](stability.md) says what is promised.
"""


def text() -> str:
    """Return the whole page."""
    parts = [_HEAD, f"## {ROOT}\n", *(_main(name) for name in _listed(ROOT))]
    seen = {id(getattr(x402_client, name)): ROOT for name in x402_client.__all__}
    for name, words in MODULES.items():
        parts += [f"## {ROOT}.{name}\n\n{words}\n", _table(("name", "what it is"), _rows(f"{ROOT}.{name}", seen))]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(part for part in parts if part))


def arguments(kind: type) -> dict[str, str]:
    """Return the texts of the section ``Args:`` of a class, or of its ``__init__``, by parameter, as Markdown."""
    found: dict[str, str] = {}
    for documented in (kind, kind.__init__):  # type: ignore[misc]
        doc = inspect.getdoc(documented) or ""
        begin = re.search(r"^(Args|Attributes):\s*$", doc, re.MULTILINE)
        if begin:
            rest = doc[begin.end() :]
            after = _SECTION.search(rest)
            found |= _arguments_in(rest[: after.start()] if after else rest)
    return {name: _markdown(words).replace("|", "\\|") for name, words in found.items()}


def _arguments_in(section: str) -> dict[str, str]:
    lines = inspect.cleandoc("\n" + section).splitlines()
    found: dict[str, str] = {}
    last = None
    for line in lines:
        match = None if line.startswith(" ") else _ARGUMENT.match(line)
        if match:
            last = match[1].lstrip("*")
            found[last] = match[2].strip()
        elif last is not None and line.strip():
            found[last] += " " + line.strip()
    return found


def parameters(kind: type) -> list[inspect.Parameter]:
    """Return the parameters of a class, without ``self`` and what stands for those of a later version."""
    found = inspect.signature(kind).parameters.values()
    return [one for one in found if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]


def _main(name: str) -> str:
    thing = getattr(x402_client, name)
    if inspect.ismodule(thing):
        return ""
    parts = [f"### {name}\n", f"{_whole(thing)}\n"]
    if not inspect.isclass(thing):
        return "\n".join([parts[0], f"    {name}{_signature(thing)}\n", *parts[1:]])
    if name in BUILT:
        texts = arguments(thing)
        rows = [
            (f"`{one.name}`", _default(one), _annotation(one.annotation), texts.get(one.name, ""))
            for one in parameters(thing)
        ]
        parts.append(_table(("parameter", "default", "type", "what it is"), rows))
    elif dataclasses.is_dataclass(thing):
        texts = arguments(thing)
        fields = [(f"`{f.name}`", _annotation(f.type), texts.get(f.name, "")) for f in dataclasses.fields(thing)]
        parts.append(_table(("field", "type", "what it is"), fields))
    elif parameters(thing):
        parts.append(f"    {name}{_signature(thing)}\n")
    parts.append(_table(("method", "what it does"), _members(thing)))
    return "\n".join(part for part in parts if part)


def _rows(module: str, seen: dict[int, str]) -> Iterator[tuple[str, str]]:
    """Yield the names of a module. What was shown before, under another module, is only pointed to."""
    found = importlib.import_module(module)
    for name in _listed(module):
        thing = getattr(found, name)
        home = seen.setdefault(id(thing), module)
        if home != module:
            yield f"`{name}`", f"The same as `{home}.{name}`."
        elif inspect.isclass(thing) and issubclass(thing, errors.X402Error):
            yield f"[`{name}`]({thing.manual_page}.md)", _first(thing)
        elif inspect.isclass(thing):
            yield f"`{name}{_signature(thing)}`", _first(thing)
            if dataclasses.is_dataclass(thing):
                yield from ((f"`{name}.{field}`", words) for field, words in arguments(thing).items())
            if not _is_tests(thing):
                yield from ((f"`{name}.{member[1:]}", words) for member, words in _members(thing))
        elif module.endswith("pytest_plugin"):
            yield f"`{name}`", _first(thing)
        elif inspect.isroutine(thing):
            yield f"`{name}{_signature(thing)}`", _first(thing)
        else:
            yield f"`{name}`", _of_value(thing)


def _is_tests(thing: type) -> bool:
    return any(name.startswith("test_") for name in dir(thing))


def _of_value(thing: object) -> str:
    origin = getattr(thing, "__args__", None)
    if origin and all(isinstance(one, str) for one in origin):
        return "One of " + ", ".join(f"`{one!r}`" for one in origin) + "."
    return f"A value of type `{type(thing).__name__}`." if not origin else "A type, for annotations."


def _listed(module: str) -> list[str]:
    short = module.removeprefix(f"{ROOT}.")
    found = importlib.import_module(module)
    if short == "pytest_plugin":
        return sorted(name for name in vars(found) if name.startswith("x402_"))
    return list(found.__all__)


def _members(thing: type) -> list[tuple[str, str]]:
    """Return the public methods and properties of a class with a line each, in the order in which they are written."""
    found: dict[str, Any] = {}
    for base in reversed(thing.__mro__):
        if base.__module__.partition(".")[0] == ROOT:
            found |= {name: value for name, value in vars(base).items() if not name.startswith("_")}
    return [row for name, value in found.items() if (row := _member(name, value)) is not None and row[1]]


def _member(name: str, value: Any) -> tuple[str, str] | None:
    if isinstance(value, property):
        return f"`{name}`", _first(value)
    function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
    if not inspect.isfunction(function):
        return None
    return f"`{name}{_signature(function, bound=not isinstance(value, staticmethod))}`", _first(function)


def _signature(thing: Any, bound: bool = False) -> str:
    """Return names and defaults; types are for editors."""
    if getattr(thing, "_is_protocol", False):
        return ""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    those = [one for one in found.parameters.values() if one.annotation != "Never"]
    kept = [one.replace(annotation=one.empty) for one in those]
    shown = [one if one.default is one.empty else one.replace(default=_Shown(one.default)) for one in kept[bound:]]
    return str(found.replace(parameters=shown, return_annotation=inspect.Signature.empty)).replace("|", "\\|")


class _Shown:
    """A default, shown as its reader would write it."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        known = _NAMED_DEFAULTS.get(id(self._value))
        plain = self._value is None or isinstance(self._value, str | int | float | bool | tuple | bytes)
        return known or (repr(self._value) if plain else "...")


def _default(parameter: inspect.Parameter) -> str:
    return "required" if parameter.default is parameter.empty else f"`{_Shown(parameter.default)!r}`"


def _annotation(annotation: Any) -> str:
    shown = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return f"`{shown}`".replace("|", "\\|")


def _whole(thing: Any) -> str:
    """Return a docstring up to its first section, without indented examples."""
    doc = inspect.getdoc(thing) or ""
    begin = _SECTION.search(doc)
    kept = [part for part in doc[: begin.start() if begin else None].split("\n\n") if not part.startswith(" ")]
    return _markdown("\n\n".join(" ".join(part.split()) for part in kept))


def _first(thing: Any) -> str:
    doc = getattr(thing, "__doc__", None) or inspect.getdoc(thing) or ""
    return _markdown(" ".join(inspect.cleandoc(doc).split("\n\n")[0].split())).replace("|", "\\|")


def _markdown(words: str) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", words).strip()


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines, ""]) if lines else ""


def main(page: Path = PAGE) -> None:
    """Write the page."""
    page.write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
