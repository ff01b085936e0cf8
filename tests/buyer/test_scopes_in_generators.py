"""A scope around the ``yield`` of a generator holds for each request in it, or is refused when it is entered."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from fastapi import FastAPI

import x402_client.httpx
from x402_client import Buyer, Policy, errors
from x402_client.buyer.scopes import PurchaseWarning
from x402_client.errors import ConfigurationError
from x402_client.sandbox import Sandbox

from .ways_in_one_context import HELD
from .ways_of_stepping import LOST, Case, Way

KINDS = {
    "allowance": lambda buyer: buyer.allowance("0.001"),
    "inner allowance": lambda buyer: buyer.allowance("1").allowance("0.001"),
    "key": lambda buyer: buyer.purchase(key="order-42", per_request="0.001"),
    "cap": lambda buyer: buyer.purchase(per_request="0.001"),
    "purchase of an allowance": lambda buyer: buyer.allowance("0.001").purchase(key="order-42"),
}


@pytest.fixture(scope="module")
def seller() -> Iterator[Sandbox]:
    with Sandbox(redeliver=True) as seller:
        yield seller


@pytest.fixture
def buyer(seller: Sandbox) -> Buyer:
    return seller.buyer(Policy(per_request="0.10", per_day="5"))


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, seller: Sandbox, buyer: Buyer) -> Case:
    return case_of(request.param, seller, buyer)


def case_of(kind: str, seller: Sandbox, buyer: Buyer) -> Case:
    def pay() -> int:
        with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
            return client.get(seller.url + "/weather").status_code

    async def apay() -> int:
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client:
            return (await client.get(seller.url + "/weather")).status_code

    return Case(lambda: KINDS[kind](buyer), pay, apay)


def failure_of(way: Way, case: Case) -> errors.X402Error:
    with pytest.raises(Exception) as failed:
        way(case)
    found: Any = failed.value
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    known = errors.find(found)
    assert known is not None, found
    return known


@pytest.mark.parametrize("way", LOST, ids=lambda way: way.__name__)
def test_a_scope_that_would_be_lost_is_refused_when_it_is_entered(case: Case, buyer: Buyer, way: Way) -> None:
    with pytest.raises(ConfigurationError, match=r"would be paid outside of it: .* in a") as refused:
        raise failure_of(way, case)
    assert "wrap(client, allowance)" in str(refused.value)
    assert buyer.spent().units == 0


@pytest.mark.parametrize("way", HELD, ids=lambda way: way.__name__)
def test_a_scope_that_holds_is_entered_and_counts_each_request(case: Case, buyer: Buyer, way: Way) -> None:
    assert not isinstance(failure_of(way, case), ConfigurationError)
    assert buyer.spent().units == 0


# On leaving


def test_a_scope_that_is_left_in_another_context_warns(case: Case) -> None:
    """By a framework of one's own, of which nothing is known when the scope is entered."""
    steps = case.around()
    copy_context().run(next, steps)
    with pytest.warns(PurchaseWarning, match="another context than it was entered in"):
        copy_context().run(next, steps, None)


def test_a_scope_that_is_left_where_it_was_entered_warns_of_nothing(case: Case) -> None:
    own = copy_context()
    steps = case.around()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own.run(next, steps)
        with pytest.raises(errors.X402Error):
            own.run(case.pay)
        own.run(next, steps, None)


@pytest.mark.parametrize("seen", [True, False])
def test_a_generator_that_is_given_up_on_warns_if_its_scope_saw_no_request(case: Case, seen: bool) -> None:
    own = copy_context()
    steps = case.around()
    own.run(next, steps)
    if seen:
        with pytest.raises(errors.X402Error):
            own.run(case.pay)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        steps.close()  # type: ignore[attr-defined]
    assert [found.category for found in warned] == ([] if seen else [PurchaseWarning])


# The lifespan of an application


def test_a_scope_around_a_lifespan_warns_and_holds_for_the_tasks_that_are_started_in_it(
    case: Case, buyer: Buyer
) -> None:
    failed: list[BaseException] = []
    servers: list[uvicorn.Server] = []

    async def work() -> None:
        try:
            await case.apay()
        except errors.X402Error as refused:
            failed.append(refused)
        servers[0].should_exit = True

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with case.scope():
            async with anyio.create_task_group() as group:
                group.start_soon(work)
                yield

    async def serve() -> None:
        server = uvicorn.Server(uvicorn.Config(FastAPI(lifespan=lifespan), port=0, log_level="error"))
        servers.append(server)
        await server.serve()

    with pytest.warns(PurchaseWarning, match="no request that the application serves"):
        asyncio.run(asyncio.wait_for(serve(), 20))
    assert isinstance(failed[0], (errors.OverLimit, errors.TooExpensive))
    assert buyer.spent().units == 0


# Fixtures


@pytest.fixture
def around_the_test(case: Case) -> Iterator[None]:
    with case.scope():
        yield


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def aaround_the_test(case: Case, anyio_backend: str) -> AsyncIterator[None]:
    with case.scope():
        yield


@pytest.mark.usefixtures("around_the_test")
def test_a_scope_in_a_fixture_holds_for_the_test(case: Case) -> None:
    with pytest.raises((errors.OverLimit, errors.TooExpensive)):
        case.pay()


@pytest.mark.anyio
@pytest.mark.usefixtures("aaround_the_test")
async def test_a_scope_in_an_async_fixture_holds_for_the_test(case: Case) -> None:
    with pytest.raises((errors.OverLimit, errors.TooExpensive)):
        await case.apay()
