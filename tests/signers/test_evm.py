"""Keys sign and show nowhere; somebody else's signer is believed only as far as its signature goes."""

from __future__ import annotations

import copy
import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

import x402_client
from tests.core.scripted_flow import SIGNER, Ground, called
from tests.schemes.test_exact_evm import MESSAGE, VECTORS, token
from tests.wire.terms import KEY, NETWORK, PAYER, USDC
from x402_client import Buyer, Policy, Wallet
from x402_client.core.asks import SignatureGiven
from x402_client.errors import ConfigurationError, SigningError
from x402_client.model.signing import TypedData
from x402_client.schemes.exact_evm import typed_data
from x402_client.signers.evm import ForeignEvmSigner, LocalEvmSigner, read_hex_key, read_signature

ACCOUNT = Account.from_key(KEY)
DATA = typed_data(token(NETWORK, USDC), MESSAGE)
GOOD = bytes.fromhex(VECTORS[NETWORK, USDC][1])
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HIGH = GOOD[:32] + (ORDER - int.from_bytes(GOOD[32:64])).to_bytes(32)
BAD_KEYS: list[Any] = [
    "0x" + "ab" * 31 + "a", "0x" + "cd" * 33, "0x" + "ef" * 31 + "zz", "ab cd " * 11, "seed words that are secret",
    b"\xab" * 31, b"\xcd" * 33, b"\xff" * 32, (ORDER).to_bytes(32), bytes(32),
]  # fmt: skip


@pytest.mark.parametrize("key", [KEY, KEY[2:], KEY.upper(), f" {KEY}\n", "0X" + KEY[2:], bytes.fromhex(KEY[2:])])
def test_keys_as_people_have_them(key: Any) -> None:
    wallet = Wallet(evm=key)
    assert wallet.evm is not None
    assert wallet.evm.address == PAYER == ACCOUNT.address


def test_a_generated_key_is_its_own() -> None:
    one, two = LocalEvmSigner.generate(), LocalEvmSigner.generate()
    assert one.address != two.address
    assert len(one.sign(DATA)) == 65


def traces(key: Any) -> list[str]:
    """What a tool that shows variables would print of our frames when this key is refused."""
    shown = []
    builds: list[Callable[[], object]] = [lambda: Wallet(evm=key)]
    builds += [lambda: LocalEvmSigner(key)] if isinstance(key, bytes) else [lambda: read_hex_key(key)]
    for build in builds:
        with pytest.raises(ConfigurationError) as caught:
            build()
        error: BaseException | None = caught.value
        assert error is not None
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        ours = [
            f"{f.name} {f.locals}" for f in trace.stack if f.filename.startswith(os.path.dirname(x402_client.__file__))
        ]
        assert ours
        assert error.__cause__ is None
        assert error.__context__ is None
        shown.append(" ".join([*ours, str(error), repr(error)]))
    return shown


@pytest.mark.parametrize("key", BAD_KEYS, ids=range(len(BAD_KEYS)))
def test_a_key_that_is_none_is_described_and_never_shown(key: Any) -> None:
    for shown in traces(key):
        for secret in (str(key), repr(key), key.strip() if isinstance(key, str) else key.hex()):
            assert secret not in shown
        assert "EVM key" in shown


def test_keys_show_nowhere() -> None:
    wallet = Wallet(evm=KEY)
    signer = wallet.evm
    buyer = Buyer(wallet, Policy(per_day="1"))
    number = str(int(KEY, 16))
    for thing in (wallet, signer, buyer, buyer.rules, Wallet(evm=ACCOUNT), ForeignEvmSigner(ACCOUNT), SIGNER):
        for shown in (repr(thing), str(thing), f"{thing}"):
            assert KEY[2:] not in shown
            assert number not in shown
            assert repr(bytes.fromhex(KEY[2:])) not in shown
    for thing in (wallet, signer, LocalEvmSigner.generate()):
        for let_out in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="not pickled"):
                let_out(thing)


def test_signatures_show_in_no_repr() -> None:
    assert GOOD.hex() not in repr(SignatureGiven(GOOD))
    assert repr(GOOD) not in repr(SignatureGiven(GOOD))
    assert "nonce" not in repr(DATA)
    ground = Ground()
    ground.pay(called())
    for ask in ground.asked:
        assert "eyJ" not in repr(ask)


# --- reading what signers return


@pytest.mark.parametrize(
    "returned",
    [
        GOOD,
        bytearray(GOOD),
        GOOD.hex(),
        "0x" + GOOD.hex(),
        "0x" + GOOD.hex().upper(),
        GOOD[:64] + bytes([GOOD[64] - 27]),
        "0x" + GOOD[:64].hex() + f"{GOOD[64] - 27:02x}",
        HIGH + bytes([55 - GOOD[64]]),
        HIGH + bytes([28 - GOOD[64]]),
        ACCOUNT.sign_typed_data(full_message=DATA.full()),
        ACCOUNT.sign_typed_data(full_message=DATA.full()).signature,
    ],
    ids=range(11),
)
def test_signatures_in_every_form_become_the_one_that_tokens_take(returned: Any) -> None:
    assert read_signature(returned) == GOOD


@pytest.mark.parametrize(
    "returned",
    [
        None, 5, "", "0x", "zz", "0x" + "zz" * 65, b"", GOOD[:64], GOOD + b"\0", GOOD.hex()[:-2], [1] * 65,
        GOOD[:64] + b"\x02", GOOD[:64] + b"\x1d", GOOD[:64] + b"\xff", GOOD[:32] + bytes(32) + b"\x1b",
        GOOD[:32] + ORDER.to_bytes(32) + b"\x1b", GOOD[:32] + b"\xff" * 32 + b"\x1b", HIGH + b"\x25", "é" * 65,
        {"r": 1}, True,
    ],
    ids=range(21),
)  # fmt: skip
def test_what_is_no_signature(returned: Any) -> None:
    with pytest.raises(SigningError, match="Nothing was sent") as caught:
        read_signature(returned)
    assert GOOD.hex()[:40] not in str(caught.value)


@given(st.binary(min_size=65, max_size=65))
def test_any_65_bytes_are_a_signature_in_low_form_or_refused(raw: bytes) -> None:
    try:
        found = read_signature(raw)
    except SigningError:
        return
    assert 0 < int.from_bytes(found[32:64]) <= ORDER // 2
    assert found[64] in (27, 28)
    assert found[:32] == raw[:32]
    assert read_signature(found) == found


# --- other people's signers


class Remote:
    """A signer of somebody else's."""

    def __init__(self, address: Any = PAYER, returned: Any = None) -> None:
        self.address, self.returned = address, returned

    def sign_typed_data(self, full_message: dict[str, Any]) -> Any:
        if isinstance(self.returned, Exception):
            raise self.returned
        if self.returned is not None:
            return self.returned
        return ACCOUNT.sign_typed_data(full_message=full_message).signature


class AsyncRemote(Remote):
    """An async one."""

    blocking = False

    async def sign_typed_data(self, full_message: dict[str, Any]) -> Any:
        return super().sign_typed_data(full_message)


def test_who_is_asked_in_a_thread() -> None:
    assert ForeignEvmSigner(Remote()).blocking
    assert not ForeignEvmSigner(ACCOUNT).blocking
    foreign = ForeignEvmSigner(AsyncRemote())
    assert not foreign.blocking
    assert foreign.is_async
    assert not ForeignEvmSigner(Remote()).is_async
    assert Wallet(evm=AsyncRemote()).async_only == ("evm",)
    assert Wallet(evm=Remote()).async_only == ()


@pytest.mark.parametrize("address", [PAYER, PAYER.lower(), "0X" + PAYER[2:].upper()])
def test_an_address_in_any_letters(address: str) -> None:
    foreign = ForeignEvmSigner(Remote(address))
    assert foreign.address == PAYER
    assert read_signature(foreign.sign(DATA)) == GOOD
    assert repr(foreign) == f"ForeignEvmSigner({PAYER})"


def test_an_eth_account_account_signs_the_same() -> None:
    assert read_signature(ForeignEvmSigner(ACCOUNT).sign(DATA)) == SIGNER.sign(DATA)


@pytest.mark.parametrize("odd", [object(), 5, Remote(None), Remote(5), Remote("0x12"), Remote(PAYER.swapcase()), [KEY]])
def test_what_is_no_signer(odd: Any) -> None:
    for build in (ForeignEvmSigner, lambda odd: Wallet(evm=odd)):
        with pytest.raises(ConfigurationError, match="address"):
            build(odd)


@pytest.mark.parametrize(
    "returned",
    [RuntimeError("the device is locked"), "not hex", b"\1" * 64, Account.from_key("0x" + "22" * 32).sign_typed_data(
        full_message=DATA.full()).signature],
    ids=["raises", "not hex", "short", "somebody else's"],
)  # fmt: skip
def test_a_foreign_signer_that_fails_costs_nothing(returned: Any) -> None:
    ground = Ground()
    foreign = ForeignEvmSigner(Remote(returned=returned))
    with pytest.raises(SigningError) as caught:
        ground.pay(called(), SignTyped=lambda ask: SignatureGiven(read_signature(foreign.sign(ask.data))))
    assert caught.value.money == "untouched"
    assert ground.names[-1] == "Release"
    assert ground.spent == 0


def test_a_wallet_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="needs a key"):
        Wallet()
    monkeypatch.delenv("X402_EVM_KEY", raising=False)
    monkeypatch.delenv("X402_SOLANA_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="X402_EVM_KEY"):
        Wallet.from_env()
    monkeypatch.setenv("X402_EVM_KEY", f" {KEY} ")
    wallet = Wallet.from_env()
    assert wallet.evm is not None
    assert wallet.evm.address == PAYER


def test_typed_data_is_made_only_when_somebody_looks() -> None:
    made: list[int] = []
    data = TypedData(b"\1" * 32, lambda: made.append(1) or {})  # type: ignore[func-returns-value]
    assert len(SIGNER.sign(data)) == 65
    assert made == []
