"""Signatures without coincurve: byte for byte those of eth-keys, and as silent about the key."""

from __future__ import annotations

import pickle
import traceback

import pytest
from eth_keys.backends.native import NativeECCBackend
from eth_keys.datatypes import PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from x402_client.signers import evm_pure_python as pure

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ONE, LAST = (1).to_bytes(32), (ORDER - 1).to_bytes(32)
KEY = bytes.fromhex("46" * 32)
keys = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32))


@settings(max_examples=150)
@given(keys, st.binary(min_size=32, max_size=32))
@example(ONE, bytes(32))
@example(LAST, b"\xff" * 32)
@example(ONE, ORDER.to_bytes(32))
@example((1 << 255).to_bytes(32), LAST)
@example(bytes.fromhex("0f" * 32), ONE)
@example(bytes.fromhex("f0" * 32), ONE)
def test_the_signature_is_that_of_eth_keys(secret: bytes, digest: bytes) -> None:
    witness = PrivateKey(secret, backend=NativeECCBackend())
    key = pure.PureKey(secret)
    assert key.public == witness.public_key.to_bytes()
    assert key.sign(digest) == witness.sign_msg_hash(digest).to_bytes()


def test_every_number_takes_the_same_additions(monkeypatch: pytest.MonkeyPatch) -> None:
    pure._multiples()
    add, counted = pure.jacobian_add, []
    monkeypatch.setattr(pure, "jacobian_add", lambda p, q: counted.append(p[1] and q[1]) or add(p, q))
    for number in (1, 2**255, int("f0" * 32, 16), ORDER - 1):
        counted.clear()
        pure._times_base(number)
        assert len(counted) == 64
        assert all(counted), "the point of nothing is added at once, and the time would tell"


def test_an_interrupt_shows_no_variable_of_the_signing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(number: int) -> tuple[int, int]:
        try:
            raise ValueError
        except ValueError:
            raise KeyboardInterrupt  # noqa: B904 - while another failure is handled

    key = pure.PureKey(KEY)
    monkeypatch.setattr(pure, "_times_base", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        key.sign(ONE)
    told = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "_signature" not in told
    assert KEY.hex() not in told
    assert repr(KEY) not in told
    assert repr(key).startswith("<")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
