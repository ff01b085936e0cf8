"""What a step reads, as the server tells: the plan of each statement that ran, with the rows that it looked at."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .server import Server

#: Settings of a server that writes down each statement's plan, also inside functions.
SETTINGS = (
    "session_preload_libraries=auto_explain",
    "auto_explain.log_min_duration=0",
    "auto_explain.log_nested_statements=on",
    "auto_explain.log_analyze=on",
    "auto_explain.log_timing=off",
    "auto_explain.log_format=json",
    "log_min_messages=log",
    "autovacuum=off",
)


@dataclass(slots=True)
class Read:
    """What one statement read of one table: how, and how many rows and blocks in all its runs."""

    statement: str
    how: str
    runs: int = 0
    rows: float = 0.0


@dataclass(slots=True)
class Reads:
    """What some work read, by statement and way of reading."""

    found: dict[tuple[str, str], Read] = field(default_factory=dict)
    blocks: float = 0.0

    @property
    def rows(self) -> float:
        return sum(read.rows for read in self.found.values())

    def note(self, plan: dict[str, Any]) -> None:
        statement = " ".join(plan["Query Text"].split())
        self.blocks += plan["Plan"].get("Shared Hit Blocks", 0) + plan["Plan"].get("Shared Read Blocks", 0)
        for node in _nodes(plan["Plan"]):
            if "Relation Name" in node and node["Node Type"] != "ModifyTable":
                how = f"{node['Node Type']} of {node['Relation Name']} {node.get('Index Name', '')}".strip()
                read = self.found.setdefault((statement, how), Read(statement, how))
                read.runs += 1
                removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
                read.rows += (node["Actual Rows"] + removed) * node["Actual Loops"]


def reads_of(server: Server, work: Callable[[], object]) -> Reads:
    """Return what the ledger's statements read while ``work`` was done."""
    log = server.directory / "log"
    time.sleep(0.1)
    before = log.stat().st_size
    work()
    time.sleep(0.1)
    with log.open("rb") as written:
        written.seek(before)
        text = written.read().decode()
    found = Reads()
    for plan in _plans(text):
        found.note(plan)
    return found


def _plans(text: str) -> Iterator[dict[str, Any]]:
    """Give each plan in the server's log. Lines of a message after its first one begin with a tab."""
    lines: list[str] | None = None
    for line in text.splitlines():
        if line.endswith("plan:"):
            lines = []
        elif lines is not None and line.startswith("\t"):
            lines.append(line)
            if line == "\t}":
                yield json.loads("\n".join(lines))
                lines = None


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
