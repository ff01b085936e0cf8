"""One hold, one word on its money: in the error, the outcome, ``holds``, ``history``, and what a pickle keeps of them.

Each way to go wrong of the sandbox is an end; so are refusals, approvals, write-offs, and what the chain says later.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest

from x402_client import Buyer, Hold, Outcome, Policy, errors, outcome
from x402_client.httpx import wrap
from x402_client.sandbox import FAULTS, Sandbox


@pytest.fixture(scope="module")
def seller() -> Iterator[Sandbox]:
    with Sandbox(slow=0.2, redeliver=False) as seller:
        yield seller


Heard = tuple[Outcome | None, errors.X402Error | None]


def end(
    client: httpx.Client, method: str, url: str, read: bool = True
) -> tuple[Outcome | None, errors.X402Error | None]:
    """Make a request; return what an application hears of the money."""
    try:
        with client.stream(method, url) as response:
            if read:
                response.read()
        return outcome(response), None
    except Exception as failure:
        return outcome(failure), errors.find(failure)


def check(buyer: Buyer, heard: Outcome | None, error: errors.X402Error | None) -> str:
    """All that is said of the hold is the same. Return it."""
    if error is None and heard is None:
        return "free"
    said, hold = (error.money, error.hold) if error is not None else (heard.money, heard.hold)  # type: ignore[union-attr]
    copies: list[Hold | None] = [hold]
    copies += [
        getattr(pickle.loads(pickle.dumps(thing)), "hold", None) for thing in (error, heard) if thing is not None
    ]
    known = (*buyer.holds(), *buyer.history())
    copies += [one for one in known if hold is not None and one.id == hold.id]
    assert {one.money for one in copies if one is not None} <= {said}
    if error is not None:  # an outcome is there if a payment of this call is out, and says what the error says
        assert (heard is not None) is (said != "untouched")
        assert heard is None or (heard.money, heard.hold) == (said, hold)
    if hold is not None and said != "untouched":
        assert hold.id in {one.id for one in known}
    return said


#: Time-outs of twenty seconds pass in it.
_SLOW = "dripped-402"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "fault", [pytest.param(one, marks=[pytest.mark.slow] if one == _SLOW else []) for one in sorted(FAULTS)]
)
def test_at_every_end(seller: Sandbox, fault: str, method: str) -> None:
    buyer = seller.buyer(Policy(per_request="1", per_day="5", check_funds=True), settle_timeout=2)
    url = seller.sell(f"/{fault}-{method}", "0.01", fault=fault)
    with wrap(httpx.Client(timeout=1), buyer) as client:
        for _ in range(2):  # the second presents the payment of the first, where that is unresolved
            said = check(buyer, *end(client, method, url))
            assert said in ("free", "untouched", "held", "spent", "unknown")
        for hold in buyer.holds():
            assert hold.money in ("held", "spent", "unknown")
            written = buyer.write_off(hold)
            [row] = [row for row in buyer.history() if row.id == hold.id]
            assert (row.money, row.state) == (written.money, "written_off") == ("spent", "written_off")


def test_a_body_that_is_left_and_one_that_is_read(seller: Sandbox) -> None:
    buyer = seller.buyer(Policy(per_request="1"))
    with wrap(httpx.Client(), buyer) as client:
        for path in ("/left", "/read"):
            heard, error = end(client, "GET", seller.sell(path, "0.01"), read=path == "/read")
            assert check(buyer, heard, error) == "spent"
    assert buyer.holds() == ()


def test_while_it_is_asked_for_and_after_a_no(seller: Sandbox) -> None:
    seen: list[Any] = []

    def ask(approval: Any) -> bool:
        seen.extend(hold.money for hold in buyer.holds())
        return False

    buyer = seller.buyer(Policy(per_request="1"), approve=ask)
    with wrap(httpx.Client(), buyer) as client:
        heard, error = end(client, "GET", seller.sell("/asked", "0.01"))
    assert check(buyer, heard, error) == "untouched"
    assert seen == ["held"]
    assert error is not None
    assert error.hold is not None
    assert buyer.holds() == ()


def test_a_key_that_was_paid_before(seller: Sandbox) -> None:
    buyer = seller.buyer(Policy(per_request="1"))
    for path, fault in (("/keyed", None), ("/keyed-without-proof", "receipt-missing")):
        url = seller.sell(path, "0.01", fault=fault)
        with wrap(httpx.Client(), buyer) as client, buyer.purchase(key=path):
            first = check(buyer, *end(client, "GET", url))
            heard, error = end(client, "GET", url)
        assert isinstance(error, errors.AlreadyPaid)
        assert check(buyer, heard, error) == first


def test_after_the_chain_has_spoken(seller: Sandbox) -> None:
    buyer = seller.buyer(Policy(per_request="1"), settle_timeout=2)
    url = seller.sell("/lost", "0.01", fault="drop-after-settling")
    with wrap(httpx.Client(timeout=1), buyer) as client:
        check(buyer, *end(client, "POST", url))
        check(buyer, *end(client, "POST", url))
    [hold] = buyer.holds()
    assert hold.money in ("spent", "unknown")


def unresolved(buyer: Buyer, client: httpx.Client, url: str) -> errors.X402Error:
    with pytest.raises(errors.PaymentRejected) as rejected:
        client.get(url)
    return rejected.value


def test_an_error_that_another_wraps_has_the_same_outcome(seller: Sandbox) -> None:
    buyer = seller.buyer(Policy(per_request="1"))
    with wrap(httpx.Client(), buyer) as client:
        ours = unresolved(buyer, client, seller.sell("/wrapped", "0.01", fault=["402-again"] * 9))
        try:
            raise RuntimeError("of an SDK") from ours
        except RuntimeError as outer:
            found = outcome(outer)
        assert found is not None
        assert (found, found.money, found.hold.nonce, found.offer) == (
            outcome(ours),
            "held",
            ours.hold.nonce,
            ours.offer,
        )  # type: ignore[union-attr]
        with pytest.raises(errors.TooExpensive) as later:
            client.get(f"{seller.url}/yacht")
        later.value.__cause__ = ours  # another call's
        assert outcome(later.value) is None


def test_a_purchase_is_given_up_by_its_id_too(seller: Sandbox) -> None:
    buyer = seller.buyer(Policy(per_request="1"))
    with wrap(httpx.Client(), buyer) as client:
        for number in range(3):
            unresolved(buyer, client, seller.sell(f"/id{number}", "0.01", fault=["402-again"] * 9))
    first, second, third = (hold.id for hold in buyer.holds())
    assert buyer.write_off(first).id == first
    assert buyer.write_off(second[:12].upper()).id == second
    assert anyio.run(buyer.awrite_off, third).id == third
    for name in ("abc", first, "", "0123456789abcdef"):
        with pytest.raises(errors.PaymentRefused, match="No open purchases go by") as refused:
            buyer.write_off(name)
        assert refused.value.money == "untouched"
    for wrong in (None, 3):
        with pytest.raises(errors.ConfigurationError, match="takes a purchase, as"):
            buyer.write_off(wrong)  # type: ignore[arg-type]
