"""A keyword that is not there is answered with what is meant: one sentence, with the cure, and no value."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from x402_client import Allowance, Buyer, Limit, Policy, Token, Wallet, agents, errors
from x402_client.sandbox import Sandbox

KEY = "0x" + "46" * 32


def buyer() -> Buyer:
    return Buyer(Wallet(evm=KEY), Policy(per_day="1"), ledger=":memory:")


def shop(**keywords: Any) -> Any:
    with httpx.Client() as client:
        return agents.tools(client, buyer(), **keywords)


def parent() -> Any:
    return buyer().allowance("1.00")


CASES: list[tuple[Callable[..., Any], str, str]] = [
    *((Wallet, word, "evm") for word in ("private_key", "key", "evm_key", "evm_private_key", "secret", "account")),
    *((Wallet, word, "solana") for word in ("svm", "solana_key", "svm_private_key", "sol")),
    (Wallet, "mnemonic", "a mnemonic is not taken"),
    *((Wallet, word, "Wallet.from_keystore(path)") for word in ("keystore", "path", "file", "passphrase")),
    *((Buyer, word, "Buyer(Wallet(evm=...))") for word in ("private_key", "key", "evm", "solana", "account", "signer")),
    *((Buyer, word, "Policy(per_request") for word in ("max_price", "per_day", "limit", "budget", "hosts", "networks")),
    *((Buyer, word, "ledger") for word in ("db", "path", "redis_url", "database", "ledger_path", "storage", "ledgr")),
    *((Buyer, word, "rpc=") for word in ("rpc_url", "endpoint", "chain_rpc", "node_url")),
    *((Buyer, word, "settle_timeout") for word in ("timeout", "timeout_seconds")),
    *((Buyer, word, "approve") for word in ("approver", "confirm", "approval")),
    *((Buyer, word, "on_event") for word in ("callback", "listener", "hook", "onevent")),
    (Buyer, "payment_requirements_selector", "Policy(networks=, assets=)"),
    *((Buyer, word, "wrap(client, buyer)") for word in ("client", "session", "http_client")),
    *((lambda **k: Buyer(Wallet(evm=KEY), **k), word, "Policy(per_request") for word in ("max_price", "daily")),
    *((lambda **k: buyer().allowance("1", **k), w, "minutes") for w in ("hours", "days", "seconds", "ttl", "minute")),
    *((lambda **k: buyer().allowance("1", **k), word, "per_request") for word in ("max_price", "max", "per_reqest")),
    *((lambda **k: buyer().allowance("1", **k), word, "hosts") for word in ("host", "domains", "url")),
    *((lambda **k: buyer().allowance("1", **k), word, "name") for word in ("id", "label", "session", "agent")),
    *((lambda **k: parent().allowance("0.1", **k), word, "minutes") for word in ("hours", "duration")),
    *((lambda **k: buyer().purchase(**k), w, "per_request") for w in ("max_price", "max", "max_amount", "limit")),
    *((lambda **k: buyer().purchase(**k), word, "key") for word in ("id", "name", "order_id", "idempotency_key")),
    *((lambda **k: parent().purchase(**k), word, "per_request") for word in ("max_price", "cap")),
    *((lambda **k: buyer().spent(**k), word, "window") for word in ("period", "windw", "days", "since")),
    *((lambda **k: buyer().remaining(**k), word, "window") for word in ("period", "per")),
    *((lambda **k: buyer().history(**k), word, "limit") for word in ("max", "n", "count", "last", "window")),
    *((Token, word, "network") for word in ("chain", "chain_id", "netwrk")),
    *((Token, word, "address") for word in ("contract", "mint", "asset", "adress")),
    *((Token, word, cure) for word, cure in (("decimal", "decimals"), ("precision", "decimals"), ("ticker", "symbol"))),
    *((Sandbox, word, "port") for word in ("prot", "host", "address")),
    *((Sandbox, word, "slow") for word in ("delay", "seconds")),
    *((Sandbox, word, "sandbox.buyer(policy)") for word in ("policy", "wallet")),
    *((Sandbox, word, "sandbox.sell(") for word in ("price", "path")),
    *((shop, word, "hosts") for word in ("host", "allowed_hosts", "domains")),
    *((shop, word, "buyer.allowance(") for word in ("max_usd", "budget", "per_request", "policy")),
    *((shop, word, "max_body") for word in ("max_bytes", "body_size")),
    *((Limit, word, "per_request") for word in ("max", "max_price", "amount", "per_reqest")),
    *((Policy, word, "per_request") for word in ("max", "max_price", "amount", "per_reqest")),
]


@pytest.mark.parametrize(("call", "word", "cure"), CASES)
def test_a_keyword_that_is_not_there_is_answered_with_its_cure(call: Callable[..., Any], word: str, cure: str) -> None:
    with pytest.raises(TypeError) as raised:
        call(**{word: KEY})
    said = str(raised.value)
    assert f"got an unexpected keyword argument {word!r}; " in said
    assert cure in said.partition("; ")[2]
    assert "\n" not in said
    assert KEY not in said
    ours = [
        frame for frame, _ in traceback.walk_tb(raised.value.__traceback__) if "x402_client" in frame.f_code.co_filename
    ]
    assert ours
    if call not in (Wallet, Buyer):  # what others are given is no key
        return
    assert all(KEY not in repr(frame.f_locals) for frame in ours)


@pytest.mark.parametrize(
    ("call", "cure"),
    [
        (lambda: buyer().purchase("order-42"), "write buyer.purchase(key="),  # type: ignore[call-arg, misc]
        (lambda: parent().purchase("order-42"), "write buyer.purchase(key="),
        (lambda: buyer().allowance("1", 60), 'write buyer.allowance("1.00", minutes=60).'),  # type: ignore[call-arg, misc]
        (lambda: parent().allowance("1", 60), 'write buyer.allowance("1.00", minutes=60).'),
        (lambda: agents.tools(httpx.Client(), buyer(), ["a.example"]), "write tools(client, buyer, hosts="),  # type: ignore[call-overload]
        (lambda: anyio.run(buyer().aallowance, "1", 60), "write await buyer.aallowance("),
        (lambda: Wallet.from_env("default"), 'did you mean Wallet.from_keystore("default")?'),  # type: ignore[call-arg]
        (lambda: Wallet.from_env(path=KEY), "did you mean Wallet.from_keystore("),  # type: ignore[call-arg]
        (lambda: Policy.from_env("policy.toml"), "did you mean Policy.from_file("),  # type: ignore[call-arg]
    ],
)
def test_a_value_too_many_is_answered_with_what_to_write(call: Callable[[], Any], cure: str) -> None:
    with pytest.raises(TypeError) as raised:
        call()
    assert cure in str(raised.value)
    assert KEY not in str(raised.value)


def test_what_is_missing_is_named(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"write Buyer\(Wallet\(evm=\.\.\.\)\) or Buyer\.from_env\(\)"):
        Buyer()


def test_signatures_stay_as_they_are() -> None:
    """A type checker says of a wrong keyword what it says of any function."""
    for kind in (Buyer, Wallet):
        last = list(inspect.signature(kind).parameters.values())[-1]
        assert (last.kind, last.annotation) == (last.VAR_KEYWORD, "Never"), kind
    plain = (Buyer.purchase, Buyer.allowance, Buyer.aallowance, Buyer.spent, Buyer.history, Allowance.purchase)
    for method in (*plain, Token, Sandbox, agents.tools):
        assert not any(one.kind is one.VAR_KEYWORD for one in inspect.signature(method).parameters.values()), method
    assert inspect.iscoroutinefunction(Buyer.aallowance)
