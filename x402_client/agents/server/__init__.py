"""An MCP server with the tools for models: a host without code pays through it, within a policy.

``x402 mcp`` is this server over stdio. Approval goes through elicitation: the host asks its user.
"""

from .approving import PersonApprover, watch
from .pipes import serve_host
from .tool_calls import ToolCalls

__all__ = ["PersonApprover", "ToolCalls", "serve_host", "watch"]
