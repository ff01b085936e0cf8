"""Names that are looked for in ``x402_client`` and are elsewhere: the error says where, and the rest stays as it is."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

import x402_client
from x402_client import errors
from x402_client.model.elsewhere import HOMES, where

ERRORS = [name for name in errors.__all__ if name[0].isupper()]
#: Names, and words of the error.
NAMES = {
    **{name: f"`from x402_client.{modules[0]} import {name}`" for name, modules in HOMES.items()},
    **{name: f"errors.{name}." for name in ERRORS},
    "x402HttpxClient": "x402 manual coming-from",
    "wrapRequestsWithPayment": "x402 manual coming-from",
    "Client": "there is no client of its own",
}


def _import(name: str) -> None:
    exec(f"from x402_client import {name}", {})


@pytest.mark.parametrize("name", NAMES)
def test_an_import_of_a_name_that_is_elsewhere_says_where(name: str) -> None:
    with pytest.raises(ImportError) as refused:
        _import(name)
    assert NAMES[name] in str(refused.value)
    assert not hasattr(x402_client, name), "and a look still finds nothing"
    with pytest.raises(AttributeError) as missing:
        getattr(x402_client, name)
    assert str(missing.value) == str(refused.value)


@pytest.mark.parametrize("name", HOMES)
def test_each_is_where_the_error_says(name: str) -> None:
    for module in HOMES[name]:
        found: Any = importlib.import_module(f"x402_client.{module}")
        assert hasattr(found, name)
        assert name in found.__all__


def test_no_name_of_a_face_is_forgotten() -> None:
    for module in ("httpx", "httpx2", "requests", "aiohttp", "mcp", "signers"):
        found: Any = importlib.import_module(f"x402_client.{module}")
        assert set(found.__all__) <= {*HOMES, *x402_client.__all__}


def test_another_name_is_told_as_python_tells_it() -> None:
    with pytest.raises(ImportError, match=r"^cannot import name 'nothing' from 'x402_client'"):
        _import("nothing")
    with pytest.raises(AttributeError, match=r"^module 'x402_client' has no attribute 'nothing'$"):
        x402_client.nothing  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(x402_client, "__wrapped__")


def misspelt(name: str) -> set[str]:
    """Other spellings of a name: its case, a letter that is missing, twice or in another place."""
    dropped = {name[:place] + name[place + 1 :] for place in range(1, len(name))}
    doubled = {name[:place] + name[place] + name[place:] for place in range(len(name))}
    moved = {name[:place] + name[place + 1] + name[place] + name[place + 2 :] for place in range(len(name) - 1)}
    return {name.lower(), name.upper(), name.capitalize(), name + "s", *dropped, *doubled, *moved} - {name}


@pytest.mark.parametrize("name", errors.__all__)
def test_a_misspelt_error_is_answered_by_its_name(name: str) -> None:
    """It is looked up only as an exception is under way: what is said then has to do."""
    for written in misspelt(name) - set(errors.__all__):
        if not hasattr(errors, written):
            with pytest.raises(AttributeError, match=rf"no attribute {written!r}; did you mean {name}\?$"):
                getattr(errors, written)


def test_an_error_that_is_like_none_is_answered_by_their_base() -> None:
    with pytest.raises(AttributeError, match="each is an X402Error; `x402 manual errors` has them all"):
        errors.Zzz  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", [name for name in x402_client.__all__ if name[0].isupper() and len(name) > 4])
def test_a_misspelt_name_is_answered_by_its_name(name: str) -> None:
    for written in misspelt(name) - set(x402_client.__all__) - NAMES.keys():
        if written[0].isupper():
            with pytest.raises(ImportError, match=rf"no attribute {written!r}; did you mean {name}\?$"):
                _import(written)


def test_no_module_is_taken_for_a_misspelt_name() -> None:
    """Python asks for it so in ``from x402_client import buyer``, before it looks for a module."""
    modules = [one.name for one in pkgutil.walk_packages(x402_client.__path__) if not one.name.startswith("__")]
    assert {"buyer", "policy", "errors"} <= set(modules)
    assert [name for name in modules if where(name, x402_client.__all__)] == []
