"""The ``Policy`` that says what may be paid, and ``admit``, which refuses hosts. Pure: no I/O, clock, randomness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Never, Self

from ..errors import HostNotAllowed
from ..model.budgets import Cap
from ..model.hosts import Origin, Pattern
from ..model.keywords import keywords_only, takes_nothing, unexpected
from ..model.money import Amount, Money, Token
from ..model.networks import short_name
from ..model.offers import line
from ..model.sign_in import SignInMode
from . import checks, contradictions
from .checks import HostRule
from .limits import HOST_CURES, LIMIT_KEYWORDS, Amounts, Limit, same_request_limits, sign_in_mode
from .toml_words import in_words

if TYPE_CHECKING:
    from os import PathLike


class Policy:
    """Limits and choices. What is not set is not limited, but a policy needs at least one limit.

    A policy without any limit is a ConfigurationError. Amounts are US dollars unless a currency is named. The budgets
    of every entry of ``hosts`` that matches come on top of the overall ones. The most exact entry that sets a
    ``per_request`` replaces the overall one.

    Args:
        per_request: The most that one payment may cost. Default: no limit.
        per_minute: The most that may be spent in any minute. Default: no limit.
        per_hour: The most that may be spent in any hour. Default: no limit.
        per_day: The most that may be spent in any 24 hours. Default: no limit.
        per_month: The most that may be spent in any 30 days. Default: no limit.
        total: The most that may ever be spent. Default: no limit.
        max_payments: The most payments in a window, as in ``"30/minute"``, or several of these. Default: no limit.
        same_request: The most payments for the same request in a window, as in ``"5/hour"``, or several of these. The
            next one asks the approver, or is refused. Default: no limit.
        hosts: Rules by host, each a ``Limit`` or ``"deny"``, as in ``{"api.example.com": Limit(per_hour="2"),
            "bad.example": "deny"}``. ``"*.example.dev"`` stands for every name below it. Default: none.
        only_listed_hosts: True pays hosts in ``hosts`` alone. Default: False.
        networks: The networks to pay on, in order of preference, as in ``["base", "solana"]``. Default: every network.
        assets: The tokens to pay with, in order of preference, by symbol or address, as in ``["USDC"]``. Default: every
            token that the buyer knows.
        tokens: Tokens that you vouch for, beside those that ship with the package. Default: none.
        pay_to: The only addresses that may be paid. Default: any.
        approve_above: The price above which ``Buyer(approve=...)`` is asked first. Default: it is asked about each.
        accept_loss: The price up to which a payment that brought nothing is given up without asking. Default: zero.
        pay_ahead: True pays with the first request where the terms of the same thing are known. Default: False.
        http_hosts: Hosts, other than this machine, that may be paid over plain http. Default: none.
        validity: The most seconds that a signature is valid, a whole number from 60 to 86400. Default: 600.
        allow_zero: True signs payments of zero too. Default: False.
        check_funds: True looks on the chain, before signing, whether the wallet has the money. Default: False.
        upto: The highest ceiling of the scheme ``upto`` that is signed, as in ``"0.05"``: the seller says the price
            after its work. The ceiling counts until the chain shows what was taken. Default: none is signed.
        permits: True signs a permit (EIP-2612) of exactly the amount, where Permit2 has no allowance and the seller
            takes one. False signs none. Default: True.
        sign_in: Where a seller's sign-in challenge (sign-in-with-x) is signed before anything is paid: ``"always"``,
            ``"never"``, or ``"paid"``, which is where this wallet has bought from the seller before, or where nothing
            else is asked for. It costs nothing, and tells the seller the wallet's address. Default: ``"paid"``.
        seller_keys: Keys whose signature on offers and receipts (offer-receipt) you trust, beside that of the account
            that is paid: EVM addresses, ``did:key:...``, ``did:jwk:...`` or ``did:web:...``. The document of a
            ``did:web`` is fetched only if it is listed here. Default: none.
    """

    #: True if it was read from a file: what is said of it is said in TOML's words.
    of_toml: bool = False

    @keywords_only('Policy(per_request="0.10", per_day="5")')
    def __init__(
        self,
        *,
        per_request: Amounts | None = None,
        per_minute: Amounts | None = None,
        per_hour: Amounts | None = None,
        per_day: Amounts | None = None,
        per_month: Amounts | None = None,
        total: Amounts | None = None,
        max_payments: str | Iterable[str] | None = None,
        same_request: str | Iterable[str] | None = None,
        hosts: Mapping[str, Limit | str] | None = None,
        only_listed_hosts: bool = False,
        networks: Iterable[str] | None = None,
        assets: Iterable[str] | None = None,
        tokens: Iterable[Token] = (),
        pay_to: str | Iterable[str] | None = None,
        approve_above: Amounts | None = None,
        accept_loss: Amount = "0",
        pay_ahead: bool = False,
        http_hosts: Iterable[str] = (),
        validity: int = 600,
        allow_zero: bool = False,
        check_funds: bool = False,
        upto: Amounts | None = None,
        permits: bool = True,
        sign_in: SignInMode = "paid",
        seller_keys: Iterable[str] = (),
        **further: Never,
    ) -> None:
        if not further.keys() <= set(LIMIT_KEYWORDS):
            raise unexpected("Policy", further.keys() - set(LIMIT_KEYWORDS), _keywords_of(Policy), HOST_CURES)
        self.overall: Limit = Limit(
            per_request=per_request, per_minute=per_minute, per_hour=per_hour, per_day=per_day, per_month=per_month,
            total=total, max_payments=max_payments, upto=upto, **further,
        )  # fmt: skip
        self._same_request = same_request_limits(same_request)
        self._hosts = checks.hosts(hosts or {})
        self.only_listed_hosts: bool = checks.flag("only_listed_hosts", only_listed_hosts)
        self.networks: tuple[str, ...] | None = None if networks is None else checks.networks(networks)
        self.tokens: tuple[Token, ...] = tuple(checks.token(t) for t in checks.as_list("tokens", tokens))
        self.assets: tuple[str, ...] | None = None if assets is None else checks.assets(assets, self.tokens)
        self.pay_to: frozenset[str] | None = None if pay_to is None else frozenset(checks.pinned(pay_to))
        self.approve_above: Limit | None = (
            None if approve_above is None else checks.threshold("approve_above", approve_above)
        )
        self.accept_loss: Money = checks.amount("accept_loss", accept_loss)
        self.pay_ahead: bool = checks.flag("pay_ahead", pay_ahead)
        self.http_hosts: tuple[Pattern, ...] = checks.patterns("http_hosts", http_hosts)
        self._http_hosts = frozenset(self.http_hosts)
        self.validity: int = checks.validity(validity)
        self.allow_zero: bool = checks.flag("allow_zero", allow_zero)
        self.check_funds: bool = checks.flag("check_funds", check_funds)
        self.permits: bool = checks.flag("permits", permits)
        self.sign_in: SignInMode = sign_in_mode(sign_in)
        self.seller_keys: tuple[str, ...] = checks.seller_keys(seller_keys)
        contradictions.check_whole(self.overall, self._hosts, self.pay_ahead)
        self._built = True

    def __setattr__(self, name: str, value: object) -> None:
        if getattr(self, "_built", False):
            raise AttributeError("A Policy does not change; make a new one, and a new Buyer with it.")
        super().__setattr__(name, value)

    def but(self, **changes: Any) -> Self:
        """Return a policy that differs in these keywords of ``Policy``. All are checked.

        Args:
            changes: Keywords of ``Policy``, with their new values.
        """
        made = type(self)(**{**self._keywords(), **changes})
        if changes.keys().isdisjoint(LIMIT_KEYWORDS):
            vars(made)["overall"] = self.overall
        return made

    def _keywords(self) -> dict[str, Any]:
        """Return the keywords that make this policy again."""
        same = (
            "only_listed_hosts", "networks", "assets", "tokens", "pay_to", "accept_loss", "pay_ahead", "validity",
            "allow_zero", "check_funds", "permits", "sign_in", "seller_keys",
        )  # fmt: skip
        return {
            **self.overall.keywords,
            **{name: getattr(self, name) for name in same},
            "same_request": [f"{most}/{window}" for window, most in self._same_request.items()] or None,
            "hosts": {str(pattern): rule for pattern, rule in self._hosts.items()},
            "http_hosts": [str(pattern) for pattern in self.http_hosts],
            "approve_above": None if self.approve_above is None else self.approve_above.keywords["per_request"],
        }

    @property
    def remarks(self) -> Iterator[str]:
        """Yield what looks like a mistake here and is taken as written. A buyer tells it when it is built."""
        yield from in_words(contradictions.suspicious(self.overall, self._hosts), self.of_toml)

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Self:
        """Read a policy from a TOML file.

        Its keys and tables are named as the keywords of ``Policy``, ``Limit`` and ``Token``. All mistakes in it are
        reported, with their lines and fields, in one ConfigurationError.

        Args:
            path: The file's path.
        """
        from .toml import read_policy

        return read_policy(path, cls)

    @classmethod
    @takes_nothing('did you mean Policy.from_file("policy.toml")?')
    def from_env(cls) -> Self:
        """Read the policy file that X402_POLICY names, as the command does.

        Without that variable it is the careful default: ten cents per request, five dollars per day.
        """
        from .toml import policy_of_environment

        return policy_of_environment(cls) or cls(**CAREFUL._keywords())

    @property
    def hosts(self) -> Mapping[Pattern, HostRule]:
        """Return the rules for hosts, to look at. An entry cannot be added: it would have no effect."""
        return MappingProxyType(self._hosts)

    @property
    def same_request(self) -> Mapping[str, int]:
        """Return the most payments for the same request, by window. Empty: it is not limited."""
        return MappingProxyType(self._same_request)

    def rule(self, origin: Origin) -> tuple[Pattern, HostRule] | None:
        """Return the most exact entry of ``hosts`` for an origin. It alone decides "deny".

        Args:
            origin: The scheme, host and port that ask for money.
        """
        return next(iter(self.rules(origin)), None)

    def rules(self, origin: Origin) -> list[tuple[Pattern, HostRule]]:
        """Return every entry of ``hosts`` for an origin, the most exact one first.

        Args:
            origin: The scheme, host and port that ask for money.
        """
        if not self._hosts:
            return []
        known = Pattern.all_for(origin.host, origin.port)
        return [(pattern, self._hosts[pattern]) for pattern in known if pattern in self._hosts]

    def limits(self, origin: Origin) -> list[tuple[str, Limit]]:
        """Return every limit that counts for an origin, with its account: hosts, the most exact first, then overall.

        Args:
            origin: The scheme, host and port that ask for money.
        """
        # "Every matching entry of `hosts` counts (a wildcard's budget holds for every name below it)."
        own = [(str(pattern), rule) for pattern, rule in self.rules(origin) if isinstance(rule, Limit)]
        return [*own, ("", self.overall)]

    def per_request(self, origin: Origin, currency: str) -> Money | None:
        """Return the most that one payment to this origin may cost, or None if there is no such limit.

        Args:
            origin: The scheme, host and port that ask for money.
            currency: The currency of the payment.
        """
        return _per_request(self, origin, currency)

    def decides_per_request(self, origin: Origin, currency: str) -> str:
        """Return the entry of ``hosts`` whose ``per_request`` decides; "" for the overall one.

        Args:
            origin: The scheme, host and port that ask for money.
            currency: The currency of the payment.
        """
        set_by = (account for account, limit in self.limits(origin) if limit.per_request(currency) is not None)
        return next(set_by, "")

    def upto(self, origin: Origin, currency: str) -> Money | None:
        """Return the highest ceiling that is signed for this origin. None: no ceiling is.

        Args:
            origin: The scheme, host and port that ask for money.
            currency: The currency of the payment.
        """
        # "The most exact entry that sets one decides `per_request` and `upto`, for each currency."
        amounts = (limit.upto(currency) for _, limit in self.limits(origin))
        return next((most for most in amounts if most is not None), None)

    def caps(self, origin: Origin, currency: str) -> tuple[Cap, ...]:
        """Return every budget that a payment to this origin has to fit.

        Args:
            origin: The scheme, host and port that ask for money.
            currency: The currency of the payment.
        """
        return _caps(self, origin, currency)

    def limits_currency(self, origin: Origin, currency: str) -> bool:
        """Return True if some amount limits this currency here. A currency without a limit is not paid in.

        Args:
            origin: The scheme, host and port that ask for money.
            currency: The currency of the payment.
        """
        return _limits_currency(self, origin, currency)

    def signs_in(self, origin: Origin) -> SignInMode:
        """Return where the sign-in challenges of an origin are signed. The most exact entry that says so decides.

        Args:
            origin: The scheme, host and port that made the challenge.
        """
        for _, limit in self.limits(origin):
            if limit.sign_in is not None:
                return limit.sign_in
        return self.sign_in

    def pays_any_body_ahead(self, origin: Origin) -> bool:
        """Return True if the price of an origin goes by no body. The most exact entry that says so decides.

        Args:
            origin: The scheme, host and port that are asked.
        """
        return next((one.pay_ahead for _, one in self.limits(origin) if one.pay_ahead), None) == "any body"

    def needs_approval(self, price: Amount) -> bool:
        """Return True if the approver has to be asked before this much is paid.

        Args:
            price: The price of the payment.
        """
        if self.approve_above is None:
            return False
        price = price if isinstance(price, Money) else Money(price)
        threshold = self.approve_above.per_request(price.currency)
        return threshold is None or price > threshold

    def accepts_loss(self, price: Money) -> bool:
        """Return True if a payment that brought nothing is given up without asking.

        Args:
            price: The price of the payment.
        """
        most = self.accept_loss.as_limit_on(price.currency)
        return most is not None and price <= most

    def __repr__(self) -> str:
        if not hasattr(self, "_built"):
            return "<Policy, half built>"  # for tools that show variables
        listed = {
            "same_request": [f"{most}/{window}" for window, most in self._same_request.items()],
            "networks": self.networks and [short_name(network) for network in self.networks],
            "assets": self.assets and list(self.assets),
            "hosts": {str(pattern): rule for pattern, rule in self.hosts.items()},
            "only_listed_hosts": self.only_listed_hosts,
            "sign_in": "" if self.sign_in == "paid" else self.sign_in,
        }
        return line(f"Policy({', '.join([*self.overall.shown, *(f'{k}={v!r}' for k, v in listed.items() if v)])})")


def _keywords_of(kind: type) -> list[str]:
    from inspect import signature  # only mistakes need it

    return [name for name, one in signature(kind).parameters.items() if one.kind is one.KEYWORD_ONLY]


# Cached: a policy does not change, so its answer about a place is worked out once.


@lru_cache(maxsize=256)
def _per_request(policy: Policy, origin: Origin, currency: str) -> Money | None:
    # "The most exact entry that sets one decides `per_request` [...], for each currency."
    amounts = (limit.per_request(currency) for _, limit in policy.limits(origin))
    return next((most for most in amounts if most is not None), None)


@lru_cache(maxsize=256)
def _limits_currency(policy: Policy, origin: Origin, currency: str) -> bool:
    limits = [limit for _, limit in policy.limits(origin)]
    if any(limit.limits_currency(currency) for limit in limits):
        return True
    # If only payments are counted, any currency may be paid. If nothing at all is limited, none may.
    return not any(limit.currencies for limit in limits) and not all(limit.empty for limit in limits)


@lru_cache(maxsize=256)
def _caps(policy: Policy, origin: Origin, currency: str) -> tuple[Cap, ...]:
    return tuple(cap for account, limit in reversed(policy.limits(origin)) for cap in limit.caps(account, currency))


def admit(policy: Policy, origin: Origin, came_from: Origin | None = None) -> None:
    """Refuse the places we do not pay.

    ``came_from`` is the origin where the call began, if a redirect led elsewhere.
    """
    found = policy.rule(origin)
    listed = 'list it in Policy(hosts={"' + origin.host + '": Limit(...)}) if you mean to pay it'
    if found and found[1] == "deny":
        entry = str(found[0])
        raise HostNotAllowed(f"{origin} is denied by the policy's hosts entry {entry!r}. Nothing was paid.", host=entry)
    if found is None and policy.only_listed_hosts:
        raise HostNotAllowed(f"{origin} is not among the policy's hosts; {listed}. Nothing was paid.")
    if found is None and came_from is not None and not (came_from == origin or _secured(came_from, origin)):
        raise HostNotAllowed(f"A redirect led from {came_from} to {origin}; {listed}. Nothing was paid.")
    if origin.is_private:
        return
    if policy._http_hosts.isdisjoint(Pattern.all_for(origin.host, origin.port)):
        where = ", and its connection was not seen to end on this machine" if origin.named_loopback else ""
        raise HostNotAllowed(
            f"{origin} is not https{where}, so anybody on the way could change the terms; "
            f"Policy(http_hosts=[{origin.host!r}]) allows it. Nothing was paid."
        )


def _secured(came_from: Origin, origin: Origin) -> bool:
    """Return True for a step from http to https on one host and the usual ports.

    It is the commonest redirect there is, and only for the better.
    """
    return came_from == Origin("http", origin.host, 80) and origin == Origin("https", origin.host, 443)


#: The policy of a buyer that was given none.
CAREFUL = Policy(per_request="0.10", per_day="5")
