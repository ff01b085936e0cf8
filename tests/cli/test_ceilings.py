"""Ceilings in the command: the ceiling while nothing shows the charge, and the charge as soon as the chain does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from x402_client import Buyer, Policy, Wallet, errors
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

from .running import in_process

LOST = "/upto/fault/drop-after-settling/weather"


@pytest.fixture
def allowed(given: dict[str, str], tmp_path: Path) -> dict[str, str]:
    policy = tmp_path / "ceilings.toml"
    policy.write_text('upto = "0.05"\n' + Path(given["X402_POLICY"]).read_text("utf-8"), "utf-8")
    return given | {"X402_POLICY": str(policy)}


def listed(env: dict[str, str], *command: str) -> Any:
    return json.loads(in_process(["ledger", *command, "--json"], env).out)


class Silent:
    """A reader of the user's own that can tell nothing."""

    def read(self, hold: object) -> str:
        return "unknown"


def lose(seller: Sandbox, env: dict[str, str]) -> None:
    """Lose the answer to a ceiling in a program that cannot tell what was taken of it."""
    policy = Policy.from_file(env["X402_POLICY"])
    said: Any = {"ledger": env["X402_LEDGER"], "rpc": seller.rpc, "repeat": ()}
    buyer = Buyer(Wallet(evm=env["X402_EVM_KEY"]), policy, reader=Silent(), **said)
    with wrap(httpx.Client(), buyer) as client, pytest.raises(errors.PaymentOutcomeUnknown):
        client.get(seller.url + LOST)
    buyer.close()


def test_of_a_lost_answer_the_charge_counts_at_once(seller: Sandbox, allowed: dict[str, str]) -> None:
    ran = in_process(["get", "--yes", seller.url + LOST], allowed)
    assert ran.code != 0
    said = " ".join(ran.err.split())
    assert "up to 0.01 USD was presented" in said
    assert "At most 0.005 USD of it was taken." in said
    told = json.loads(in_process(["get", "--yes", "--json", seller.url + LOST], allowed).err)["payment"]
    assert (told["ceiling"], told["price"], told["charged"]) == (True, "0.005", "0.005")
    [hold] = listed(allowed, "holds")["holds"]
    assert (hold["state"], hold["money"], hold["price"]) == ("unresolved", "spent", "0.005")
    assert (hold["ceiling"], hold["charged"]) == ("0.01", "0.005")
    shown = " ".join(in_process(["ledger", "show", hold["hold"]], allowed).text.split())
    assert "ceiling 0.01 USD; the chain shows that at most 0.005 USD of it was taken" in shown
    assert "price at most 0.005 USD" in shown
    assert "state unresolved, paid" in shown
    for command in (["status", "--offline"], ["ledger", "holds"]):
        assert "at most 0.005 USD" in " ".join(in_process(command, allowed).text.split())


def test_reconcile_asks_before_the_deadline(seller: Sandbox, allowed: dict[str, str]) -> None:
    lose(seller, allowed)
    [hold] = listed(allowed, "holds")["holds"]
    assert (hold["price"], hold["ceiling"], hold["charged"], hold["money"]) == ("0.01", "0.01", "", "unknown")
    assert "up to 0.01 USD" in in_process(["status", "--offline"], allowed).text
    found = listed(allowed, "reconcile")
    [settled] = found["settled"]
    assert (settled["hold"], settled["charged"]) == (hold["hold"], "0.005")
    assert found["not_expired"] == []
    [after] = listed(allowed, "holds")["holds"]
    assert (after["state"], after["price"], after["money"]) == ("unresolved", "0.005", "spent")
    assert "1 paid already" in in_process(["ledger", "reconcile"], allowed).text
    [exported] = listed(allowed, "export")
    assert (exported["price"], exported["ceiling"], exported["charged"]) == ("0.005", "0.01", "0.005")


def test_what_reconcile_says_of_one(seller: Sandbox, allowed: dict[str, str]) -> None:
    lose(seller, allowed)
    text = " ".join(in_process(["ledger", "reconcile"], allowed).text.split())
    assert "at most 0.005 USD of it was taken; the rest is given back." in text
    assert "ake the same request again" in text, "it is paid, and its content is owed"


def test_what_the_chain_shows_nothing_of_can_still_settle(
    seller: Sandbox, allowed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.LOST", "/upto/fault/drop-before-settling/weather")
    lose(seller, allowed)
    assert "1 can still settle, until" in in_process(["ledger", "reconcile"], allowed).text
    [hold] = listed(allowed, "reconcile")["not_expired"]
    assert (hold["price"], hold["charged"]) == ("0.01", "")
