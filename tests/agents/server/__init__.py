"""The MCP server's own decisions, called as a host calls them, without a process and without mcp."""
