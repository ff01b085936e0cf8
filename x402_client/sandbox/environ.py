"""Environment variables from which programs and the command pay a sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from ..buyer import environment
from ..model.money import Token
from ..policy.toml import POLICY_VARIABLE

#: Variables that are made empty, which means not set: a wallet, for example, would be used before the keys.
_NOT_SET = (environment.WALLET_VARIABLE, environment.PURSE_VARIABLE, environment.MUST_EXIST_VARIABLE)


def variables(
    directory: Path, keys: Mapping[str, str], rpc: Mapping[str, str], tokens: Iterable[Token], url: str
) -> dict[str, str]:
    """Return the variables of the sandbox at ``url``.

    The policy is written to ``directory``, and the ledger will be there too.
    """
    policy = directory / "policy.toml"
    policy.write_text(_policy(tokens), encoding="utf-8")
    return {
        environment.EVM_VARIABLE: keys["evm"],
        environment.SOLANA_VARIABLE: keys["solana"],
        POLICY_VARIABLE: str(policy),
        environment.LEDGER_VARIABLE: str(directory / "ledger.db"),
        environment.RPC_VARIABLE: " ".join(f"{network}={url}" for network, url in rpc.items()),
        environment.FACILITATOR_VARIABLE: url,
        **dict.fromkeys(_NOT_SET, ""),
    }


def _policy(tokens: Iterable[Token]) -> str:
    """Return a careful policy that knows these tokens."""
    lines = ['per_request = "0.10"', 'per_day = "5"']
    for token in tokens:
        facts = {name: value for name, value in asdict(token).items() if value is not None}
        lines += ["", "[[tokens]]", *(f"{name} = {json.dumps(value)}" for name, value in facts.items())]
    return "\n".join(lines) + "\n"
