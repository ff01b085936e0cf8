"""Tracebacks of our own errors: the caller's way to us, what caused it, and none of the steps between."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
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
    "a host": (Policy(per_day="1", hosts={"127.0.0.1": "deny"}), errors.HostNotAllowed, {}),
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


#: What goes wrong with the payment, and what is raised.
LOST: dict[str, Any] = {
    "lost": ("drop-before-settling", errors.PaymentOutcomeUnknown),
    "refused": ("402-again", errors.PaymentRejected),
}


@pytest.mark.parametrize("ask", SHELLS, ids=name_of)
@pytest.mark.parametrize(("fault", "kind"), LOST.values(), ids=LOST)
def test_a_payment_without_an_answer_shows_none_of_our_steps(
    seller: Sandbox, ask: Ask, fault: str, kind: type[errors.X402Error]
) -> None:
    seller.order(fault)
    with pytest.raises(kind) as raised:
        ask(seller.buyer(Policy(per_day="1"), repeat=()), "GET", f"{seller.url}/weather")
    assert len(ours(raised.value)) <= 1
    shown = "".join(traceback.format_exception(raised.value))
    assert shown.count("/x402_client/") <= 1, shown


def test_a_file_that_is_no_ledger_shows_few_frames_and_no_cause(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("This is a text of mine." * 100)
    with pytest.raises(errors.LedgerUnavailable, match="is not a ledger") as raised:
        Buyer(Wallet(evm=TEST_EVM_KEYS[0]), ledger=tmp_path / "notes.txt")
    shown = "".join(traceback.format_exception(raised.value))
    assert shown.count("/x402_client/") <= 1, shown
    assert "DatabaseError" not in shown, "it says no more than our message"


def test_a_cause_that_says_more_is_kept_without_its_steps(tmp_path: Path) -> None:
    with pytest.raises(errors.LedgerUnavailable) as raised:
        Buyer(Wallet(evm=TEST_EVM_KEYS[0]), ledger=tmp_path / ("n" * 300))
    shown = "".join(traceback.format_exception(raised.value))
    assert "OSError: [Errno 36]" in shown
    assert shown.count("/x402_client/") <= 1, shown


def all_frames(failure: BaseException) -> list[str]:
    return [f"{frame.filename}:{frame.name}" for frame in traceback.extract_tb(failure.__traceback__)]


def test_errors_of_others_keep_every_frame() -> None:
    for failure, kept in ((errors.Frozen("stopped"), False), (OSError(), True), (KeyboardInterrupt(), True)):
        with pytest.raises(type(failure)) as caught:
            raise failure
        shorten(caught.value)
        assert (caught.value.__traceback__ is not None) is kept
