"""The question that a person is asked before a payment, and the kinds of refusal that end without a payment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...core.call import HttpRequest
from ...model.counts import counted
from ...model.networks import short_name
from ...model.offers import words
from ...model.signing import Approval
from ..advice import Next
from ..saying import PAY_YOURSELF

_DESCRIPTION, _URL, _ADDRESS = 200, 1_000, 100
_FIELD = "pay"


@dataclass(frozen=True, slots=True)
class Question:
    """A question to the user of a host: agree to one payment?

    Attributes:
        terms: What is agreed to. A yes to other terms is none to these.
        price: The price, in words.
        host: The host that asks for money.
        text: The question as a person reads it.
    """

    terms: tuple[str, ...]
    price: str
    host: str
    text: str

    @classmethod
    def about(cls, approval: Approval, left: str | None, asked: str = "") -> Question:
        """Return the question about a payment.

        Args:
            approval: The question of the buyer.
            left: What remains of the budgets after it.
            asked: The URL that the model asked for. Default: it is not known.
        """
        offer, price = approval.offer, str(approval.price)
        host, url, led = words(approval.host, _ADDRESS), approval.url, ""
        if asked and HttpRequest.of("GET", asked).shown == url:
            url = asked.partition("#")[0]  # the buyer keeps queries to itself, and a person has to see what is bought
        elif asked:
            led = f"It was led there from {_shown(asked)}"
        token = offer.token.symbol if offer.token else words(offer.asset, _ADDRESS)
        lines = [
            f"Pay {price} to {host}?",
            f"For: {words(approval.method, 20)} {_shown(url)}",
            *([led] if led else []),
            f"In {token} on {short_name(offer.network)}, to {words(offer.pay_to, _ADDRESS)}",
        ]
        lines += [_TAKEN_FIRST] if offer.upfront else []
        if approval.description:
            said = words(approval.description, _DESCRIPTION)
            lines.append(f'The seller says, in a stranger\'s words that were not checked: "{said}"')
        lines += [f"Then left: {left}"] if left else []
        terms = (
            approval.method,
            approval.url,
            host,
            price,
            str(offer.amount),
            offer.network,
            offer.asset,
            offer.pay_to,
            *(("upfront",) if offer.upfront else ()),
        )
        return cls(terms, price, host, "\n".join(lines))

    @property
    def schema(self) -> dict[str, Any]:
        """Return the form that the host shows: one box, which has to be ticked."""
        box = {"type": "boolean", "title": f"Pay {self.price}", "description": "Nothing is paid without a yes."}
        return {"type": "object", "properties": {_FIELD: box}, "required": [_FIELD]}


def _shown(url: str) -> str:
    more = len(url) - _URL
    return words(url, _URL) + (f" ({counted(more, 'character')} more)" if more > 0 else "")


def is_yes(action: Any, content: Any) -> bool:
    """Return True for a form that was accepted with its box ticked. All else is a no."""
    return action == "accept" and isinstance(content, dict) and content.get(_FIELD) is True


_TAKEN_FIRST = "This seller takes the money before it delivers: it is spent also if nothing comes"


@dataclass(frozen=True, slots=True)
class NoApproval:
    """A reason why a payment was not approved, and what the model does next."""

    says: str
    next: Next


def declined(question: Question) -> NoApproval:
    """Return the reason after a no."""
    return NoApproval(
        f"Your user was asked to pay {question.price} to {question.host} and did not agree. Nothing was paid. Ask "
        "again only if your user wishes it.",
        "stop",
    )


def no_answer(question: Question) -> NoApproval:
    """Return the reason after a question that stayed open for too long."""
    return NoApproval(
        f"Your user was asked to pay {question.price} to {question.host}, and no answer came in time. Nothing was "
        "paid.",
        "ask a person",
    )


#: Why no person is asked by a host without forms.
CANNOT_ASK = "this host cannot ask one: it does not support elicitation"


def cannot_ask(question: Question) -> NoApproval:
    """Return the reason where the host has no way to ask."""
    return NoApproval(
        f"{question.host} asks {question.price}, which a person has to approve, and {CANNOT_ASK}. Nothing was paid. "
        f"{PAY_YOURSELF}",
        "ask a person",
    )


def failed_to_ask(question: Question, failure: Exception) -> NoApproval:
    """Return the reason where the host failed to ask."""
    return NoApproval(
        f"{question.host} asks {question.price}, which a person has to approve, and the host could not ask one "
        f"({type(failure).__name__}). Nothing was paid.",
        "ask a person",
    )
