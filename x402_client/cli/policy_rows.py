"""Every setting of a policy, as lines for a person and as a document for a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ..model.counts import counted
from ..model.money import Money, Token
from ..model.networks import short_name
from ..policy.limits import LIMIT_KEYWORDS, Limit
from ..policy.policy import Policy
from ..policy.toml import POLICY
from ..signers.play_keys import takes_play_keys
from .money_labels import TEST_MONEY

#: Fields that hold a list of amounts.
_AMOUNTS = {*LIMIT_KEYWORDS, "approve_above"} - {"max_payments"}
#: The settings whose default is told by no line.
_USUAL_VALIDITY, _USUAL_SIGN_IN = 600, "paid"
_SIGN_INS = {
    "always": "each challenge is signed, before anything is paid",
    "never": "no challenge is signed",
    "paid": "a challenge is signed where something was bought before, or nothing else is asked for",
}
_AHEAD = {"any body": "any body is paid ahead", "same body": "the same body alone is paid ahead"}


def rows_of(policy: Policy) -> list[tuple[str, str]]:
    """Return what a policy allows, one name and value a line."""
    rows = [("overall", limits(policy.overall))]
    rows += [(str(host), "never paid" if rule == "deny" else limits(rule)) for host, rule in policy.hosts.items()]
    rows.append(("other hosts", "never paid" if policy.only_listed_hosts else "under the overall limits"))
    networks = policy.networks
    rows.append(("networks", "any" if networks is None else ", ".join(map(_network, networks)) or "none"))
    rows.append(("assets", "any that is known" if policy.assets is None else ", ".join(policy.assets) or "none"))
    rows += [("also known", _token(token)) for token in policy.tokens]
    return [*rows, *_choices(policy), *_means(policy)]


def _network(network: str) -> str:
    return short_name(network) + (f" ({TEST_MONEY})" if takes_play_keys(network) else "")


def _token(token: Token) -> str:
    return f"{token.symbol or token.address} on {short_name(token.network)}, which counts as {token.currency}"


def _choices(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield which payments are made, and which need a word of the user's."""
    if policy.same_request:
        counted = (f"{most} per {window}" for window, most in policy.same_request.items())
        yield "same request", f"at most {', '.join(counted)}; then asks, or refuses"
    if policy.pay_to is not None:
        yield "pays only", ", ".join(sorted(policy.pay_to)) or "no address"
    if policy.http_hosts:
        yield "plain http", f"paid at {', '.join(map(str, policy.http_hosts))}"
    if policy.pay_ahead:
        yield "pays ahead", "what the same thing cost when it was last delivered"
    if policy.approve_above is not None:
        yield "asks above", limits(policy.approve_above).removeprefix("up to ").removesuffix(" a request")
    if policy.accept_loss:
        yield "gives up", f"payments of up to {policy.accept_loss} that brought nothing, without asking"
    if policy.allow_zero:
        yield "zero", "payments of zero are signed, too"


def _means(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield how is signed, and whose word is believed."""
    if policy.validity != _USUAL_VALIDITY:
        yield "validity", f"a signature is valid for {counted(policy.validity, 'second')} at most"
    if policy.check_funds:
        yield "funds", "looked at on the chain before anything is signed"
    if not policy.permits:
        yield "permits", "none is signed: Permit2 needs an allowance that is there"
    if policy.sign_in != _USUAL_SIGN_IN:
        yield "sign-ins", _SIGN_INS[policy.sign_in]
    if policy.seller_keys:
        yield "trusts", f"what is signed by {', '.join(policy.seller_keys)}"


def limits(limit: Limit) -> str:
    """Return a limit in words."""
    currencies = sorted(limit.currencies, key=lambda currency: (currency != "USD", currency))
    each = [limit.per_request(currency) for currency in currencies]
    parts = [f"up to {most} a request" for most in each if most is not None]
    parts += [f"ceilings up to {Money(most)}" for most in limit.keywords.get("upto", ())]
    caps = {str(cap): cap.currency is None for currency in currencies or ["USD"] for cap in limit.caps("", currency)}
    further = [_AHEAD[limit.pay_ahead]] if limit.pay_ahead else []
    further += [_SIGN_INS[limit.sign_in]] if limit.sign_in else []
    return ", ".join([*parts, *sorted(caps, key=caps.__getitem__), *further]) or "no limit of its own"


def document(policy: Policy) -> dict[str, Any]:
    """Return every field of a policy file, with its value here; None where none is set."""
    own = {
        **dict.fromkeys(LIMIT_KEYWORDS),
        **policy.overall.keywords,
        "same_request": [f"{most}/{window}" for window, most in policy.same_request.items()] or None,
        "hosts": policy.hosts,
        "approve_above": None if policy.approve_above is None else policy.approve_above.keywords["per_request"],
    }
    return {name: _field(name, own[name] if name in own else getattr(policy, name)) for name in POLICY}


def _field(name: str, value: Any) -> Any:
    """Return the value of a field as JSON has it: amounts with their currencies."""
    return [str(Money(one)) for one in value] if name in _AMOUNTS and value is not None else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Limit):
        return {name: _field(name, given) for name, given in value.keywords.items()}
    if isinstance(value, Token):
        return asdict(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
