"""Imports point down, the core touches nothing outside, and files and functions stay small: read from the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "x402_client"

#: The rooms of each floor: modules, or packages with everything in them.
FLOORS: dict[int, tuple[str, ...]] = {
    0: ("money", "errors", "hosts", "limits"),
    1: ("_written", "choice", "policy", "policy_file", "policy_text", "wire"),
    2: ("ahead", "asks", "drive", "events", "flow", "ports", "presentation", "receipts", "remembered"),
    3: ("_deadlines", "_frames", "chains", "ledgers", "schemes", "signers"),
    4: (
        "__init__", "_answers", "_asking", "_bodies", "_cookies", "_hpack_log", "_httpx_couriers",
        "_httpx_streams", "_httpxes", "_inquiry", "_requests_courier", "_requests_streams", "_sockets", "breaker",
        "buyer", "delivery", "httpx", "httpx2", "otel",
        "reconciliation", "requests", "scopes", "settings", "wallet",
    ),
    5: ("__main__", "cli", "pytest_plugin", "sandbox"),
}  # fmt: skip
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}

#: I/O, clocks and randomness. ``datetime`` is a type and may come in; its ``now`` may not be asked.
OUTSIDE = {
    "asyncio", "builtins", "ctypes", "getpass", "glob", "io", "locale", "logging", "mmap", "multiprocessing", "os",
    "pathlib", "platform", "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl",
    "subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid", "warnings", "http",
}  # fmt: skip
FORBIDDEN_CALLS = {"now", "utcnow", "today", "open", "print", "input", "exec", "eval", "__import__"}
#: ``Policy.from_file`` reads a file, and nothing else of the core does.
READS = {"policy_file": {"open", "os"}}
#: pydantic reads what strangers send. idna is what both HTTP libraries name hosts by, so patterns must use it too.
THIRD_PARTY = {"pydantic", "pydantic_core", "idna"}
#: Optional libraries of one module, imported where they are used.
OPTIONAL = {"wire.decode": {"brotli", "zstandard"}}

FILES = sorted(ROOT.rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
CORE = {name: path for name, path in MODULES.items() if FLOOR.get(name.partition(".")[0], 9) < 3}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(module: str, path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported, also inside functions; relative names are made whole."""
    here = ["x402_client", *module.split(".")[:-1]]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{whole}.{alias.name}") for alias in node.names)


def typing_only(path: Path) -> set[int]:
    """Lines under ``if TYPE_CHECKING``: names of types, nothing that runs."""
    guarded = [n for n in ast.walk(tree(path)) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    return {line for node in guarded for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def room(name: str) -> str | None:
    """The room of ours that a full name leads to."""
    parts = name.split(".")
    if parts[0] != "x402_client":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR else "__init__"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor(module: str) -> None:
    top = module.partition(".")[0]
    assert top in FLOOR, f"x402_client/{module.replace('.', '/')}.py is on no floor; enter {top!r} in FLOORS."


def test_every_room_of_the_table_is_there() -> None:
    there = {name.partition(".")[0] for name in MODULES} | {"cli"}
    assert set(FLOOR) <= there


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    own, skipped = FLOOR.get(module.partition(".")[0], 0), typing_only(MODULES[module])
    upward = [
        f"line {line}: {name} is on floor {FLOOR[target]}"
        for line, name in imports(module, MODULES[module])
        if line not in skipped and (target := room(name)) is not None and FLOOR[target] > own
    ]
    assert not upward, f"x402_client.{module} is on floor {own}; {'; '.join(upward)}"


@pytest.mark.parametrize("module", CORE)
def test_the_core_touches_nothing_outside(module: str) -> None:
    found = [
        f"line {line}: {name}"
        for line, name in imports(module, CORE[module])
        if any(name == outside or name.startswith(outside + ".") for outside in OUTSIDE - READS.get(module, set()))
    ]
    for node in ast.walk(tree(CORE[module])):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in FORBIDDEN_CALLS - READS.get(module, set()):
                found.append(f"line {node.lineno}: {ast.unparse(node.func)}()")
    assert not found, f"x402_client.{module} is below floor 3, without I/O, clock or randomness; {'; '.join(found)}"


@pytest.mark.parametrize("module", CORE)
def test_the_core_needs_few_libraries(module: str) -> None:
    allowed = THIRD_PARTY | OPTIONAL.get(module, set()) | {"x402_client"} | set(sys.stdlib_module_names)
    foreign = [f"line {n}: {name}" for n, name in imports(module, CORE[module]) if name.split(".")[0] not in allowed]
    assert not foreign, f"x402_client.{module}: {'; '.join(foreign)}"


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_fit_in_a_hand(module: str) -> None:
    text = MODULES[module].read_text(encoding="utf-8")
    assert len(text.splitlines()) < 400, f"x402_client.{module} has {len(text.splitlines())} lines; 400 are too many."
    long = [
        f"{node.name} has {size} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := (node.end_lineno or 0) - node.lineno + 1) > 60
    ]
    assert not long, f"x402_client.{module}: {'; '.join(long)}; 60 are the most."


@pytest.mark.parametrize("module", [name for name in MODULES if FLOOR.get(name.partition(".")[0]) != 5])
def test_only_the_top_floor_prints(module: str) -> None:
    calls = [n for n in ast.walk(tree(MODULES[module])) if isinstance(n, ast.Call) and ast.unparse(n.func) == "print"]
    assert not calls
