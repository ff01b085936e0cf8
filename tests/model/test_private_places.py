"""Addresses and names that lead inside a network."""

from __future__ import annotations

import pytest

from x402_client.model.private_places import is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("169.254.169.254", False),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("a name", False),
        ("", False),
    ],
)
def test_an_address_is_public_where_all_reach_the_same_place_by_it(address: str, public: bool) -> None:
    assert is_public(address) is public
