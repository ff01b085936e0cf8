"""The facilitator for EVM chains. Orders: {"rpc": url, "network": "eip155:...", "network_v1": name, "factories": []}.

The factories, which may be left out, are those of wallets that it deploys before it settles (ERC-6492). Its own default
is to deploy none.
"""

from __future__ import annotations

from typing import Any

from eth_account import Account
from facilitating import serve
from serving import fund, read_orders
from x402 import x402FacilitatorSync
from x402.extensions.eip2612_gas_sponsoring import EIP2612_GAS_SPONSORING
from x402.mechanisms.evm.exact.facilitator import ExactEvmScheme, ExactEvmSchemeConfig
from x402.mechanisms.evm.exact.v1.facilitator import ExactEvmSchemeV1
from x402.mechanisms.evm.signers import FacilitatorWeb3Signer
from x402.mechanisms.evm.upto.facilitator import UptoEvmScheme

GAS_MONEY = 10**21


def make_facilitator(orders: dict[str, Any]) -> x402FacilitatorSync:
    account = Account.create()
    fund(orders["rpc"], account.address, GAS_MONEY)
    signer = FacilitatorWeb3Signer(account.key.hex(), orders["rpc"], confirmation_timeout_seconds=20)
    facilitator = x402FacilitatorSync()
    facilitator.register([orders["network"]], ExactEvmScheme(signer, ExactEvmSchemeConfig(orders.get("factories", []))))
    facilitator.register([orders["network"]], UptoEvmScheme(signer))
    facilitator.register_v1([orders["network_v1"]], ExactEvmSchemeV1(signer))
    facilitator.register_extension(EIP2612_GAS_SPONSORING)
    return facilitator


if __name__ == "__main__":
    serve(make_facilitator(read_orders()))
