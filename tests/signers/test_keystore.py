"""Keystores and mnemonics: the published vectors, round trips, and every way in which a file can be wrong."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from eth_account import Account

from x402_client import Wallet
from x402_client.chains.evm import keccak
from x402_client.errors import ConfigurationError
from x402_client.signers import keystore

#: From the definition of Web3 secret storage, version 3: one for each way to stretch a passphrase.
PUBLISHED_KEY = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
PUBLISHED: list[dict[str, Any]] = [
    {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 262144,
                "dklen": 32,
                "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
            },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    },
    {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
            "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32,
                "n": 262144,
                "p": 8,
                "r": 1,
                "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
            },
            "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    },
]
#: The first accounts that wallets show for well-known mnemonics.
MNEMONICS = {
    "abandon " * 11 + "about": (
        "0x9858EfFD232B4033E47d90003D41EC34EcaEda94",
        "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk",
    ),
    "test " * 11 + "junk": (
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "oeYf6KAJkLYhBuR8CiGc6L4D4Xtfepr85fuDgA9kq96",
    ),
}
SECRET = b"\x11" * 32


def stored(place: Path, document: Mapping[str, Any] | str | bytes) -> Path:
    data = document if isinstance(document, (str, bytes)) else json.dumps(document)
    place.write_bytes(data.encode() if isinstance(data, str) else data)
    return place


@pytest.mark.parametrize("document", PUBLISHED, ids=["pbkdf2", "scrypt"])
def test_published_keystores_open(tmp_path: Path, document: dict[str, Any]) -> None:
    wallet = Wallet.from_keystore(stored(tmp_path / "k.json", document), "testpassword")
    assert wallet.evm is not None
    assert wallet.evm.address == Account.from_key(PUBLISHED_KEY).address
    assert wallet.solana is None


def test_a_key_file_of_solana_keygen_is_named_with_the_cure_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "id.json"
    path.write_text(json.dumps(list(SECRET + SECRET)))
    with pytest.raises(ConfigurationError, match=r"key file of solana-keygen.*wallet import.*json\.loads") as caught:
        Wallet.from_keystore(path)
    trace = caught.value.__traceback__
    trace = trace and trace.tb_next  # the frame of this test
    shown = "".join(traceback.TracebackException(ConfigurationError, caught.value, trace, capture_locals=True).format())
    assert f"{SECRET[0]}, {SECRET[1]}" not in shown
    assert repr(SECRET)[2:20] not in shown


@pytest.mark.parametrize("words", MNEMONICS)
def test_mnemonics_lead_to_the_accounts_that_wallets_show(words: str) -> None:
    wallet = Wallet.from_mnemonic(f"  {words}\n")
    assert wallet.evm is not None
    assert wallet.solana is not None
    assert (wallet.evm.address, wallet.solana.address) == MNEMONICS[words]


@pytest.mark.parametrize(
    "words", ["abandon " * 12, "abandon " * 11 + "abuot", "one two", "", "abandon " * 10 + "about"]
)
def test_what_is_no_mnemonic_is_refused_and_not_shown(words: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"These {len(words.split())} words are not a BIP-39 mnemonic"
    ) as caught:
        Wallet.from_mnemonic(words)
    assert "abandon" not in str(caught.value)
    assert ("it has 12, 15, 18, 21 or 24." in str(caught.value)) is (len(words.split()) != 12)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.usefixtures("quick_keystores")
def test_what_is_written_is_private_and_comes_back(tmp_path: Path) -> None:
    documents = [(family, keystore.seal(family, SECRET, "pässword")) for family in ("evm", "solana")]
    paths = keystore.write(tmp_path / "w", documents)  # type: ignore[arg-type]
    assert (tmp_path / "w").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o600, 0o600]
    expected = Wallet(evm=SECRET, solana=SECRET)
    assert repr(Wallet.from_keystore(tmp_path / "w", "pässword")) == repr(expected)
    assert repr(Wallet.from_keystore(str(paths[1]), "pässword")) == repr(Wallet(solana=SECRET))
    assert SECRET.hex() not in "".join(path.read_text() for path in paths)
    with pytest.raises(ConfigurationError, match="none is ever overwritten"):
        keystore.write(tmp_path / "w", documents)  # type: ignore[arg-type]


@pytest.mark.usefixtures("quick_keystores")
def test_other_programs_read_an_evm_keystore_of_ours(tmp_path: Path) -> None:
    [path] = keystore.write(tmp_path / "w", [("evm", keystore.seal("evm", SECRET, "pw"))])
    document = json.loads(path.read_text())
    assert bytes(Account.decrypt(document, "pw")) == SECRET
    assert document["version"] == 3
    assert "0x" + document["address"] == Account.from_key(SECRET).address.lower()


def test_the_work_to_guess_a_passphrase_is_the_standard_one() -> None:
    found = keystore.seal("solana", SECRET, "pw")
    assert (found["crypto"]["kdf"], found["crypto"]["kdfparams"]["n"]) == ("scrypt", 262_144)
    assert found["chain"] == "solana"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "it is not JSON"),
        ("[1]", "version: Field required"),
        ("[" * 30_000, "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        ('{"x": "' + "y" * 70_000 + '"}', "version: Field required"),
        ({"version": 1, "crypto": {}}, "version: Input should be 3"),
        ({"version": 3}, "crypto: Field required"),
        ({"version": 3, "crypto": {}, "chain": "bitcoin"}, "chain: Input should be"),
        ({"version": 3, "crypto": {}, "address": "0x12"}, "its address is not an EVM address"),
    ],
)
def test_a_file_that_is_no_keystore_is_told(tmp_path: Path, document: Any, said: str) -> None:
    path = stored(tmp_path / "k.json", document)
    with pytest.raises(ConfigurationError) as caught:
        Wallet.from_keystore(path, "pw")
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def cut(sealed: dict[str, Any]) -> dict[str, Any]:
    """A keystore of half a key, whose checksum fits."""
    crypto, how = sealed["crypto"], sealed["crypto"]["kdfparams"]
    salt, cost = bytes.fromhex(how["salt"]), {name: how[name] for name in ("n", "r", "p", "dklen")}
    half = bytes.fromhex(crypto["ciphertext"])[:16]
    mac = keccak(hashlib.scrypt(b"pw", salt=salt, **cost)[16:32] + half)
    return {**sealed, "crypto": {**crypto, "ciphertext": half.hex(), "mac": mac.hex()}}


@pytest.mark.usefixtures("quick_keystores")
def test_a_keystore_that_does_not_open_is_told(tmp_path: Path) -> None:
    sealed = keystore.seal("evm", SECRET, "pw")
    wrong = [
        (sealed, "other", "The passphrase does not open"),
        (sealed, "\udcff", "The passphrase does not open"),
        ({**sealed, "crypto": {}}, "pw", "its crypto part cannot be read (KeyError)"),
        ({**sealed, "crypto": {**sealed["crypto"], "kdf": "poem"}}, "pw", "its crypto part cannot be read"),
        (cut(sealed), "pw", "it holds 16 bytes and a key has 32"),
        (
            {**sealed, "address": "11" * 20},
            "pw",
            "names the address 0x1111111111111111111111111111111111111111, but its key is that",
        ),
    ]
    for document, passphrase, said in wrong:
        with pytest.raises(ConfigurationError) as caught:
            Wallet.from_keystore(stored(tmp_path / "k.json", document), passphrase)
        assert said in str(caught.value)
        assert passphrase not in str(caught.value).replace("passphrase", "")


def test_places_that_hold_no_wallet_are_told(tmp_path: Path) -> None:
    for place, said in (
        (tmp_path, "There is no keystore in"),
        (tmp_path / "nothing", "cannot be read: No such file"),
        (Path("~nobody-at-all/w"), "has none"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            Wallet.from_keystore(place, "pw")
        assert said in str(caught.value)


@pytest.mark.usefixtures("quick_keystores")
def test_two_keys_of_one_kind_are_not_chosen_between(tmp_path: Path) -> None:
    for name in ("a", "b"):
        stored(tmp_path / f"{name}.json", keystore.seal("evm", keystore.new_secret(), "pw"))
    with pytest.raises(ConfigurationError, match="two keystores of one kind"):
        Wallet.from_keystore(tmp_path, "pw")


@pytest.mark.usefixtures("quick_keystores")
def test_the_passphrase_may_be_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path / "k.json", keystore.seal("evm", SECRET, "pw"))
    with pytest.raises(ConfigurationError, match="X402_PASSPHRASE is not set"):
        Wallet.from_keystore(path)
    monkeypatch.setenv("X402_PASSPHRASE", "pw")
    assert repr(Wallet.from_keystore(path)) == repr(Wallet(evm=SECRET))


class Ring(ModuleType):
    """What the package keyring offers, with a dictionary for the operating system."""

    def __init__(self) -> None:
        super().__init__("keyring")
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def set_password(self, service: str, name: str, passphrase: str) -> None:
        if self.locked:
            raise RuntimeError(f"locked, and {passphrase} is not kept")
        self.kept[service, name] = passphrase

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))


@pytest.mark.usefixtures("quick_keystores")
def test_the_passphrase_may_be_in_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring()
    monkeypatch.setitem(sys.modules, "keyring", ring)
    path = stored(tmp_path / "k.json", keystore.seal("evm", SECRET, "pw", in_keyring=True))
    with pytest.raises(ConfigurationError, match="the keyring does not have it"):
        Wallet.from_keystore(path)
    [store] = keystore.read(path)
    keystore.keep_in_keyring(store.address, "pw")
    assert repr(Wallet.from_keystore(path)) == repr(Wallet(evm=SECRET))
    ring.locked = True
    with pytest.raises(ConfigurationError, match="did not take the passphrase") as caught:
        keystore.keep_in_keyring(store.address, "hunter22")
    assert "hunter22" not in str(caught.value)


@pytest.mark.usefixtures("quick_keystores")
@pytest.mark.parametrize("in_keyring", [False, True])
@pytest.mark.parametrize("given", ["argument", "variable", "keyring"])
def test_a_wrong_passphrase_says_whose_it_is_where_it_stood_and_how_to_give_the_right_one(
    given: str, in_keyring: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if given == "keyring" and not in_keyring:
        return
    ring = Ring()
    monkeypatch.setitem(sys.modules, "keyring", ring)
    monkeypatch.setenv("X402_PASSPHRASE", "of the shell" if given == "variable" else "")
    path = stored(tmp_path / "k.json", keystore.seal("evm", SECRET, "pw", in_keyring=in_keyring))
    [store] = keystore.read(path)
    ring.kept[keystore.KEYRING_SERVICE, store.address] = "of the ring"
    where = {"argument": "", "variable": " in X402_PASSPHRASE", "keyring": " in the keyring"}[given]
    cure = "Give" if given == "argument" else "Set X402_PASSPHRASE to"
    other = ", or unset it: the keyring has one for this wallet" if given == "variable" and in_keyring else ""
    other = ": it comes before the keyring" if given == "keyring" else other
    with pytest.raises(ConfigurationError) as caught:
        Wallet.from_keystore(path, "mistyped" if given == "argument" else None)
    assert caught.value.args[0] == (
        f"The passphrase{where} does not open {path}, the wallet of {store.address}. {cure} the one that it was "
        f"encrypted with{other}. A lost passphrase cannot be found again: `x402 wallet import` makes a wallet of the "
        "same key or mnemonic anew."
    )
    monkeypatch.setenv("X402_PASSPHRASE", "pw")
    assert Wallet.from_keystore(path).addresses["eip155"] == store.address


def test_without_the_package_keyring_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"x402-buyer\[keyring\]"):
        keystore.keep_in_keyring("0x", "pw")


@pytest.mark.usefixtures("quick_keystores")
def test_a_locked_signer_asks_once_and_only_when_it_signs(tmp_path: Path) -> None:
    asked: list[Path] = []
    path = stored(tmp_path / "k.json", keystore.seal("evm", SECRET, "pw"))
    [store] = keystore.read(path)

    def unlock(found: keystore.Keystore) -> Any:
        asked.append(found.path)
        return found.unlock("pw")

    signer = keystore.LockedEvmSigner(store, unlock)
    wallet = Wallet(evm=signer)
    assert asked == []
    assert repr(wallet) == repr(Wallet(evm=SECRET))
    from tests.wire.terms import NETWORK, USDC
    from x402_client.chains.tokens import Tokens
    from x402_client.schemes.exact_evm import typed_data

    token = Tokens().find(NETWORK, USDC)
    assert token is not None
    message = {"from": signer.address, "to": signer.address, "value": "1", "validAfter": "0", "validBefore": "9"}
    data = typed_data(token, {**message, "nonce": "0x" + "0" * 64})
    ours, plain = wallet.evm, Wallet(evm=SECRET).evm
    assert ours is not None
    assert plain is not None
    assert ours.sign(data) == plain.sign(data) == ours.sign(data)
    assert asked == [path]


@pytest.mark.usefixtures("quick_keystores")
def test_nothing_shows_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path = stored(tmp_path / "k.json", keystore.seal("solana", SECRET, "hunter22"))
    [store] = keystore.read(path)
    signer = keystore.LockedSolanaSigner(store, lambda found: found.unlock("hunter22"))
    shown = repr(store) + repr(signer) + repr(store.unlock("hunter22")) + caplog.text
    assert "hunter22" not in shown
    assert SECRET.hex() not in shown
    assert "ciphertext" not in shown
