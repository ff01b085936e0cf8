"""Statements that sellers sign: an offer before the payment, a receipt after it (the extension offer-receipt)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

#: The name of the extension.
OFFER_RECEIPT = "offer-receipt"
#: Who signed. "payee": the account that is paid. "trusted": a key of ``Policy(seller_keys=...)``. "stranger": a key
#: that nothing here vouches for, which anybody can make. "forged": the signature does not fit the key that it names.
#: "unchecked": it could not be checked, and ``problems`` says why.
SignedBy = Literal["payee", "trusted", "stranger", "forged", "unchecked"]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that a seller signed: an offer, or a receipt. It is the signer's word, and proves no payment.

    Attributes:
        format: ``"eip712"`` or ``"jws"``.
        payload: What was signed, by the names of the wire.
        signature: The signature of an ``eip712``, or the whole ``jws``: what others need to check it.
        signed_by: ``"payee"``: the account that is paid. ``"trusted"``: a key of ``Policy(seller_keys=...)``.
            ``"stranger"``: any other key. ``"forged"``: the signature does not fit the key that it names.
            ``"unchecked"``: it could not be checked.
        signer: The address or the key that signed, or "".
        problems: Disagreements with the payment, and what could not be checked, one line each.
    """

    format: str
    payload: Mapping[str, Any]
    signature: str = field(repr=False)
    signed_by: SignedBy = "unchecked"
    signer: str = ""
    problems: tuple[str, ...] = ()

    @property
    def vouched(self) -> bool:
        """Return True if the account that is paid signed it, or a key that the policy trusts."""
        return self.signed_by in ("payee", "trusted")

    def judged(self, signed_by: SignedBy, signer: str, *problems: str) -> Statement:
        """Return the same statement with what was found about its signature.

        Args:
            signed_by: Who signed.
            signer: The address or the key that signed.
            problems: What could not be checked.
        """
        return replace(self, signed_by=signed_by, signer=signer, problems=(*self.problems, *problems))

    def doubted(self, problems: tuple[str, ...]) -> Statement:
        """Return the same statement with further problems.

        Args:
            problems: Disagreements with the payment, one line each.
        """
        return replace(self, problems=(*self.problems, *problems))

    def __hash__(self) -> int:
        return hash((self.format, self.signature))


def facts_of(statement: Statement) -> list[Any]:
    """Return a statement as it is written into a ledger's row."""
    payload = dict(statement.payload)
    return [
        statement.format, payload, statement.signature, statement.signed_by, statement.signer, [*statement.problems]
    ]  # fmt: skip


def statement_of(facts: list[Any]) -> Statement:
    """Read what ``facts_of`` wrote."""
    form, payload, signature, signed_by, signer, problems = facts
    return Statement(form, payload, signature, signed_by, signer, tuple(problems))
