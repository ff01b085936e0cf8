"""Accounts with code: what an endpoint says of a signature, in all its words, and ERC-6492 by the general encoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.terms import PAYER, SELLER
from x402_client.chains.contract_accounts import (
    Undeployed,
    delegate_of,
    read_code,
    takes,
    takes_once_deployed,
    unwrap,
    wrap,
)
from x402_client.chains.evm import checksum
from x402_client.chains.rpc import Rpc
from x402_client.errors import ChainUnavailable

from .scripted_rpc import Answer, Scripted, body, error, result, status

FACTORY = checksum(SELLER)
YES = "0x1626ba7e" + "00" * 28
DIGEST, SIGNATURE = b"\5" * 32, b"\7" * 97
MADE = Undeployed(FACTORY, b"make it", SIGNATURE)
MARK = bytes.fromhex("6492" * 16)
#: In the words of several nodes.
REVERTS = [
    error(3, "execution reverted: GS026"),
    error(-32000, "execution reverted"),
    error(-32015, "VM execution error."),
    error(-32000, "VM Exception while processing transaction: revert"),
    error(-32000, "invalid opcode: INVALID"),
]
SILENT = [status(500), status(403), body(b"not json"), error(-32601, "no such method"), result(None), result(7)]


@contextmanager
def chain(*answers: Answer) -> Iterator[tuple[Rpc, Scripted]]:
    with Scripted(*answers) as endpoint:
        rpc = Rpc("eip155:84532", [endpoint.url])
        yield rpc, endpoint
        rpc.close()


def test_a_wallet_is_asked_as_a_token_asks_it() -> None:
    with chain(result(YES)) as (rpc, endpoint):
        assert takes(rpc, PAYER, DIGEST, SIGNATURE, 2)
    data = keccak(text="isValidSignature(bytes32,bytes)")[:4] + encode(["bytes32", "bytes"], [DIGEST, SIGNATURE])
    assert endpoint.asked[0]["params"] == [{"to": PAYER, "data": "0x" + data.hex()}, "latest"]


@pytest.mark.parametrize(
    "no",
    [result("0x"), result("0x1626ba7e"), result("0xffffffff" + "00" * 28), result("0x1626ba7e" + "00" * 27 + "01"),
     result("0x" + "00" * 31 + "01"), result("0x" + "00" * 28 + "1626ba7e"), *REVERTS],
)  # fmt: skip
def test_all_but_the_one_answer_is_no(no: Answer) -> None:
    with chain(no) as (rpc, _):
        assert not takes(rpc, PAYER, DIGEST, SIGNATURE, 2)


@pytest.mark.parametrize("silent", SILENT)
def test_what_makes_no_sense_is_no_answer(silent: Answer) -> None:
    with chain(silent) as (rpc, _):
        for read in (
            lambda: takes(rpc, PAYER, DIGEST, SIGNATURE, 0.1),
            lambda: takes_once_deployed(rpc, PAYER, DIGEST, MADE, 0.1),
            lambda: read_code(rpc, PAYER, 0.1),
        ):
            with pytest.raises(ChainUnavailable):
                read()


def test_one_endpoint_that_answers_stands_for_one_that_reverts() -> None:
    with Scripted(error(3, "execution reverted")) as one, Scripted(result(YES)) as two:
        rpc = Rpc("eip155:84532", [one.url, two.url])
        assert takes(rpc, PAYER, DIGEST, SIGNATURE, 2)
        rpc.close()


@pytest.mark.parametrize(("said", "good"), [("0x01", True), ("0x00", False), ("0x", False)])
def test_a_wallet_that_is_not_there_yet_is_tried_out(said: str, good: bool) -> None:
    with chain(result(said)) as (rpc, endpoint):
        assert takes_once_deployed(rpc, PAYER, DIGEST, MADE, 2) is good
    [call, block] = endpoint.asked[0]["params"]
    assert set(call) == {"data"}  # to nobody: a creation that is never kept
    assert block == "latest"


@pytest.mark.parametrize("no", REVERTS)
def test_a_trial_that_reverts_is_no(no: Answer) -> None:
    with chain(no) as (rpc, _):
        assert not takes_once_deployed(rpc, PAYER, DIGEST, MADE, 2)


@pytest.mark.parametrize("said", ["0x02", "0x0101", YES])
def test_another_byte_is_no_answer(said: str) -> None:
    with chain(result(said)) as (rpc, _), pytest.raises(ChainUnavailable, match="makes no sense"):
        takes_once_deployed(rpc, PAYER, DIGEST, MADE, 2)


def test_a_delegation_is_told_from_other_code() -> None:
    code = bytes.fromhex("ef0100" + FACTORY[2:])
    assert delegate_of(code) == FACTORY
    for other in (b"", code[:-1], code + b"\0", b"\xef\x01\x01" + code[3:], bytes(23)):
        assert delegate_of(other) is None


@settings(max_examples=30)
@given(st.binary(max_size=100), st.binary(max_size=100))
def test_wrapping_is_the_general_encoding(calldata: bytes, signature: bytes) -> None:
    given_ = Undeployed(FACTORY, calldata, signature)
    wrapped = encode(["address", "bytes", "bytes"], [FACTORY, calldata, signature]) + MARK
    assert wrap(given_) == wrapped
    assert unwrap(wrapped) == given_


@given(st.binary(max_size=300))
def test_any_bytes_are_unwrapped_or_not(junk: bytes) -> None:
    assert unwrap(junk) is None or junk.endswith(MARK)
    found = unwrap(junk + MARK)
    assert found is None or len(found.calldata) + len(found.signature) <= 2 * len(junk)


@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize("at", [2**255, 10_000, 160])
def test_parts_that_lie_outside_are_no_parts(place: int, at: int) -> None:
    sound = wrap(Undeployed(FACTORY, b"", b""))
    assert unwrap(sound[: 32 * place] + at.to_bytes(32) + sound[32 * place + 32 :]) is None
