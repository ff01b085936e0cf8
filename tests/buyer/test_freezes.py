"""Freezes: what is stopped can be seen, and lifting one tells what still is."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.adapters.cash_register import KEY
from x402_client import Buyer, Limit, Policy, Wallet, events
from x402_client.errors import Frozen
from x402_client.ledgers import check_frozen
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.model.holds import Attempt, Authorization, Purchase
from x402_client.model.hosts import Origin


def buyer(*frozen: str) -> tuple[Buyer, list[events.Event]]:
    told: list[events.Event] = []
    made = Buyer(Wallet(evm=KEY), ledger=":memory:", on_event=told.append)
    for host in frozen:
        made.freeze(host)
    return made, told


def unfreeze(made: Buyer, host: str, asynchronous: bool) -> tuple[str, ...]:
    return anyio.run(made.aunfreeze, host) if asynchronous else made.unfreeze(host)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("frozen", "lifted", "left", "remark"),
    [
        (["*"], "*", (), None),
        (["*", "a.example"], "a.example", ("*",), "All payments are still frozen; buyer.unfreeze('*') lifts it"),
        (
            ["*", "a.example"],
            "*",
            ("a.example",),
            "Payments to a.example are still frozen; buyer.unfreeze('a.example')",
        ),
        (
            ["*", "a.example", "b.example"],
            "*",
            ("a.example", "b.example"),
            "Payments to a.example and b.example are still frozen. To pay there again, lift both: "
            "buyer.unfreeze('a.example') and buyer.unfreeze('b.example')",
        ),
        (
            ["*", "a.example", "*.example"],
            "a.example",
            ("*", "*.example"),
            "All payments are still frozen, and payments to *.example besides. To pay there again, lift both: "
            "buyer.unfreeze('*') and buyer.unfreeze('*.example')",
        ),
        (["*.example", "A.example."], "a.EXAMPLE", ("*.example",), "Payments to *.example are still frozen"),
        (
            ["a.example:8443", "b.example"],
            "a.example",
            ("a.example:8443",),
            "'a.example' was not frozen under this name",
        ),
        (["x.a.example"], "*.a.example", ("x.a.example",), "'*.a.example' was not frozen"),
        (
            ["*.example"],
            "*.a.example",
            ("*.example",),
            "not frozen under this name. Payments to *.example are still frozen",
        ),
        (["a.example:8443"], "a.example:443", (), "was not frozen"),
        (["b.example"], "a.example", (), "'a.example' was not frozen under this name"),
        (["[::1]:8402"], "[::1]:8402", (), None),
        (["[::1]:8402", "::1"], "::1", ("[::1]:8402",), "still frozen"),
        (["bücher.example"], "xn--bcher-kva.example", (), None),
    ],
)
def test_lifting_one_says_what_is_left(
    frozen: list[str], lifted: str, left: tuple[str, ...], remark: str | None, asynchronous: bool
) -> None:
    made, told = buyer(*frozen)
    assert unfreeze(made, lifted, asynchronous) == left
    said = [str(event) for event in told if isinstance(event, events.Warned)]
    assert len(said) == (remark is not None)
    assert remark is None or remark in said[0]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("frozen", "said"),
    [
        ((), "a frozen allowance is lifted by its own unfreeze"),
        (("a.example", "*.dev"), r"Frozen are: '\*.dev', 'a.example'."),
    ],
)
def test_a_name_that_was_not_frozen_is_a_warning_where_nothing_listens(
    frozen: tuple[str, ...], said: str, asynchronous: bool
) -> None:
    made = Buyer(Wallet(evm=KEY), ledger=":memory:")
    for host in frozen:
        made.freeze(host)
    with pytest.warns(UserWarning, match=f"'typo.example' was not frozen under this name, so nothing.*{said}") as shown:
        assert unfreeze(made, "typo.example", asynchronous) == ()
    assert {one.filename for one in shown} == {__file__} or asynchronous
    for host in frozen:
        unfreeze(made, host, asynchronous)


@pytest.mark.parametrize(
    "host", ["*", "a.example", "*.example", "a.example:8443", "[::1]:8402", "127.1", "bücher.example"]
)
def test_what_is_frozen_is_listed_and_stops_what_it_names(host: str) -> None:
    made, _ = buyer(host)
    [named] = made.freezes()
    assert anyio.run(made.afreezes) == (named,)
    places: dict[str, Any] = {
        "*": ("any.example", 443), "*.example": ("a.example", 443), "a.example:8443": ("a.example", 8443),
        "[::1]:8402": ("::1", 8402), "127.1": ("127.0.0.1", 80),
    }  # fmt: skip
    origin = Origin.of("https", *places.get(host, (host, 443)))
    with pytest.raises(Frozen):
        check_frozen(made.freezes(), Purchase("1", "1", False, "GET", f"{origin}/", origin))
    assert made.unfreeze(named) == made.freezes() == ()


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("known_by", ["nothing", "the policy", "an open payment", "a payment"])
@pytest.mark.parametrize("frozen", ["reports", "Reports", "mcp:reports", "*", "other", "reports:443"])
def test_a_freeze_by_the_bare_name_of_a_server_says_that_the_server_goes_on(
    frozen: str, known_by: str, asynchronous: bool
) -> None:
    """The bare name is that of a host, as good as any, so the freeze holds as it is written."""
    hosts: dict[str, Limit | str] = {"mcp:reports": Limit(per_day="1")} if known_by == "the policy" else {}
    told: list[events.Event] = []
    made = Buyer(Wallet(evm=KEY), Policy(per_day="5", hosts=hosts), ledger=":memory:", on_event=told.append)
    if "payment" in known_by:
        attempt = Attempt()
        hold: Any = made.ledger.reserve(order(purchase(host="mcp:reports")), attempt)
        made.ledger.record(hold, Authorization("0x1", "0x2", 2**33, ("", "")))
        if known_by == "a payment":
            made.ledger.close(hold, "spent", None)
        attempt.end()
    anyio.run(made.afreeze, frozen) if asynchronous else made.freeze(frozen)
    said = [str(event) for event in told if isinstance(event, events.Warned)]
    meant = known_by != "nothing" and frozen.lower() == "reports"
    assert ["MCP server of that name is 'mcp:reports'" in one for one in said] == [True] * meant
    assert made.freezes() == (frozen.lower(),)
