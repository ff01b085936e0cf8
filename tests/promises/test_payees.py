"""Where we pay: hosts as they are connected to, one payment per call, and none to a host that did not ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.adapters.drivers import Driver
from tests.adapters.scripted_server import Exchange, Server
from x402_client import Limit, Policy, errors

from .hostile_seller import GOODS, Case, Till402, asking, offer, payments_of, terms

ASKING = asking(2, terms(2, offer()))
LIMITS: dict[str, Any] = {"per_request": "0.05", "per_day": "50"}


@pytest.fixture
def other() -> Iterator[Server]:
    with Server() as found:
        yield found


def to(url: str, status: int = 307) -> Any:
    return lambda exchange: exchange.answer(status, b"", [("Location", url)])


def asks_and_leads_on(server: Server, steps: int) -> list[str]:
    """Every hop asks for a payment, and what is paid for is the way to the next hop."""
    handed: list[str] = []

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        found = payments_of(exchange.seen)
        handed.extend(found)
        number = int(exchange.seen.path.rpartition("/")[2])
        if not found:
            ASKING(exchange)
        else:
            exchange.answer(307, b"", [("Location", f"/hop/{(number + 1) % steps}")])

    for number in range(steps):
        server.on(f"/hop/{number}", script)
    return handed


@pytest.mark.parametrize("steps", [1, 2, 21])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_loop_of_redirects_is_paid_once(shell: Driver, server: Server, steps: int, method: str) -> None:
    handed = asks_and_leads_on(server, steps)
    case = Case(shell, server)
    client = shell.client(case.buyer)
    with pytest.raises(errors.PaymentRejected, match="one call pays at most once"):
        client.request(method, server.url("/hop/0"), follow=True)
    assert len(handed) == 1
    assert len(case.signer.documents) == 1
    client.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("proves", [False, True])
def test_a_payment_stays_with_the_origin_that_asked(
    shell: Driver, server: Server, other: Server, status: int, proves: bool
) -> None:
    from tests.adapters.cash_register import Till

    receipts = [Till(2).receipt()] if proves else []
    away = lambda ex: ex.answer(status, b"", [("Location", other.url("/thief")), *receipts])  # noqa: E731
    till = Till402(ASKING, away)
    thief = Till402(lambda exchange: exchange.answer(200, b"thanks"))
    other.on("/thief", thief)
    case = Case(shell, server, policy=Policy(**LIMITS, hosts={"127.0.0.1": Limit(per_day="1")}))
    case.get(server.on("/case", till), follow=True)
    assert len(till.handed) == 1
    assert thief.handed == []
    assert [seen.path for seen in other.requests] == ["/thief"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_origin_is_paid_only_if_the_policy_lists_it(
    shell: Driver, server: Server, other: Server, status: int
) -> None:
    till = Till402(ASKING)
    url = other.on("/case", till)
    server.on("/from", to(url, status))
    case = Case(shell, server)
    with pytest.raises(errors.HostNotAllowed, match="A redirect led from"):
        case.get(server.url("/from"), follow=True)
    case.nothing_left(till)
    listed = Case(shell, server, policy=Policy(**LIMITS, hosts={f"127.0.0.1:{other.port}": Limit(per_day="1")}))
    assert listed.get(server.url("/from"), follow=True).content == GOODS
    listed.one_payment(till)


#: How a URL may be written, and the host that it means.
WRITTEN = {
    "as it is": "http://127.0.0.1:{port}/case",
    "with somebody else's name before it": "http://api.example.com@127.0.0.1:{port}/case",
    "with a name and a password": "http://api.example.com:443@127.0.0.1:{port}/case",
    "in capital letters": "http://LOCALHOST:{port}/case",
    "with the scheme in capitals": "HTTP://127.0.0.1:{port}/case",
    "with another name behind it": "http://127.0.0.1:{port}/case#@api.example.com",
    "with another name in its query": "http://127.0.0.1:{port}/case?@api.example.com/",
    "with a way back": "http://127.0.0.1:{port}/x/../case",
}


@pytest.mark.parametrize("url", WRITTEN.values(), ids=WRITTEN)
def test_hosts_are_what_is_connected_to(shell: Driver, server: Server, url: str) -> None:
    url = url.format(port=server.port)
    server.fallback = lambda ex: till(ex)
    for policy, allowed in (
        (Policy(**LIMITS, only_listed_hosts=True, hosts={"api.example.com": Limit(per_day="1")}), False),
        (Policy(**LIMITS, hosts={"127.0.0.1": "deny", "localhost": "deny"}), False),
        (
            Policy(
                **LIMITS, only_listed_hosts=True, hosts={"127.0.0.1": Limit(total="1"), "localhost": Limit(total="1")}
            ),
            True,
        ),
    ):
        till = Till402(ASKING)
        server.on("/case", till)
        server.on("/x/../case", till)
        case = Case(shell, server, policy=policy)
        if allowed:
            assert case.get(url).content == GOODS
            case.one_payment(till)
            continue
        with pytest.raises(errors.HostNotAllowed):
            case.get(url)
        case.nothing_left(till)


def test_a_port_is_part_of_the_place(shell: Driver, server: Server, other: Server) -> None:
    till = Till402(ASKING)
    policy = Policy(**LIMITS, only_listed_hosts=True, hosts={f"127.0.0.1:{other.port}": Limit(per_day="1")})
    case = Case(shell, server, policy=policy)
    with pytest.raises(errors.HostNotAllowed, match="is not among the policy's hosts"):
        case.get(server.on("/case", till))
    case.nothing_left(till)


def test_a_caller_that_pays_by_itself_is_left_alone(shell: Driver, server: Server) -> None:
    till = Till402(ASKING, ASKING)
    case = Case(shell, server)
    response = case.get(server.on("/case", till), headers={"X-PAYMENT": "my own"})
    assert response.status_code == 402
    assert till.handed == ["my own"]
    assert case.signer.documents == []


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_questions_are_not_paid(shell: Driver, server: Server, method: str) -> None:
    till = Till402(ASKING)
    case = Case(shell, server)
    client = shell.client(case.buyer)
    assert client.request(method, server.on("/case", till)).status_code == 402
    case.nothing_left(till)
    client.close()


#: Ways to write this machine that libraries read in one way or another, or not at all.
ODD = [
    "http://%31%32%37.0.0.1:{port}/case",
    "http://127.0.0.1%2e:{port}/case",
    "http://localhost.:{port}/case",
    "http://LocalHost:{port}/case",
    "http://\uff11\uff12\uff17.0.0.1:{port}/case",
    "http://127\u30020\u30020\u30021:{port}/case",
    "http://127.1:{port}/case",
    "http://2130706433:{port}/case",
    "http://0x7f.0.0.1:{port}/case",
    "http://[::ffff:127.0.0.1]:{port}/case",
    "http://127.0.0.1\\@api.example.com:{port}/case",
    "http://api.example.com\\@127.0.0.1:{port}/case",
    "http://api.example.com:80@127.0.0.1:{port}/case",
    "http://127.0.0.1:{port}\\.api.example.com/case",
    "http://api.example.com%40127.0.0.1:{port}/case",
    "http://127.0.0.1\t:{port}/case",
    " http://127.0.0.1:{port}/case",
]


@pytest.mark.parametrize("url", ODD)
def test_an_odd_way_to_write_a_host_gets_around_nothing(shell: Driver, server: Server, url: str) -> None:
    """Where this machine is denied, nothing that reaches it is paid, and a name in the URL lends it no budget."""
    till = Till402(ASKING)
    server.fallback = till
    listed = {"api.example.com": Limit(per_day="1"), "*.api.example.com": Limit(per_day="1")}
    denied = dict.fromkeys(("127.0.0.1", "localhost"), "deny")
    for policy in (
        Policy(**LIMITS, only_listed_hosts=True, hosts=listed, http_hosts=["api.example.com", "*.api.example.com"]),
        Policy(**LIMITS, hosts={**denied, **listed}),
    ):
        case = Case(shell, server, policy=policy)
        with pytest.raises(Exception, match=r"."):
            case.get(url.format(port=server.port))
        case.nothing_left(till)
