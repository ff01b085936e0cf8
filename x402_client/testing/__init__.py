"""Answers for tests that mock HTTP, and the conformance classes that authors of adapters and schemes inherit.

    payment_required("0.01")           a 402 of an honest seller: status, headers and body
    payment_response({"a": 1})         the answer to a payment, with the seller's receipt
    MockedAnswer                       what both return, to be passed to a mock

    AdapterConformance                 tests of an HTTP client that pays
    SchemeConformance                  tests of a payment scheme
    FamilyConformance                  tests of a family of chains
    ReaderConformance                  tests of a settlement reader
    EvmSignerConformance, SolanaSignerConformance

Each is loaded when it is first used. A seller to pay is ``x402_client.sandbox.Sandbox``; the tests of a ledger are in
``x402_client.ledgers.conformance``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapter_conformance import AdapterConformance
    from .answers import MockedAnswer, payment_required, payment_response
    from .family_conformance import FamilyConformance
    from .reader_conformance import ReaderConformance
    from .scheme_conformance import SchemeConformance
    from .signer_conformance import EvmSignerConformance, SolanaSignerConformance

__all__ = [
    "AdapterConformance",
    "EvmSignerConformance",
    "FamilyConformance",
    "MockedAnswer",
    "ReaderConformance",
    "SchemeConformance",
    "SolanaSignerConformance",
    "payment_required",
    "payment_response",
]

#: The module of each name.
_HOMES = {
    "AdapterConformance": "adapter_conformance",
    "EvmSignerConformance": "signer_conformance",
    "FamilyConformance": "family_conformance",
    "MockedAnswer": "answers",
    "ReaderConformance": "reader_conformance",
    "SchemeConformance": "scheme_conformance",
    "SolanaSignerConformance": "signer_conformance",
    "payment_required": "answers",
    "payment_response": "answers",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    from importlib.util import find_spec

    # The conformance classes need pytest, and help() loads all that is listed.
    there = find_spec("pytest") is not None
    return sorted({*globals(), *(name for name, home in _HOMES.items() if there or home == "answers")})
