"""Names of the extension sign-in-with-x, by which a seller opens for a signature what was bought before."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from .networks import EVM_FAMILY, SOLANA_FAMILY

#: Where a challenge is signed. "paid": where this wallet has bought before, or nothing else is asked for.
SignInMode = Literal["paid", "always", "never"]
#: The name of the extension, which also stands for it among offers.
SIGN_IN = "sign-in-with-x"
#: The kind of signature of each family of chains, as it stands in the challenge.
SIGNATURE_TYPES: Mapping[str, str] = MappingProxyType({EVM_FAMILY: "eip191", SOLANA_FAMILY: "ed25519"})
