"""A Safe of the sandbox: it pays as one of the chain's own would, and says no as one does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import requests
from eth_account import Account

import x402_client.httpx
import x402_client.requests
from x402_client import Outcome, Policy, Wallet, errors, outcome
from x402_client.sandbox import Sandbox
from x402_client.signers import ContractSigner, SafeSigner

POLICY = Policy(per_request="0.05")


def test_a_safe_pays_with_two_of_three_owners(sandbox: Sandbox) -> None:
    keys = [sandbox.key() for _ in range(3)]
    safe = sandbox.safe(keys, 2)
    for owners in (keys[:2], keys[1:], keys):
        buyer = sandbox.buyer(POLICY, wallet=Wallet(evm=SafeSigner(safe, owners)))
        with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
            paid = outcome(client.get(f"{sandbox.url}/evm/weather"))
        assert paid is not None
        assert (paid.money, paid.hold.payer) == ("spent", safe.lower())
    assert [one.payer for one in sandbox.settlements] == [safe] * 3
    assert str(sandbox.balance(safe)) == "99.97 USD"


class LaterOwner:
    """An owner who signs later."""

    def __init__(self, key: str) -> None:
        self._account = Account.from_key(key)
        self.address = self._account.address

    async def sign_typed_data(self, full_message: dict[str, Any]) -> bytes:
        await anyio.lowlevel.checkpoint()
        return bytes(self._account.sign_typed_data(full_message=full_message).signature)


def test_async_owners_sign_for_async_clients_alone(sandbox: Sandbox) -> None:
    keys = [sandbox.key() for _ in range(3)]
    wallet = Wallet(evm=SafeSigner(sandbox.safe(keys, 3), [LaterOwner(keys[0]), Account.from_key(keys[1]), keys[2]]))
    buyer = sandbox.buyer(POLICY, wallet=wallet)
    with httpx.Client() as client, pytest.raises(errors.ConfigurationError, match="async"):
        x402_client.httpx.wrap(client, buyer)

    async def pay() -> Outcome | None:
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client:
            return outcome(await client.get(f"{sandbox.url}/evm/weather"))

    paid = anyio.run(pay)
    assert paid is not None
    assert paid.money == "spent"


def test_a_payment_belongs_to_the_safe_and_to_none_of_its_owners(sandbox: Sandbox, tmp_path: Path) -> None:
    keys = [sandbox.key() for _ in range(3)]
    safe, ledger = sandbox.safe(keys, 2), tmp_path / "spend.db"
    url = sandbox.sell("/poem", "0.02", fault=["drop-before-settling"], chains="evm")

    def get(wallet: Wallet) -> Outcome:
        buyer = sandbox.buyer(POLICY, wallet=wallet, ledger=ledger, repeat=())
        with x402_client.requests.wrap(requests.Session(), buyer) as session:
            try:
                found = outcome(session.get(url))
            except errors.X402Error as error:
                found = outcome(error)
        buyer.close()
        assert found is not None
        return found

    lost = get(Wallet(evm=SafeSigner(safe, keys[:2])))
    assert lost.money == "unknown"
    other = get(Wallet(evm=keys[0]))
    assert other.hold.nonce != lost.hold.nonce
    again = get(Wallet(evm=SafeSigner(safe, keys[1:])))  # signed by other owners, if anything were signed
    assert (again.money, again.hold.nonce, again.hold.payer) == ("spent", lost.hold.nonce, safe.lower())
    assert str(sandbox.balance(safe)) == "99.98 USD"


@pytest.mark.parametrize("asked", [True, False], ids=["by its chain", "by the seller"])
def test_too_few_owners_pay_nothing(sandbox: Sandbox, asked: bool) -> None:
    keys = [sandbox.key() for _ in range(2)]
    signer = SafeSigner(sandbox.safe(keys, 2), keys[:1])
    rpc = sandbox.rpc if asked else {}
    buyer = sandbox.buyer(POLICY, wallet=Wallet(evm=signer), rpc=rpc)
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client, pytest.raises(errors.X402Error) as caught:
        client.get(f"{sandbox.url}/evm/weather")
    assert isinstance(caught.value, errors.SigningError if asked else errors.PaymentRejected)
    assert caught.value.money == ("untouched" if asked else "held")
    assert not sandbox.settlements


def test_a_safe_is_no_keys_account(sandbox: Sandbox) -> None:
    keys = [sandbox.key(), sandbox.key()]
    safe = sandbox.safe(keys)
    for signature in (b"", b"\1" * 65, b"\1" * 130):
        buyer = sandbox.buyer(POLICY, wallet=Wallet(evm=ContractSigner(safe, lambda document, s=signature: s)))
        with x402_client.httpx.wrap(httpx.Client(), buyer) as client, pytest.raises(errors.SigningError):
            client.get(f"{sandbox.url}/evm/weather")


@pytest.mark.parametrize("threshold", [0, 3])
def test_a_threshold_is_one_to_the_number_of_owners(sandbox: Sandbox, threshold: int) -> None:
    with pytest.raises(errors.ConfigurationError, match="threshold is 1 to 2"):
        sandbox.safe([sandbox.key(), sandbox.key()], threshold)


def test_owners_are_throw_away_keys(sandbox: Sandbox) -> None:
    with pytest.raises(errors.ConfigurationError, match="throw-away keys only"):
        sandbox.safe(["0x" + "11" * 32])
