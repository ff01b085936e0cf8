"""Pages of the sandbox itself: the goods and the faults, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .faults import FAULTS
from .play_money import CHAINS, TOKENS
from .terms import Goods

_HEAD = """\
A seller to try x402 against. The money is invented and the chains are its own: nothing here is worth anything.
Prices are in invented dollars, which count as USD by the settings of `x402 sandbox`, so that limits can be tried.

For sale:
{goods}

The same goods at other addresses:
  /v1/...           by version 1 of the protocol (/v1-caip2/...: with Solana under its CAIP-2 name)
  /evm/...          for the EVM token only
  /solana/...       for the Solana token only
  /redeliver/...    a payment that was settled before brings the content again, not a 402
  /sign-in/...      for nothing to an account that bought it and signs in (sign-in-with-x)
  /permit2/...      by Permit2, on the EVM chain: a wallet made here has approved a dollar to it
  /sponsored/permit2/...  and /sponsored/upto/...: where nothing is approved, a permit of the price is taken
  /upto/...         with the price as a ceiling, of which half is taken: Policy(upto="0.05") allows it
  /upfront/...      with the money taken before the goods are made, as the offers say then
  /fault/NAME/...   with a fault, once for each payment
  /sound/...        without any fault, also if one was ordered

Also:
  {url}/settlements   what was paid
  {url}/about         the tokens, and where to read the chains
  {url}/discovery/resources, {url}/discovery/search
                      what is for sale, as facilitators list it: x402 search --facilitator {url}
  {url}/wallet        a POST makes a wallet: throw-away keys with a hundred invented dollars on each chain

What can go wrong, and how a buyer reacts. Redirects end so for a client that follows them, as requests does. httpx
hands the redirect itself to its caller, unless it was made with follow_redirects=True:
"""


def index(url: str, goods: Iterable[Goods]) -> str:
    """Return the page for people, as plain text."""
    shown = "\n".join(f"  {url}{one.path:<20} {one.price or 'free'}" for one in goods)
    faults = "\n".join(
        f"  {url}/fault/{fault.name}\n      {fault.does}\n      -> {fault.outcome}" for fault in FAULTS.values()
    )
    return _HEAD.format(goods=shown, url=url) + faults + "\n"


def about(url: str) -> dict[str, Any]:
    """Return the facts that a buyer needs, for programs."""
    return {
        "sandbox": "x402_client",
        "tokens": [
            {
                "network": token.network,
                "address": token.address,
                "symbol": token.symbol,
                "decimals": token.decimals,
                "name": token.name,
                "version": token.version,
                "program": token.program,
            }
            for token in TOKENS
        ],
        "rpc": {network: f"{url}/rpc/{name}" for name, network in CHAINS.items()},
        "faults": list(FAULTS),
    }
