"""The endpoints that are there without a word of the user's. None of them is asked here."""

from __future__ import annotations

from urllib.parse import urlsplit

from x402_client.chains.tokens import KNOWN
from x402_client.model.networks import SOLANA, caip2

Public = dict[str, tuple[str, ...]]
#: Networks with one endpoint: of a second operator's nothing is documented that needs no key.
ALONE = (14, 196, 988, 5042, 31612, 36900, 38833, 190415, 723487, 1187947933)
ONE = {f"eip155:{number}" for number in ALONE}


def test_every_network_of_the_table_has_one(public_endpoints: Public) -> None:
    known = {token.network for token in KNOWN}
    assert known <= set(public_endpoints)
    assert all(caip2(network) == network for network in public_endpoints)


def test_they_are_of_different_operators_over_https(public_endpoints: Public) -> None:
    for network, urls in public_endpoints.items():
        parts = [urlsplit(url) for url in urls]
        assert all(part.scheme == "https" and part.hostname for part in parts)
        assert len({part.hostname for part in parts}) == len(urls), network


def test_networks_of_real_money_have_two_where_two_are_documented(public_endpoints: Public) -> None:
    numbers = (1, 10, 50, 137, 143, 1329, 3338, 4326, 4689, 8453, 42161, 42220, 43114)
    main = {f"eip155:{number}" for number in (*numbers, *ALONE)} | {SOLANA}
    assert {network for network in main if len(public_endpoints[network]) < 2} == ONE
