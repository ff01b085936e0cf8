"""EIP-3009 payments: recorded vectors, eth-account's own encoder as a witness, and what must not be signed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.scripted_flow import SIGNER, signature
from tests.wire.terms import BASE_USDC, KEY, NETWORK, PAYER, SELLER, USDC, decoded, entry, entry_v1, quoted
from x402_client import Token
from x402_client.chains.evm import checksum, is_address, keccak, recover
from x402_client.chains.rpc import Rpc
from x402_client.chains.tokens import KNOWN, Tokens
from x402_client.core.asks import Fetch, SignatureGiven, SignTyped
from x402_client.core.drive import run
from x402_client.errors import InsufficientFunds, SigningError
from x402_client.model.offers import Offer
from x402_client.model.signing import Signed
from x402_client.schemes.exact_evm import ExactEvm, typed_data
from x402_client.wire.bounds import DEFAULT
from x402_client.wire.write import payment_header

MESSAGE = {
    "from": PAYER,
    "to": SELLER,
    "value": "10000",
    "validAfter": "0",
    "validBefore": "1800000000",
    "nonce": "0x" + "07" * 32,
}
#: Key 0x4646…, the message above. Digest, then signature.
VECTORS = {
    (NETWORK, USDC): (
        "3363d18e8d5d3594e7d6b9743e358add0d53c7f09db604c3ed4bb102dd22c1e8",
        "33c47878794a5628db219aced5bd141aeb5d1751401a73b4eed4440bbe387838"
        "44c67a45fe7e8ecf6fba73962cf425296d63242f410a976285b824eef05bd3de1c",
    ),
    ("eip155:8453", BASE_USDC): (
        "5c63afd696d5e722338cf9b58066295d192c08443065e0d4d58ee77fd50a746c",
        "7880a7d939fda8ddf780fc70483aed20782778303cd541ca83aecf2c0add024f"
        "140b2a2853f1eb5de4dbc4b4163ff7153e210012143076bacb8219b8daa0cb861b",
    ),
    ("eip155:14", "0xe7cd86e13AC4309349F30B3435a9d337750fC82D"): (
        "9448a06e1762ce94716efabd584962145c64bfe4d60b43da1bc4e79f9441be05",
        "023da115e5183522be5eff013412905bcc0694817e144e012995bacab38c1255"
        "4f047c905b0156f11d2b3933b57ab96f7e21e827e34e91af710326e602274eaf1b",
    ),
}
HEADERS = {
    1: "eyJ4NDAyVmVyc2lvbiI6MSwic2NoZW1lIjoiZXhhY3QiLCJuZXR3b3JrIjoiYmFzZS1zZXBvbGlhIiwicGF5bG9hZCI6eyJzaWduYXR1cmUiOi"
    "IweDMzYzQ3ODc4Nzk0YTU2MjhkYjIxOWFjZWQ1YmQxNDFhZWI1ZDE3NTE0MDFhNzNiNGVlZDQ0NDBiYmUzODc4Mzg0NGM2N2E0NWZlN2U4ZWNmNmZi"
    "YTczOTYyY2Y0MjUyOTZkNjMyNDJmNDEwYTk3NjI4NWI4MjRlZWYwNWJkM2RlMWMiLCJhdXRob3JpemF0aW9uIjp7ImZyb20iOiIweDlkOEE2MmY2NT"
    "ZhOGQxNjE1QzEyOTRmZDcxZTlDRmIzRTQ4NTVBNEYiLCJ0byI6IjB4NWUxMWU3NWUxMWU3NWUxMWU3NWUxMWU3NWUxMWU3NWUxMWU3NWUxMSIsInZh"
    "bHVlIjoiMTAwMDAiLCJ2YWxpZEFmdGVyIjoiMCIsInZhbGlkQmVmb3JlIjoiMTgwMDAwMDAwMCIsIm5vbmNlIjoiMHgwNzA3MDcwNzA3MDcwNzA3MD"
    "cwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3In19fQ==",
    2: "eyJ4NDAyVmVyc2lvbiI6MiwicGF5bG9hZCI6eyJzaWduYXR1cmUiOiIweDMzYzQ3ODc4Nzk0YTU2MjhkYjIxOWFj"
    "ZWQ1YmQxNDFhZWI1ZDE3NTE0MD"
    "FhNzNiNGVlZDQ0NDBiYmUzODc4Mzg0NGM2N2E0NWZlN2U4ZWNmNmZiYTczOTYyY2Y0MjUyOTZkNjMyNDJmNDEwYTk3NjI4NWI4MjRlZWYwNWJkM2Rl"
    "MWMiLCJhdXRob3JpemF0aW9uIjp7ImZyb20iOiIweDlkOEE2MmY2NTZhOGQxNjE1QzEyOTRmZDcxZTlDRmIzRTQ4NTVBNEYiLCJ0byI6IjB4NWUxMW"
    "U3NWUxMWU3NWUxMWU3NWUxMWU3NWUxMWU3NWUxMWU3NWUxMSIsInZhbHVlIjoiMTAwMDAiLCJ2YWxpZEFmdGVyIjoiMCIsInZhbGlkQmVmb3JlIjoi"
    "MTgwMDAwMDAwMCIsIm5vbmNlIjoiMHgwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNz"
    "A3In19LCJhY2NlcHRlZCI6eyJzY2hlbWUiOiJleGFjdCIsIm5ldHdvcmsiOiJlaXAxNTU6ODQ1MzIiLCJhbW91bnQiOiIxMDAwMCIsImFzc2V0Ijoi"
    "MHgwMzZDYkQ1Mzg0MmM1NDI2NjM0ZTc5Mjk1NDFlQzIzMThmM2RDRjdlIiwicGF5VG8iOiIweDVlMTFlNzVlMTFlNzVlMTFlNzVlMTFlNzVlMTFlNz"
    "VlMTFlNzVlMTEiLCJtYXhUaW1lb3V0U2Vjb25kcyI6NjAsImV4dHJhIjp7Im5hbWUiOiJVU0RDIiwidmVyc2lvbiI6IjIifX19",
}


def token(network: str, asset: str) -> Token:
    found = Tokens().find(network, asset)
    assert found is not None
    return found


def witness(full: dict[str, Any]) -> tuple[bytes, bytes]:
    """Digest and signature as eth-account makes them."""
    signable = encode_typed_data(full_message=full)
    digest = keccak(b"\x19" + signable.version + signable.header + signable.body)
    return digest, bytes(Account.from_key(KEY).sign_typed_data(full_message=full).signature)


@pytest.mark.parametrize(("network", "asset"), VECTORS)
def test_recorded_signatures(network: str, asset: str) -> None:
    data = typed_data(token(network, asset), MESSAGE)
    signed = SIGNER.sign(data)
    assert (data.digest.hex(), signed.hex()) == VECTORS[network, asset]
    assert witness(data.full()) == (data.digest, signed)


@pytest.mark.parametrize("version", [1, 2])
def test_recorded_headers(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0 - 60)
    monkeypatch.setattr(os, "urandom", lambda size: b"\7" * size)
    quote = quoted(entry() if version == 2 else entry_v1(), version=version)
    offer = replace(quote.offers[0], token=token(NETWORK, USDC))
    signed = run(ExactEvm(PAYER).sign(offer, 600), signature)
    assert (signed.nonce, signed.payer, signed.expires) == (MESSAGE["nonce"], PAYER, 1_800_000_000)
    assert payment_header(quote, offer, signed.payload, DEFAULT)[1] == HEADERS[version]
    assert decoded(HEADERS[version])["payload"]["authorization"] == MESSAGE


addresses = st.binary(min_size=20, max_size=20).map(lambda raw: checksum("0x" + raw.hex()))
uints = st.integers(0, 2**256 - 1)
nonces = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=60)
@given(names, names, st.integers(1, 2**63), addresses, addresses, addresses, uints, uints, nonces)
def test_the_hand_packed_digest_is_the_general_one(
    name: str, version: str, chain: int, contract: str, payer: str, to: str, value: int, before: int, nonce: str
) -> None:
    message = MESSAGE | {"from": payer, "to": to, "value": str(value), "validBefore": str(before), "nonce": nonce}
    data = typed_data(Token(f"eip155:{chain}", contract, "T", 6, name, version), message)
    signed = SIGNER.sign(data)
    assert witness(data.full()) == (data.digest, signed)
    assert recover(data.digest, signed) == PAYER
    assert json.loads(json.dumps(data.full())) == data.full()


PROGRAM = """
    import sys, time, os
    if {pure}: sys.modules["coincurve"] = sys.modules["sha3"] = None
    from tests.schemes.test_exact_evm import *
    signed = [SIGNER.sign(typed_data(token(*which), MESSAGE)).hex() for which in VECTORS]
    digest = bytes.fromhex(VECTORS[NETWORK, USDC][0])
    print(signed, SIGNER.address, recover(digest, bytes.fromhex(signed[0])), recover(digest, b"\\1" * 64 + b"\\x1b"),
          recover(digest, b"\\0" * 64 + b"\\x1b"), "coincurve" in sys.modules and sys.modules["coincurve"] is not None)
"""


def test_with_and_without_the_fast_libraries_the_bytes_are_the_same() -> None:
    said = []
    for pure in (False, True):
        program = textwrap.dedent(PROGRAM.format(pure=pure))
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        said.append(ran.stdout.strip())
    fast, slow = said
    installed = str(find_spec("coincurve") is not None)  # it has no wheel for every Python
    assert fast.endswith(installed)
    assert slow.endswith("False")
    assert fast.removesuffix(installed) == slow.removesuffix("False")
    assert VECTORS[NETWORK, USDC][1] in slow
    assert f"{PAYER} {PAYER}" in slow


@settings(max_examples=100)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=0, max_size=70))
def test_recovery_agrees_with_eth_account_or_says_none(digest: bytes, junk: bytes) -> None:
    assert recover(digest, junk) is None or len(junk) == 65
    raw = (junk + bytes(65))[:64] + b"\x1b"
    found = recover(digest, raw)
    try:
        expected = Account._recover_hash(digest, signature=raw)
    except Exception:
        expected = None
    low = int.from_bytes(raw[32:64]) <= 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
    assert found == (expected if low else None)


def test_signatures_that_tokens_refuse_are_nobodys() -> None:
    digest, good = (bytes.fromhex(part) for part in VECTORS[NETWORK, USDC])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = good[:32] + (order - int.from_bytes(good[32:64])).to_bytes(32) + bytes([55 - good[64]])
    assert recover(digest, good) == PAYER
    for bad in (high, good[:64] + bytes([good[64] - 27]), good[:-1], good + b"\0", b""):
        assert recover(digest, bad) is None
    assert recover(bytes(31) + b"\1", good) != PAYER


# --- the time a signature takes, and how long it is valid


@pytest.mark.parametrize(
    ("timeout", "validity", "window"),
    [
        (60, 600, 60),
        (None, 600, 60),
        (0, 600, 60),
        (1, 600, 60),
        (300, 600, 300),
        (315_360_000, 600, 600),
        (300, 60, 60),
    ],
)
def test_validity_is_the_sellers_within_bounds(timeout: int | None, validity: int, window: int) -> None:
    offer = replace(quoted(entry(maxTimeoutSeconds=timeout)).offers[0], token=token(NETWORK, USDC))
    before = int(time.time())
    signed = run(ExactEvm(PAYER).sign(offer, validity), signature)
    assert before + window <= signed.expires <= int(time.time()) + window
    authorization = signed.payload["authorization"]
    assert (authorization["validAfter"], authorization["value"]) == ("0", "10000")
    assert authorization["validBefore"] == str(signed.expires)


def offered(**changes: Any) -> Offer:
    return replace(quoted(entry(**changes)).offers[0], token=token(NETWORK, USDC))


def slow(clock: list[float], waits: list[float], **given: Any) -> Signed:
    """Signs with a signer that takes its time."""

    def answer(ask: SignTyped) -> SignatureGiven:
        wait = waits.pop(0)
        clock[0] += wait
        return signature(ask, wait)

    return run(ExactEvm(PAYER).sign(offered(**given), 600), answer)


def test_a_slow_signer_signs_once_more_and_then_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_800_000_000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    assert slow(clock, [30.0]).expires == 1_800_000_060
    second = slow(clock, [31.0, 5.0])
    assert second.expires == 1_800_000_030 + 31 + 60
    assert slow(clock, [500.0], maxTimeoutSeconds=600).expires
    with pytest.raises(SigningError, match=r"took 45 s twice; a payment valid for 60 s.*validity.*Nothing was sent"):
        slow(clock, [40.0, 45.0])


def test_every_signature_has_a_nonce_of_its_own() -> None:
    nonces = {run(ExactEvm(PAYER).sign(offered(), 600), signature).nonce for _ in range(50)}
    assert len(nonces) == 50
    assert all(len(nonce) == 66 for nonce in nonces)


@pytest.mark.parametrize("trusted", [True, False])
def test_somebody_elses_signature_is_checked(trusted: bool) -> None:
    other = Account.from_key("0x" + "11" * 32)

    def answer(ask: SignTyped) -> SignatureGiven:
        return SignatureGiven(bytes(other.sign_typed_data(full_message=ask.data.full()).signature), trusted)

    if trusted:
        assert run(ExactEvm(PAYER).sign(offered(), 600), answer)
    else:
        with pytest.raises(SigningError, match=f"not by {PAYER}"):
            run(ExactEvm(PAYER).sign(offered(), 600), answer)


@pytest.mark.parametrize(
    ("extra", "noted"),
    [
        ({}, False),
        ({"name": "USDC", "version": "2"}, False),
        ({"name": "USDC"}, False),
        ({"name": None, "version": None}, False),
        ({"name": "USD Coin", "version": "2"}, True),
        ({"version": 2}, True),
        ({"name": ["x"] * 500}, True),
    ],
)
def test_another_domain_is_noted_and_not_signed(extra: dict[str, Any], noted: bool) -> None:
    remark = ExactEvm(PAYER).remark(offered(extra=extra))
    assert (remark is not None) is noted
    assert remark is None or ("('USDC', '2') was signed" in remark and len(remark) < 250)


def test_default_kinds_may_be_spelled_out() -> None:
    for extra in ({"assetTransferMethod": "eip3009", "paymentFlow": "authorization"}, {"assetTransferMethod": None}):
        assert ExactEvm(PAYER).objection(offered(extra=extra)) is None


# --- addresses and tokens


def test_checksums() -> None:
    assert checksum("0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED") == "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (USDC, True), (USDC.lower(), True), ("0X" + USDC[2:].upper(), True), (USDC.swapcase(), False),
        (USDC[:-1] + "E", False), (USDC[2:], False), (USDC + "0", False), (USDC[:-1], False), ("0x" + "g" * 40, False),
        (USDC + "\n", False), ("", False),
    ],
)  # fmt: skip
def test_what_is_an_address(text: str, good: bool) -> None:
    assert is_address(text) is good


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.network} {known.symbol}")
def test_every_token_of_the_table_is_found_and_well_written(known: Token) -> None:
    tokens = Tokens()
    assert tokens.find(known.network, known.address) is known
    assert tokens.find(known.network, known.symbol.lower()) is not None
    assert known.decimals == (18 if known.symbol in ("MegaUSD", "mUSD") else 6)
    if known.network.startswith("eip155:"):
        assert checksum(known.address) == known.address
        assert tokens.find(known.network, known.address.lower()) is known
        assert bool(known.name) is bool(known.version)
        assert known.name or known.symbol in ("MegaUSD", "mUSD", "SBC") or known.network == "eip155:38833"
    else:
        assert tokens.find(known.network, known.address.lower()) is None
        assert known.program


def test_the_users_tokens_come_on_top_and_take_no_symbol_away() -> None:
    fake = Token(NETWORK, "0x" + "ab" * 20, "USDC", 18, "Fake", "1")
    tokens = Tokens([fake])
    assert tokens.find(NETWORK, "USDC") is token(NETWORK, USDC)
    assert tokens.find(NETWORK, fake.address.upper().replace("0X", "0x")) is fake
    mine = replace(token(NETWORK, USDC), decimals=7)
    assert Tokens([mine]).find(NETWORK, USDC) is mine
    assert Tokens().find(NETWORK, "") is None
    assert Tokens().find("eip155:1", USDC) is None


@pytest.mark.parametrize(("have", "signs"), [(10_000, True), (9_999, False)])
def test_where_asked_the_balance_is_looked_at_first(have: int, signs: bool) -> None:
    asked: list[Any] = []

    def answer(ask: Any) -> Any:
        asked.append(type(ask))
        return have if isinstance(ask, Fetch) else signature(ask)

    scheme = ExactEvm(PAYER, Rpc, check_funds=True)
    if signs:
        assert run(scheme.sign(offered(), 600), answer)
        assert asked == [Fetch, SignTyped]
    else:
        with pytest.raises(InsufficientFunds, match=r"holds 0\.009999 USDC on base-sepolia, and 0\.01 are asked"):
            run(scheme.sign(offered(), 600), answer)
        assert asked == [Fetch]
