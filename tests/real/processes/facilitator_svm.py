"""The facilitator for Solana. Orders: {"rpc": url, "network": "solana:...", "networks_v1": names, "patience": seconds},
and "key": the fee payer's, else a new one is made.

What its schemes ask of a transaction, in both versions alike, as read in x402 2.25:

- three to six instructions, in this order: SetComputeUnitLimit, SetComputeUnitPrice, TransferChecked, and then only
  Memo or Lighthouse ones, in any order. No memo is needed, in version 2 either, unless `extra.memo` names one:
  then there must be exactly one Memo instruction, with that text. Nothing creates the seller's account.
- a unit price of at most 5,000,000 micro-lamports; any unit limit at all, as long as the simulation succeeds in it.
- the seller's associated account for the mint, under the program that the instruction names (Token or Token-2022).
- **at least** the amount: more is taken too. The owner must not be one of the fee payers.
- a fee payer of its own in `extra.feePayer`; its signature goes into the first place, over what stood there.
- a simulation with all signatures at `confirmed` that succeeds; then it is sent with no preflight, and its status
  asked at once and then every second.

Where it errs: it looks at a status's level before its `err`, so **a transaction that failed on chain is a success**
to it; and a version 1 settlement that it did not see confirmed in time is reported with an empty transaction.
"""

from __future__ import annotations

from typing import Any

from facilitating import serve
from serving import fund, read_orders
from solders.keypair import Keypair
from x402 import x402FacilitatorSync
from x402.mechanisms.svm.exact.facilitator import ExactSvmScheme
from x402.mechanisms.svm.exact.v1.facilitator import ExactSvmSchemeV1
from x402.mechanisms.svm.settlement_cache import SettlementCache
from x402.mechanisms.svm.signers import FacilitatorKeypairSigner

SOL = 10**9


class Signer(FacilitatorKeypairSigner):
    """The SDK's, with less patience: its 30 seconds cannot be set from outside, and sellers wait them twice."""

    patience: int

    def confirm_transaction(self, signature: str, network: str, timeout_seconds: int | None = None) -> None:
        super().confirm_transaction(signature, network, timeout_seconds or self.patience)


def make_facilitator(orders: dict[str, Any]) -> x402FacilitatorSync:
    # Sellers ask a facilitator only once who pays its fees: one that is restarted needs the key that it had.
    keypair = Keypair.from_base58_string(orders["key"]) if "key" in orders else Keypair()
    fund(orders["rpc"] + "/test", str(keypair.pubkey()), 1_000 * SOL)
    signer = Signer(keypair, orders["rpc"] + "/facilitator")
    signer.patience = orders["patience"]
    cache = SettlementCache()
    facilitator = x402FacilitatorSync()
    facilitator.register([orders["network"]], ExactSvmScheme(signer, cache))
    facilitator.register_v1(orders["networks_v1"], ExactSvmSchemeV1(signer, cache))
    return facilitator


if __name__ == "__main__":
    serve(make_facilitator(read_orders()))
