"""A deadline of the caller's that a signal handler raises amid a tool's call: the result tells no false money."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Any

import httpx
import pytest

from tests.guards.striking import Striking, raising
from x402_client import Policy
from x402_client.agents import tools
from x402_client.sandbox import Sandbox


class SoftLimit(Exception):
    """What a job queue raises."""


#: Of points in this package's own code, one in so many is tried.
EACH = 37
#: Failures of the caller's own. None is told as one of ours, which another place would have to mend.
STOPS = [SoftLimit, TimeoutError]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("stop", STOPS)
def test_it_is_told_untouched_where_nothing_was_sent(stop: type[Exception]) -> None:
    with Sandbox(redeliver=True) as sandbox, raising(stop):
        number, told = 0, list[str]()
        while True:
            path = f"/{number}"
            url = sandbox.sell(path, "0.01", chains="evm")
            with closing(sandbox.buyer(Policy(per_request="0.1"))) as buyer, httpx.Client() as client:
                fetch = tools(client, buyer, hosts=["127.0.0.1"]).paid_fetch
                striking = Striking(number, "x402_client/")
                found: dict[str, Any] = {"ok": True}
                with suppress(stop), striking:  # it comes out where it strikes before the first step, or after the last
                    found = fetch(url)
                sent = [one for one in sandbox.visits if one.path == path and one.payment]
                if not striking.reached:
                    break
                if not found["ok"]:
                    assert found["error"] == stop.__name__, (number, found)
                    signed = [hold for hold in buyer.holds() if hold.state == "signed"]
                    told += _told(found, bool(sent), bool(signed))
            number += EACH
    assert told.count("untouched") > 5


def _told(found: dict[str, Any], sent: bool, signed: bool) -> list[str]:
    if sent:
        assert found["money"] != "untouched", found
    elif not signed:
        assert found["money"] == "untouched", found
        assert "Nothing was paid." in found["says"]
        assert found["next"] == ("repeat" if found["error"] == "TimeoutError" else "ask a person")
    return [found["money"]]


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("is_sold", [True, False])
def test_a_failure_of_no_librarys_own_is_told_by_whether_a_payment_left(stop: type[Exception], is_sold: bool) -> None:
    """Where the answer to a payment was delivered before, the ledger holds nothing that would tell of it."""
    with Sandbox() as sandbox, httpx.Client() as client:
        url = sandbox.sell("/a", "0.01", chains="evm") if is_sold else f"{sandbox.url}/none"
        buyer = sandbox.buyer(Policy(per_request="0.1"))
        fetch = tools(client, buyer, hosts=["127.0.0.1"]).paid_fetch
        send = client.send

        def fails(*given: Any, **settings: Any) -> Any:
            response = send(*given, **settings)
            response.read()
            raise stop("of a hook's")

        client.send = fails  # type: ignore[method-assign]
        found = fetch(url)
        assert (found["error"], found["money"]) == (stop.__name__, "unknown" if is_sold else "untouched")
        buyer.close()
