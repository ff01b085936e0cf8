"""Imports point down from room to room, without a circle; the core touches nothing outside; files stay small."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2] / "x402_client"

#: From the roof to the ground. A room imports from rooms that come after it, and from itself.
ROOMS = (
    "__init__", "__main__", "pytest_plugin",
    "cli",
    "agents", "testing", "sandbox", "discovery",
    "httpx", "httpx2", "requests", "aiohttp", "mcp",
    "adapters",
    "buyer",
    "ledgers", "schemes",
    "signers",
    "core", "otel",
    "policy", "chains", "receipts", "events",
    "wire",
    "model", "guards", "errors",
    "manual",
)  # fmt: skip
#: Money and hosts raise errors, and an error says what happened to which money: for type checkers only.
#: No other shape is free of it: ``Money("0.1.2")`` raises an error, whose ``hold`` has a price, which is Money.
ALLOWED_CIRCLE = {("errors", "model.money"), ("errors", "model.holds"), ("errors", "model.offers")}

PURE = ("model", "wire", "policy", "core", "events", "receipts", "errors")
#: I/O, clocks and randomness. ``datetime`` is a type and may come in; its ``now`` may not be asked.
OUTSIDE = {
    "asyncio", "builtins", "ctypes", "getpass", "glob", "io", "locale", "logging", "mmap", "multiprocessing", "os",
    "pathlib", "platform", "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl",
    "subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid", "warnings", "http",
}  # fmt: skip
FORBIDDEN_CALLS = {"now", "utcnow", "today", "open", "print", "input", "exec", "eval", "__import__"}
#: A policy file is read, and nothing else of the core reads a file. A closed answer looks at the exception under way.
EXCEPTIONS = {
    "policy.toml": {"open", "os.PathLike", "os.environ"},
    "policy.policy": {"os.PathLike"},
    "core.delivery": {"sys"},
}
#: pydantic reads what strangers send. idna is what the HTTP libraries name hosts by, so patterns must use it too.
LIBRARIES = {"pydantic", "pydantic_core", "idna"}
OPTIONAL = {"wire.content_encoding": {"brotli", "zstandard"}}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
LAZY_CORE = {name: tree for name, tree in TREES.items() if name.partition(".")[0] in PURE and name != "core"}


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Give the line and the full name of all that is imported, also inside functions and for types."""
    package = MODULES[module].name == "__init__.py"
    here = ["x402_client", *(module.split(".") if package else module.split(".")[:-1])]
    here = ["x402_client"] if module == "__init__" else here
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{whole}.{alias.name}") for alias in node.names)


def target(name: str) -> str | None:
    """Return the module of ours that a full name leads to."""
    first, _, rest = name.partition(".")
    if first != "x402_client":
        return None
    while rest and rest not in MODULES:
        rest = rest.rpartition(".")[0]
    return rest or "__init__"


@cache
def edges() -> dict[tuple[str, str], int]:
    """Give the line of each import of one module of ours by another."""
    return {
        (module, found): line
        for module in MODULES
        for line, name in imports(module)
        if (found := target(name)) is not None and found != module
    }


def test_imports_point_down() -> None:
    place = {room: position for position, room in enumerate(ROOMS)}
    strange = [module for module in MODULES if module.partition(".")[0] not in place]
    assert not strange, f"{strange} are in no room; enter them in ROOMS."
    upward = [
        f"{module}, line {line}: {found}"
        for (module, found), line in edges().items()
        if place[module.partition(".")[0]] > place[found.partition(".")[0]] and (module, found) not in ALLOWED_CIRCLE
    ]
    assert not upward, "\n".join(upward)


def test_there_is_no_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for module, found in edges():
        if (module, found) not in ALLOWED_CIRCLE:
            graph[module].add(found)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        raise AssertionError(" <- ".join(circle.args[1])) from None


def test_the_allowed_circle_is_for_types_only() -> None:
    for module in {module for module, _ in ALLOWED_CIRCLE}:
        loaded = [part for part in TREES[module].body if not (isinstance(part, ast.If) and _for_types(part))]
        nodes = [node for part in loaded for node in ast.walk(part)]
        assert not [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level]


def _for_types(part: ast.If) -> bool:
    return ast.unparse(part.test) == "TYPE_CHECKING"


def test_a_leading_underscore_is_private_to_its_room() -> None:
    loose = [module for module in MODULES if "." not in module and module.strip("_") == module[1:]]
    assert not loose, f"{loose} are private and stand in the root."
    taken = [
        f"{module}, line {line}: {name}"
        for module in MODULES
        for line, name in imports(module)
        if (found := target(name)) is not None
        and found.partition(".")[0] != module.partition(".")[0]
        and any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
    ]
    assert not taken, "\n".join(taken)


def test_the_core_does_no_io_and_needs_few_libraries() -> None:
    found = []
    for module, tree in LAZY_CORE.items():
        excused = EXCEPTIONS.get(module, set())
        allowed = LIBRARIES | OPTIONAL.get(module, set()) | {"x402_client"} | set(sys.stdlib_module_names)
        for line, name in imports(module):
            outside = name not in excused and any(name == one or name.startswith(one + ".") for one in OUTSIDE)
            if outside or name.split(".")[0] not in allowed:
                found.append(f"{module}, line {line}: {name}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in FORBIDDEN_CALLS - excused:
                    found.append(f"{module}, line {node.lineno}: {ast.unparse(node.func)}()")
    assert not found, "\n".join(found)


def test_files_and_functions_fit_in_a_hand_and_only_the_command_prints() -> None:
    found = []
    for module, tree in TREES.items():
        lines = len(MODULES[module].read_text(encoding="utf-8").splitlines())
        if lines >= 400:
            found.append(f"{module} has {lines} lines; 400 are too many.")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                if size > 60:
                    found.append(f"{module}.{node.name} has {size} lines; 60 are the most.")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and module.partition(".")[0] != "cli":
                found.append(f"{module}, line {node.lineno}: print")
    assert not found, "\n".join(found)
