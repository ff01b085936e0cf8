"""``python -m tests.repo.with_seller PROGRAM``: runs a program of the manual that names no seller of its own.

What it calls ``https://api.example.com`` is the sandbox: it sells each path that the program names for a cent. The keys
of the environment have invented money there, and each ``Buyer`` knows the sandbox's tokens and chains. All else is as
the program says.
"""

from __future__ import annotations

import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import x402_client
from tests.repo.manual_pages import SELLER
from x402_client import Buyer, Policy, Wallet
from x402_client.policy import CAREFUL
from x402_client.sandbox import Sandbox

_HOST = SELLER.removeprefix("https://")


def main(file: Path) -> None:
    text = file.read_text("utf-8")
    with Sandbox() as seller:
        for path in sorted(set(re.findall(rf"{re.escape(SELLER)}(/[\w/.-]*\w)", text))):
            seller.sell(path, "0.01")
        os.environ["X402_EVM_KEY"], os.environ["X402_SOLANA_KEY"] = seller.key("evm"), seller.key("solana")

        class SandboxBuyer(Buyer):
            def __init__(self, wallet: Wallet, policy: Policy = CAREFUL, **settings: Any) -> None:
                super().__init__(wallet, seller.policy(policy), **{"rpc": seller.rpc, **settings})

        x402_client.Buyer = SandboxBuyer  # type: ignore[misc]
        file.write_text(text.replace(SELLER, seller.url).replace(_HOST, "127.0.0.1"), "utf-8")
        runpy.run_path(str(file), run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
