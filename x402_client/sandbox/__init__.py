"""A seller on this machine to try things against: a real socket, real checks of every signature, invented money.

    with Sandbox({"/weather": "0.01"}) as seller:
        buyer = Buyer(seller.wallet())
        ...seller.url + "/weather"

It names a test network, so whatever is signed for it is worth nothing anywhere.
"""

from .engine import Engine, Settlement
from .seller import Sandbox

__all__ = ["Engine", "Sandbox", "Settlement"]
