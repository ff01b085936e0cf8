"""Tracebacks of our own errors: the caller's way to us, what caused it, and none of the steps between."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from tests.adapters.one_request import SHELLS, Ask, name_of
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.guards.tracebacks import shorten
from x402_client.sandbox import TEST_EVM_KEYS, Sandbox


@pytest.fixture(scope="module")
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        yield seller


def ours(failure: BaseException) -> list[str]:
    frames = traceback.extract_tb(failure.__traceback__)
    return [f"{frame.filename}:{frame.name}" for frame in frames if "/x402_client/" in frame.filename]


class Fails:
    """A signer that has trouble of its own."""

    address = Wallet(evm=TEST_EVM_KEYS[0]).addresses["eip155"]

    def sign_typed_data(self, full_message: dict[str, Any]) -> bytes:
        raise RuntimeError("the device is not plugged in")


REFUSED: dict[str, Any] = {
    "per request": (Policy(per_request="0.001"), errors.TooExpensive, {}),
    "a budget": (Policy(per_day="0.001"), errors.OverLimit, {}),
    "a host": (Policy(per_day="1", only_listed_hosts=True), errors.HostNotAllowed, {}),
    "a signer": (Policy(per_day="1"), errors.SigningError, {"wallet": Wallet(evm=Fails())}),
}


@pytest.mark.parametrize("ask", SHELLS, ids=name_of)
@pytest.mark.parametrize(("policy", "kind", "settings"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_shows_few_frames_of_ours(
    seller: Sandbox, ask: Ask, policy: Policy, kind: type[errors.X402Error], settings: dict[str, Any]
) -> None:
    buyer: Buyer = seller.buyer(policy, **settings)
    with pytest.raises(kind) as raised:
        ask(buyer, "GET", f"{seller.url}/weather")
    assert len(ours(raised.value)) <= 1
    assert "test_tracebacks.py" in "".join(all_frames(raised.value))
    if settings:
        cause = raised.value.__cause__
        assert isinstance(cause, RuntimeError)
        assert all_frames(cause)[-1].endswith(":sign_typed_data"), "a cause keeps its own frames"


def all_frames(failure: BaseException) -> list[str]:
    return [f"{frame.filename}:{frame.name}" for frame in traceback.extract_tb(failure.__traceback__)]


def test_errors_of_others_keep_every_frame() -> None:
    for failure, kept in ((errors.Frozen("stopped"), False), (OSError(), True), (KeyboardInterrupt(), True)):
        with pytest.raises(type(failure)) as caught:
            raise failure
        shorten(caught.value)
        assert (caught.value.__traceback__ is not None) is kept
