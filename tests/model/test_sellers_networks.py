"""Spellings of networks that sellers use, beside those that a user may write."""

from __future__ import annotations

import pytest

from tests.wire.terms import document, entry, read
from x402_client import Policy, errors
from x402_client.model.networks import SOLANA, SOLANA_DEVNET, caip2_of_seller

SPELT = {
    "polygon-mainnet": "eip155:137", "ethereum-mainnet": "eip155:1", "xlayer": "eip155:196", "xdc-testnet": "eip155:51",
    "solana:mainnet": SOLANA, "solana:devnet": SOLANA_DEVNET, "base": "eip155:8453", "eip155:8453": "eip155:8453",
}  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), SPELT.items())
def test_an_offer_on_it_is_read_as_that_networks(written: str, meant: str) -> None:
    quote = read(document(entry(network=written)))
    assert quote is not None
    [offer] = quote.offers
    assert (offer.network, offer.written_network) == (meant, written)
    assert caip2_of_seller(written) == meant


@pytest.mark.parametrize("written", ["polygon-mainnet", "solana:mainnet"])
def test_a_policy_is_told_the_usual_name(written: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="did you mean"):
        Policy(per_day="1", networks=[written])
