"""What is public is listed, sorted, documented, and light to import."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import pydoc
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import x402_client
from x402_client import errors
from x402_client.errors import X402Error

PACKAGE = Path(x402_client.__file__).parent
PUBLIC = {
    "x402_client": [
        "Allowance", "Approval", "Buyer", "Exposure", "Hold", "Limit", "Money", "Offer", "Outcome", "Policy", "Quote",
        "Receipt", "SignIn", "Statement", "Token", "Wallet", "errors", "outcome", "receipt",
    ],
    "x402_client.agents": [
        "AsyncTools", "Tools", "as_langchain", "as_openai_agents", "as_pydantic_ai", "as_smolagents", "payable_tool",
        "tools", "wrap",
    ],
    "x402_client.aiohttp": ["outcome", "quote", "receipt", "wrap"],
    "x402_client.httpx": ["AsyncPaymentTransport", "PaymentTransport", "outcome", "quote", "receipt", "wrap"],
    "x402_client.httpx2": ["AsyncPaymentTransport", "PaymentTransport", "outcome", "quote", "receipt", "wrap"],
    "x402_client.mcp": ["outcome", "quote", "receipt", "wrap"],
    "x402_client.requests": ["PaymentAdapter", "outcome", "quote", "receipt", "wrap"],
    "x402_client.cli": ["main"],
    "x402_client.discovery": ["AsyncListings", "FACILITATORS", "Listing", "Listings", "adiscover", "discover"],
    "x402_client.errors": None,
    "x402_client.events": None,
    "x402_client.otel": ["listener"],
    "x402_client.sandbox": [
        "FAULTS", "Fault", "Sandbox", "Settlement", "TEST_EVM_KEYS", "TEST_SOLANA_KEYS", "TOKENS", "Visit",
    ],
}  # fmt: skip


#: Rooms that load a name when it is asked for.
LAZY = [
    ".".join(("x402_client", *file.parent.relative_to(PACKAGE).parts))
    for file in sorted(PACKAGE.rglob("__init__.py"))
    if "def __getattr__" in file.read_text("utf-8")
]


def imported(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.mark.parametrize(("name", "expected"), PUBLIC.items())
def test_what_is_public_is_listed_and_sorted(name: str, expected: list[str] | None) -> None:
    listed = imported(name).__all__
    assert listed == sorted(listed)
    assert len(set(listed)) == len(listed)
    assert expected is None or listed == expected


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_listed_is_there_and_documented(name: str) -> None:
    module = imported(name)
    assert module.__doc__
    for public in module.__all__:
        thing = getattr(module, public)
        if not (callable(thing) or inspect.ismodule(thing)) or public == "MoneyState":
            continue
        assert inspect.getdoc(thing), f"{name}.{public} has no docstring"
        if not inspect.isclass(thing):
            continue
        for member, value in vars(thing).items():
            if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                inherited = any(hasattr(base, member) for base in thing.__mro__[1:])
                assert inspect.getdoc(value) or inherited, f"{name}.{public}.{member} has no docstring"


@pytest.mark.parametrize("name", LAZY)
def test_a_room_has_each_of_its_names_and_no_other(name: str) -> None:
    module = imported(name)
    assert module.__all__ == sorted(module.__all__)
    for listed in module.__all__:
        assert getattr(module, listed) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_this_name'"):
        _ = module.nothing_of_this_name


@pytest.mark.parametrize("name", [*LAZY, "x402_client"])
def test_no_name_of_a_room_is_that_of_a_module_in_it(name: str) -> None:
    # Once the module was imported, the import system would give it in the place of the thing.
    module = imported(name)
    modules = {one.name for one in pkgutil.iter_modules(module.__path__)}
    assert modules & set(module.__all__) == ({"errors"} if name == "x402_client" else set())


def test_every_error_is_listed() -> None:
    defined = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert set(errors.__all__) == defined | {"MoneyState", "causes", "find"}


@pytest.mark.parametrize("name", PUBLIC)
def test_nothing_of_ours_is_public_by_accident(name: str) -> None:
    module = imported(name)
    own = {
        public
        for public, value in vars(module).items()
        if not public.startswith("_") and getattr(value, "__module__", None) == name
    }
    # Errors of ours that are a library's own: in the face so that they pickle, and caught by either of their bases.
    joined = {public for public in own if isinstance(vars(module)[public], type) and is_joined(vars(module)[public])}
    assert own - joined <= set(module.__all__)


def is_joined(kind: type) -> bool:
    return issubclass(kind, X402Error) and len(kind.__bases__) == 2


def test_the_version_is_that_of_the_distribution() -> None:
    assert x402_client.__version__ == version("x402-buyer")


HEAVY = ["eth_account", "solders", "requests", "httpx", "httpx2", "web3", "anyio", "eth_keys", "coincurve", "base58"]


def loaded(program: str) -> set[str]:
    code = f"import sys; {program}; print(*[n for n in {HEAVY!r} if n in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_the_package_alone_is_light() -> None:
    assert loaded("import x402_client") == set()


def test_a_buyer_with_a_local_key_needs_no_ethereum_library_but_the_curve() -> None:
    program = "from x402_client import Buyer, Wallet; Buyer(Wallet(evm='0x' + '46' * 32), ledger=':memory:')"
    assert loaded(program) <= {"coincurve", "eth_keys"}


@pytest.mark.parametrize(("shell", "library"), [("httpx", "httpx"), ("requests", "requests"), ("httpx2", "httpx2")])
def test_a_shell_imports_its_own_library_only(shell: str, library: str) -> None:
    assert loaded(f"import x402_client.{shell}") & {"httpx", "httpx2", "requests", "eth_account", "solders"} == {
        library
    }


@pytest.mark.parametrize(
    "name", ["agents", "buyer", "core", "discovery", "ledgers", "ledgers.sqlite", "policy", "testing"]
)
def test_help_shows_what_is_loaded_when_it_is_asked_for(name: str) -> None:
    module = imported(f"x402_client.{name}")
    shown = pydoc.plain(pydoc.render_doc(module))
    assert [public for public in module.__all__ if public not in shown] == []


@pytest.mark.parametrize(("name", "missing"), [("testing", "pytest"), ("ledgers", "redis")])
def test_help_needs_no_extra(name: str, missing: str) -> None:
    program = (
        f"import pydoc, sys; sys.modules[{missing!r}] = None; import importlib.util as util; found = util.find_spec\n"
        f"util.find_spec = lambda name: None if name == {missing!r} else found(name)\n"
        f"import x402_client.{name} as module; print(pydoc.plain(pydoc.render_doc(module)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert {"testing": "payment_required", "ledgers": "MemoryLedger"}[name] in ran.stdout
