"""Help is where users look: every public name has a docstring, and every parameter of it is explained there."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import x402_client

PACKAGE = Path(x402_client.__file__).parent
#: Modules whose names are for authors of extensions. The manual's pages about them explain the parameters.
FOR_AUTHORS = (
    "adapters", "core", "ledgers", "ledgers.conformance", "ledgers.conformance.ledger", "ledgers.postgres",
    "ledgers.redis", "ledgers.sqlite", "policy", "testing.adapter_conformance",
)  # fmt: skip
#: Classes of those that users build all the same.
FOR_USERS_TOO = {"PostgresLedger", "RedisLedger", "SqliteLedger", "Policy", "Limit"}
#: Their methods answer the flow, not the user.
PORTS = {"PostgresLedger", "RedisLedger", "SqliteLedger"}


def listed_modules() -> Iterator[str]:
    """Yield every module that lists its public names."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if re.search(r"^__all__\b", path.read_text("utf-8"), re.MULTILINE):
            parts = path.relative_to(PACKAGE).with_suffix("").parts
            yield ".".join(("x402_client", *(parts[:-1] if parts[-1] == "__init__" else parts)))


@dataclass(frozen=True)
class Documented:
    """A public class, function, method or property."""

    name: str
    doc: str
    parameters: tuple[str, ...]


MODULES = sorted(listed_modules())


def parameters(thing: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the parameters. One that is typed ``Never`` cannot be given."""
    try:
        found = inspect.signature(thing).parameters.values()
    except ValueError:  # a type of the interpreter's, or a NamedTuple's own
        return ()
    return tuple(one.name for one in found if one.name not in ("self", "cls") and one.annotation != "Never")


def of_ours(kind: type) -> list[type]:
    return [base for base in kind.__mro__ if base.__module__.partition(".")[0] == "x402_client"]


def members(name: str, kind: type) -> Iterator[Documented]:
    for base in of_ours(kind):
        for member, value in vars(base).items():
            function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            if member.startswith(("_", "test_")):
                continue  # the name of a test is its sentence
            if isinstance(function, property) or inspect.isfunction(function):
                takes = parameters(function) if inspect.isfunction(function) else ()
                yield Documented(f"{name}.{member}", inspect.getdoc(function) or "", takes)


def documented(module: str) -> Iterator[Documented]:
    home = importlib.import_module(module)
    for public in home.__all__:
        thing = getattr(home, public)
        if inspect.isclass(thing):
            docs = "\n\n".join(inspect.cleandoc(base.__doc__ or "") for base in of_ours(thing))
            yield Documented(public, docs if thing.__doc__ else "", parameters(thing))
            yield from members(public, thing)
        elif inspect.isfunction(thing):
            yield Documented(public, inspect.getdoc(thing) or "", parameters(thing))


def explained(doc: str) -> dict[str, str]:
    """Return the texts in the sections of arguments and attributes, by their names."""
    sections = re.findall(r"^(?:Args|Attributes):\n((?:    .*\n?)+)", doc, re.MULTILINE)
    entries = [re.split(r"^    (\w+): ", section, flags=re.MULTILINE)[1:] for section in sections]
    return {name: text for found in entries for name, text in zip(found[::2], found[1::2], strict=True)}


def is_for_users(module: str, name: str) -> bool:
    if module.removeprefix("x402_client.") not in FOR_AUTHORS:
        return "Conformance" not in name
    owner, _, member = name.partition(".")
    return owner in FOR_USERS_TOO and not (member and owner in PORTS)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_docstring(module: str) -> None:
    assert [one.name for one in documented(module) if not one.doc.strip()] == []


@pytest.mark.parametrize("module", MODULES)
def test_the_first_sentence_ends_and_says_what_it_is(module: str) -> None:
    firsts = {one.name: one.doc.strip().partition("\n\n")[0] for one in documented(module)}
    assert [name for name, first in firsts.items() if not re.match(r"[A-Z`]", first)] == []
    assert [name for name, first in firsts.items() if first.rstrip()[-1:] not in (".", ":", "?")] == []


@pytest.mark.parametrize("module", MODULES)
def test_every_parameter_is_explained_where_a_user_looks(module: str) -> None:
    for one in documented(module):
        if is_for_users(module, one.name) and not one.doc.startswith("Async twin of ``"):
            assert set(one.parameters) - explained(one.doc).keys() == set(), one.name


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_explained_that_is_not_there(module: str) -> None:
    for one in documented(module):
        if "." in one.name or not inspect.isclass(getattr(importlib.import_module(module), one.name)):
            assert explained(one.doc).keys() - set(one.parameters) == set(), one.name


KINDS = ("Buyer", "Limit", "Money", "Policy", "Token", "Wallet")


@pytest.mark.parametrize("kind", KINDS)
def test_what_can_be_left_out_says_what_it_is_then(kind: str) -> None:
    built = getattr(x402_client, kind)
    texts = explained(inspect.getdoc(built) or "")
    optional = {one.name for one in inspect.signature(built).parameters.values() if one.default is not one.empty}
    assert [name for name in sorted(optional) if not re.search(r"Default:\s", texts[name])] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_shows_the_names_that_can_be_given(kind: str) -> None:
    shown = inspect.signature(getattr(x402_client, kind)).parameters.values()
    assert [one.name for one in shown if one.kind is one.VAR_KEYWORD and one.annotation != "Never"] == []
    assert [one.name for one in shown if one.kind is one.VAR_POSITIONAL] == []


def test_what_is_looked_for_is_found() -> None:
    doc = "Do it.\n\nArgs:\n    one: The first,\n        told: at length.\n    two: The second.\n\nThree: no."
    assert explained(doc) == {"one": "The first,\n        told: at length.\n", "two": "The second.\n"}
    assert explained("Attributes:\n    one: It.\n") == {"one": "It.\n"}
    assert explained("Args: one\n") == {}


def test_the_errors_and_events_inherit_what_their_bases_explain() -> None:
    (denied,) = (one for one in documented("x402_client.errors") if one.name == "ApprovalDenied")
    assert set(denied.parameters) == {"message", "hold", "offer", "response"} <= explained(denied.doc).keys()
