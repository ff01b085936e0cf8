"""Texts to paste into a host's settings so that it starts ``x402 mcp``, with the file that each goes into."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: The file of Claude Desktop, by system.
_DESKTOP = {
    "darwin": "~/Library/Application Support/Claude/claude_desktop_config.json",
    "win32": "%APPDATA%\\Claude\\claude_desktop_config.json",
}


@dataclass(frozen=True, slots=True)
class HostFile:
    """A host and its file.

    Attributes:
        title: Its name.
        place: Its file.
        servers: The name under which servers stand in its JSON. "": it is TOML.
        more: What each entry has besides the command.
    """

    title: str
    place: str
    servers: str = "mcpServers"
    more: Mapping[str, Any] = field(default_factory=dict)


HOSTS: Mapping[str, HostFile] = {
    "claude-desktop": HostFile(
        "Claude Desktop", _DESKTOP.get(sys.platform, "~/.config/Claude/claude_desktop_config.json")
    ),
    "claude-code": HostFile("Claude Code", ".mcp.json in your project", more={"type": "stdio"}),
    "cursor": HostFile("Cursor", "~/.cursor/mcp.json"),
    "vscode": HostFile("VS Code", ".vscode/mcp.json in your project", "servers", {"type": "stdio"}),
    "windsurf": HostFile("Windsurf", "~/.codeium/windsurf/mcp_config.json"),
    "codex": HostFile("Codex", "~/.codex/config.toml", "", {"tool_timeout_sec": 600}),
}


def entry_for(host: HostFile, command: list[str], environ: Mapping[str, str]) -> str:
    """Return the text to paste."""
    entry = {**host.more, "command": command[0], "args": command[1:], **({"env": dict(environ)} if environ else {})}
    if host.servers:
        return json.dumps({host.servers: {"x402": entry}}, indent=2)
    env = entry.pop("env", {})
    lines = ["[mcp_servers.x402]", *(f"{name} = {json.dumps(value)}" for name, value in entry.items())]
    lines += (
        ["", "[mcp_servers.x402.env]", *(f"{name} = {json.dumps(one)}" for name, one in env.items())] if env else []
    )
    return "\n".join(lines)
