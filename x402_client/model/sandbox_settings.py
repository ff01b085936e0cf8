"""The settings that ``x402 sandbox`` writes for another terminal: what to say where they were not read, or are gone.

The network and the mark below decide what is said, and nothing else: any seller may write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .networks import SOLANA_DEVNET

if TYPE_CHECKING:
    from .money import Token
    from .offers import Offer

#: The sandbox's own EVM network: a chain id that no chain has.
PLAY_NETWORK = "eip155:402402402402"
#: The fact in an offer's ``extra`` that tells a sandbox's offer on Solana: its network has devnet's name.
MARK = "sandbox"
#: The advice to those who have not read the settings of the sandbox that they would pay.
NOT_READ = (
    "This seller is a sandbox, and the policy in use does not know its tokens. Where its settings were not read yet, "
    "type the line that `x402 sandbox` shows, `. FILE`, in this terminal, and try again. Where they were, a policy of "
    "your own stands in place of theirs: write policy=Policy.from_env().but(per_request=...) (in a program that runs "
    "the sandbox itself: sandbox.buyer(policy)), or copy the [[tokens]] of the sandbox's file into yours."
)

#: The beginning of the name of the directory that they are in. It goes when the sandbox ends.
DIRECTORY = "x402-sandbox-"
#: The variables that its settings write. Those that are empty there took the place of the user's own, too.
_VARIABLES = (
    "X402_EVM_KEY", "X402_SOLANA_KEY", "X402_POLICY", "X402_LEDGER", "X402_RPC", "X402_FACILITATOR",
    "X402_WALLET", "X402_PURSE", "X402_MUST_EXIST",
)  # fmt: skip


def is_unread(offers: Iterable[Offer], tokens: Iterable[Token]) -> bool:
    """Return True if these offers are a sandbox's and none of a policy's own tokens is: a sandbox's settings name one.

    One offer on another network is enough to say no: a seller that takes real money must not pass for a sandbox.
    """
    found = [_is_of_sandbox(offer) for offer in offers]
    return bool(found) and all(found) and all(token.network != PLAY_NETWORK for token in tokens)


def _is_of_sandbox(offer: Offer) -> bool:
    return offer.network == PLAY_NETWORK or (offer.network == SOLANA_DEVNET and offer.extra.get(MARK) == "x402_client")


def is_of_sandbox(path: str) -> bool:
    """Return True for the path of a file that a sandbox wrote."""
    return any(name.startswith(DIRECTORY) for name in re.split(r"[\\/]", path)[-2:-1])


def ended_sandbox(missing: str) -> str:
    """Return the message for a file of a sandbox that has ended; "" if no sandbox wrote it.

    Args:
        missing: The path of a file that is not there.
    """
    if not is_of_sandbox(missing):
        return ""
    return (
        f"{missing} is not there: it was a file of a sandbox, and that sandbox is not running any more. Start "
        "`x402 sandbox` again and read the settings that it names, or forget the old ones: open a new terminal, which "
        f"has your own again, or `unset {' '.join(_VARIABLES)}`."
    )
