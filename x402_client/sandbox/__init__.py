"""Seller on this machine to try programs with: a real socket, real checks of every signature, invented money.

    with Sandbox() as sandbox:
        buyer = sandbox.buyer()
        client = wrap(httpx.Client(), buyer)
        client.get(sandbox.url + "/weather")
        assert len(sandbox.settlements) == 1

It has its own chains: an EVM chain with an id that no other chain has, and a Solana chain in this process under
devnet's name. It accepts only throw-away keys, which it hands out. So nothing signed here has any worth elsewhere.
``FAULTS`` lists the faults that can be ordered, by ``Sandbox.sell(fault=...)`` or by the path of a request.

With pytest there are the fixtures ``x402_sandbox`` and ``x402_buyer``.
"""

from .faults import FAULTS, Fault
from .play_money import TEST_EVM_KEYS, TEST_SOLANA_KEYS, TOKENS
from .records import Settlement, Visit
from .seller import Sandbox

__all__ = [  # noqa: RUF022 - sorted as Python sorts
    "FAULTS",
    "Fault",
    "Sandbox",
    "Settlement",
    "TEST_EVM_KEYS",
    "TEST_SOLANA_KEYS",
    "TOKENS",
    "Visit",
]
