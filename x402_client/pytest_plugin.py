"""Pytest plugin of x402-buyer: a sandbox and a buyer with invented money, for tests of programs that pay.

It imports the rest of the package only when a fixture is used. So a test run that does not pay does not load it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .buyer.buyer import Buyer
    from .policy.policy import Policy
    from .sandbox import Sandbox


@pytest.fixture
def x402_sandbox() -> Iterator[Sandbox]:
    """Yield a new seller on this machine for each test: an ``x402_client.sandbox.Sandbox``."""
    from .sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def x402_environ(x402_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set the environment so that ``Buyer.from_env()`` and the command pay ``x402_sandbox``. Return what was set.

    It is set for this test. Programs that the test starts pay the sandbox too.
    """
    found = x402_sandbox.environ
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def x402_policy() -> Policy:
    """Return the policy of ``x402_buyer``: ten cents a request, five dollars a day.

    Override it with your own.
    """
    from .policy.policy import CAREFUL

    return CAREFUL


@pytest.fixture
def x402_buyer(x402_sandbox: Sandbox, x402_policy: Policy) -> Buyer:
    """Return a buyer with a hundred invented dollars on each of the sandbox's chains, and a ledger in memory."""
    return x402_sandbox.buyer(x402_policy)
