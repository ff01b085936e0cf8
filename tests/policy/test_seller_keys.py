"""Keys of sellers that a policy trusts: how they are written, in Python and in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from x402_client import Policy
from x402_client.errors import ConfigurationError

DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"


def test_keys_are_kept_once_and_without_their_fragment() -> None:
    keys = ["0x" + "Ab" * 20, DID, f"{DID}#k", "did:jwk:eyJ9", "did:web:keys.example%3A8443:sellers:one#k"]
    policy = Policy(per_request="1", seller_keys=keys)
    assert policy.seller_keys == ("0x" + "Ab" * 20, DID, "did:jwk:eyJ9", "did:web:keys.example%3A8443:sellers:one")
    assert Policy(per_request="1").seller_keys == ()
    assert policy.but(per_request="2").seller_keys == policy.seller_keys


@pytest.mark.parametrize(
    "key",
    ["", "alice", "0x12", "0x" + "ab" * 32, "did:pkh:eip155:1:0xab", "did:key:abc", "did:web:*", "did:web:a/b", 7],
)
def test_another_text_is_refused(key: object) -> None:
    with pytest.raises(ConfigurationError, match="seller_keys"):
        Policy(per_request="1", seller_keys=[key])  # type: ignore[list-item]


def test_one_text_is_no_list() -> None:
    with pytest.raises(ConfigurationError, match=r"write seller_keys=\['did:key"):
        Policy(per_request="1", seller_keys=DID)


def test_a_file_has_the_same_word(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'per_request = "1"\nseller_keys = ["{DID}"]\n', "utf-8")
    assert Policy.from_file(file).seller_keys == (DID,)
    file.write_text('per_request = "1"\nseller_keys = ["alice"]\n', "utf-8")
    with pytest.raises(ConfigurationError, match=r"line 2: .*'alice', which is no EVM address"):
        Policy.from_file(file)
    file.write_text(f'per_request = "1"\nseller_keys = "{DID}"\n', "utf-8")
    with pytest.raises(ConfigurationError, match=r"line 2.*a list of keys in quotes"):
        Policy.from_file(file)
