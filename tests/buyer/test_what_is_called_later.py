"""What a buyer will call in the middle of a payment is refused when it is built, if it cannot be called so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from x402_client import Buyer, Policy, Wallet, errors
from x402_client.ledgers.memory import MemoryLedger
from x402_client.signers import ContractSigner

from .vouchers import Voucher

KEY, ADDRESS = "0x" + "46" * 32, "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
SOLANA = "4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM"


class Reader:
    """A reader whose class is given in the place of an object."""

    def read(self, hold: object) -> str:
        return "unknown"


def none() -> bool:
    return True


def two(one: object, other: object) -> bool:
    return True


async def later() -> bool:
    return True


def with_method(name: str, function: Any, **further: Any) -> Any:
    """Return an object with one method, and some attributes."""
    return type("Own", (), {name: staticmethod(function), **further})()


def scheme(**methods: Any) -> Any:
    return type("Own", (Voucher,), {name: staticmethod(function) for name, function in methods.items()})()


def buyer(**settings: Any) -> Buyer:
    return Buyer(Wallet(evm=KEY), Policy(per_day="1"), **{"ledger": ":memory:", **settings})


BAD = (none, two, later)
SLIPS: dict[str, tuple[Callable[..., Any], str]] = {
    **{f"approve {bad.__name__}": (lambda bad=bad: buyer(approve=bad), "def approve\\(approval\\)") for bad in BAD},
    **{f"on_event {bad.__name__}": (lambda bad=bad: buyer(on_event=bad), "def on_event\\(event\\)") for bad in BAD},
    **{
        f"reader {bad.__name__}": (lambda bad=bad: buyer(reader=with_method("read", bad)), "def read\\(self, hold\\)")
        for bad in BAD
    },
    "a reader's class": (lambda: buyer(reader=Reader), "the class Reader"),
    "a reader without read": (lambda: buyer(reader=none), r"an object with \.read\(hold\)"),
    "a ledger's class": (lambda: buyer(ledger=MemoryLedger), "the class MemoryLedger"),
    **{
        f"scheme.{name} {bad.__name__}": (lambda name=name, bad=bad: buyer(schemes=[scheme(**{name: bad})]), shape)
        for name, shape, bads in (
            ("objection", r"def objection\(self, offer\)", (none, two)),
            ("remark", r"def remark\(self, offer\)", (none, two)),
            ("sign", r"def sign\(self, offer, validity\)", (none,)),
        )
        for bad in bads
    },
    **{
        f"evm {bad.__name__}": (
            lambda bad=bad: Wallet(evm=with_method("sign_typed_data", bad, address=ADDRESS)), "full_message"
        )
        for bad in (none, later)
    },
    **{
        f"solana {bad.__name__}": (
            lambda bad=bad: Wallet(solana=with_method("sign_message", bad, address=SOLANA)), r"sign_message\(self"
        )
        for bad in BAD
    },
    **{
        f"further {bad.__name__}": (
            lambda bad=bad: Wallet(further={"stellar": with_method("sign", bad, address="G1")}), r"`sign\(data\)`"
        )
        for bad in BAD
    },
    **{
        f"contract {name} {bad.__name__}": (
            lambda name=name, bad=bad: ContractSigner(ADDRESS, **{name: bad}), "takes one function"
        )
        for name in ("sign", "sign_digest")
        for bad in BAD
    },
}  # fmt: skip


@pytest.mark.parametrize(("build", "words"), SLIPS.values(), ids=SLIPS)
def test_a_function_of_the_wrong_shape_is_refused_while_building(build: Callable[..., Any], words: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=words):
        build()


def test_functions_of_the_right_shape_are_taken() -> None:
    made = buyer(
        approve=lambda approval: True, on_event=[].append, reader=Reader(), schemes=[Voucher()],
        ledger=MemoryLedger(),
    )  # fmt: skip
    assert made.services.approver is not None
    ContractSigner(ADDRESS, lambda message: b"")
    Wallet(evm=with_method("sign_typed_data", lambda full_message: b"", address=ADDRESS))
