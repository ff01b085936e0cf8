"""A rule of the policy holds for a named server only as ``mcp:NAME``: its bare name is a host's."""

from __future__ import annotations

import pytest

from x402_client import Limit, Policy, errors
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox

from .mcp_sessions import DIALECTS, NAME, connected, over_memory
from .mcp_shop import Shop

pytestmark = pytest.mark.anyio
BERN = {"city": "Bern"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def shop_of(sandbox: Sandbox) -> Shop:
    sandbox.sell("/weather", "0.01", version=DIALECTS["specification"].version)
    return Shop(sandbox.url, DIALECTS["specification"])


@pytest.mark.parametrize("name", [NAME, NAME.upper()])
@pytest.mark.parametrize("rule", [Limit(per_day="0.001"), Limit(sign_in="never"), "deny"], ids=repr)
async def test_a_rule_for_the_bare_name_is_refused(mcp_sandbox: Sandbox, rule: Limit | str, name: str) -> None:
    buyer = mcp_sandbox.buyer(Policy(per_day="1", hosts={NAME: rule}))
    async with over_memory(shop_of(mcp_sandbox)) as session:
        before = type(session)
        for payer in (buyer, buyer.allowance("1")):
            with pytest.raises(
                errors.ConfigurationError, match=r'this MCP server is "mcp:reports" there.*Write hosts='
            ):
                wrap(session, payer, name)
        assert type(session) is before
        wrap(session, mcp_sandbox.buyer(Policy(per_day="1")), name)


async def test_beside_a_rule_of_its_own_a_host_may_have_that_name(mcp_sandbox: Sandbox) -> None:
    policy = Policy(per_day="1", hosts={NAME: "deny", f"mcp:{NAME}": Limit(per_day="0.001")})
    async with over_memory(shop_of(mcp_sandbox)) as session:
        with pytest.raises(errors.OverLimit):
            await wrap(session, mcp_sandbox.buyer(policy), NAME).call_tool("weather", BERN)


async def test_over_http_the_name_changes_nothing(mcp_sandbox: Sandbox) -> None:
    buyer = mcp_sandbox.buyer(Policy(per_day="1", hosts={NAME: "deny"}))
    async with connected("mcp", shop_of(mcp_sandbox), "specification") as session:
        await wrap(session, buyer, NAME).call_tool("weather", BERN)
    assert buyer.history()[0].host == "127.0.0.1"


async def test_a_freeze_by_the_bare_name_of_a_wrapped_server_says_that_it_is_paid_on(mcp_sandbox: Sandbox) -> None:
    buyer = mcp_sandbox.buyer(Policy(per_day="1"))
    async with over_memory(shop_of(mcp_sandbox)) as session:
        paying = wrap(session, buyer, NAME)
        with pytest.warns(UserWarning, match=r"MCP server of that name is 'mcp:reports', and goes on being paid"):
            await buyer.afreeze(NAME)
        await paying.call_tool("weather", BERN)
        await buyer.afreeze(f"mcp:{NAME}")
        with pytest.raises(errors.Frozen):
            await paying.call_tool("weather", BERN)
