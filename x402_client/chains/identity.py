"""Identity of endpoints: which chain each serves.

The rule: "An endpoint says once which chain it is (`eth_chainId`, `getGenesisHash`); another chain's is 'could not
tell'." The reference in a network's CAIP-2 name is the chain's number, or the beginning of its genesis hash.
"""

from __future__ import annotations

import re

from ..model.networks import EVM_FAMILY, SOLANA_FAMILY, family_of

_QUESTIONS = {EVM_FAMILY: "eth_chainId", SOLANA_FAMILY: "getGenesisHash"}
_NUMBER = r"(?a)0x[0-9a-fA-F]{1,16}"
_HASH = r"(?a)[1-9A-HJ-NP-Za-km-z]{32,44}"
_REFERENCE = 32


def question(network: str) -> str | None:
    """Return the method that asks an endpoint which chain it is. None if the family has none."""
    return _QUESTIONS.get(family_of(network))


def named_by(network: str, answer: object) -> str | None:
    """Return the CAIP-2 name of the chain in an endpoint's answer. None if the answer makes no sense.

    ``network`` is the network for which the endpoint was named. Its family decides how the answer is read.
    """
    if not isinstance(answer, str):
        return None
    if family_of(network) == EVM_FAMILY:
        return f"{EVM_FAMILY}:{int(answer, 16)}" if re.fullmatch(_NUMBER, answer) else None
    return f"{SOLANA_FAMILY}:{answer[:_REFERENCE]}" if re.fullmatch(_HASH, answer) else None
