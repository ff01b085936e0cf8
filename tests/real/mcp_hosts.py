"""Running a host of MCP tools in an environment of its own, and its orders."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from .environments import clean_environ, environment

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "processes" / "mcp_host.py"
SECONDS = 120


class Host(NamedTuple):
    """A client library in an environment."""

    name: str
    environment: str
    kind: str
    transports: tuple[str, ...] = ("http", "sse", "stdio")


HOSTS = (
    Host("mcp 1.30", "mcp1", "mcp"),
    Host("fastmcp 3.4", "mcp1", "fastmcp"),
    Host("mcp 2.3", "mcp2", "mcp"),
    Host("mcp 2.3, its Client", "mcp2", "client", ("http",)),
    Host("fastmcp 4.2", "mcp2", "fastmcp"),
)


def run_host(host: Host, orders: dict[str, Any]) -> dict[str, Any]:
    """Run one, to its end. ``steps`` are calls, or "reconnect"."""
    done = subprocess.run(
        [str(environment(host.environment)), str(PROGRAM)],
        input=json.dumps({"host": host.kind, **orders}),
        env=clean_environ() | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert not any(word in done.stderr for word in ("signature", "validBefore", 'x402/payment"')), done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
