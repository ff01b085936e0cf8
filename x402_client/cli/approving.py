"""The approver of the command: a person at the terminal, or the options --yes and --max."""

from __future__ import annotations

from ..buyer.buyer import Buyer
from ..model.budgets import left_in_words
from ..model.money import Money
from ..model.offers import words
from ..model.sandbox_settings import NOT_READ, is_unread
from ..model.signing import Approval
from . import wallets
from .buying import left
from .earlier import origin_of
from .exits import Code
from .money_labels import PAID_FIRST, network_name
from .own_words import in_own_words
from .screen import confirmed, err, facts, interactive, seller_text
from .too_expensive import as_option

#: What allows one more payment for the same request, where the options do not.
_ANOTHER = (
    "--yes and --max do not allow one more: a --key of its own for each purchase does, or a higher same_request in the "
    "--policy file, or your yes at a terminal, without --yes and --max."
)


class Approving:
    """An approver that is asked for every payment. ``problem`` and ``code`` say why it refused."""

    problem: str

    def __init__(self, yes: bool, most: Money | None) -> None:
        self.asks: bool = not yes and most is None
        self.problem = ""
        self.code: Code | None = None
        self._buyer: Buyer | None = None
        self._found: wallets.Found | None = None

    def ready(self, buyer: Buyer, found: wallets.Found) -> None:
        """Set the buyer and the wallet that the questions are about."""
        self._buyer, self._found = buyer, found

    def __call__(self, approval: Approval, /) -> bool:
        if self._found is not None and self._found.no_wallet:
            assert self._buyer is not None
            unread = is_unread((approval.offer,), self._buyer.policy.tokens)
            advice = in_own_words(NOT_READ) if unread else wallets.no_wallet()
            return self._no(f"{_priced(approval)} Nothing was paid. {advice}", Code.USAGE)
        if approval.repeats and not (self.asks and interactive()):
            return self._no(in_own_words(f"{approval.repeats} {_ANOTHER} Nothing was paid."))
        if not self.asks:
            return True
        if not interactive():
            return self._no(
                f"{_priced(approval)} There is no terminal to ask on; --yes pays within the policy, --max "
                f"{as_option(approval.price)} up to that much. Nothing was paid."
            )
        facts(self._facts(approval), err())
        return confirmed(f"Pay {approval.price}?") or self._no("You said no. Nothing was paid.")

    def _no(self, problem: str, code: Code = Code.REFUSED) -> bool:
        self.problem, self.code = problem, code
        return False

    def _facts(self, approval: Approval) -> list[tuple[str, str]]:
        assert self._buyer is not None
        offer = approval.offer
        token = offer.token.symbol if offer.token else words(offer.asset, 60)
        after = left(self._buyer, origin_of(approval.url), approval.price.currency)
        cost = f"up to {approval.price}" if offer.is_ceiling else f"{approval.price}"
        rows = [
            ("price", f"{cost}, in {token} on {network_name(offer.network, approval.price)}"),
            ("for", f"{approval.method} {approval.url}"),
            ("to", f"{words(offer.pay_to, 60)}, named by {approval.host}"),
        ]
        rows += [("note", f"it is {PAID_FIRST}")] if offer.upfront else []
        rows += [("again", approval.repeats)] if approval.repeats else []
        rows += [("they say", seller_text(approval.description))] if approval.description else []
        return rows + ([("then left", left_in_words(after))] if after else [])


def _priced(approval: Approval) -> str:
    upto = "up to " if approval.offer.is_ceiling else ""
    return f"{approval.host} asks {upto}{approval.price} for {approval.method} {approval.url}."
