"""A seller on this machine to try things against: a real socket, real checks of every signature, invented money.

    with Sandbox() as sandbox:
        buyer = sandbox.buyer()
        client = wrap(httpx.Client(), buyer)
        client.get(sandbox.url + "/weather")
        assert len(sandbox.settlements) == 1

Its chains are its own: an EVM chain with an id that no chain has, and a Solana in this process that goes by devnet's
name. It takes throw-away keys only, which it hands out, so that nothing signed here is worth anything anywhere.
``FAULTS`` lists what can be ordered to go wrong, in ``Sandbox.sell(fault=...)`` or by address.

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
