"""The files that ``x402 sandbox`` writes for another terminal, and what to say of them once it has ended."""

from __future__ import annotations

import re

#: The beginning of the name of the directory that they are in. It goes when the sandbox ends.
DIRECTORY = "x402-sandbox-"
_VARIABLES = ("X402_EVM_KEY", "X402_SOLANA_KEY", "X402_POLICY", "X402_LEDGER", "X402_RPC", "X402_FACILITATOR")


def ended_sandbox(missing: str) -> str:
    """Return the message for a file of a sandbox that has ended; "" if no sandbox wrote it.

    Args:
        missing: The path of a file that is not there.
    """
    if not any(name.startswith(DIRECTORY) for name in re.split(r"[\\/]", missing)[-2:-1]):
        return ""
    return (
        f"{missing} is not there: it was a file of a sandbox, and that sandbox is not running any more. Start "
        "`x402 sandbox` again and read the settings that it names, or forget the old ones: "
        f"`unset {' '.join(_VARIABLES)}`."
    )
