"""``x402 get`` says of a payment that brought nothing what the lists say of it at that moment."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from x402_client.sandbox import Sandbox
from x402_client.sandbox.faults import FAULTS

from .conftest import shell_settings
from .running import COMMAND, environment, in_process

pytestmark = pytest.mark.slow

BY_CHAIN, BY_RECEIPT = "The chain shows that it was paid", "The seller's receipt says that it was paid"
CLAIMS = (BY_CHAIN, BY_RECEIPT, "can settle until", "may still settle")


def deaf(given: dict[str, str]) -> dict[str, str]:
    """Return the settings of a user without an endpoint: what is known of the money is the seller's word."""
    return {name: value for name, value in given.items() if name != "X402_RPC"}


def of(said: str) -> list[str]:
    """Return what a text claims of the money."""
    return [claim for claim in CLAIMS if claim in " ".join(said.split())]


@pytest.mark.parametrize("asks", [True, False], ids=["a chain", "no chain"])
@pytest.mark.parametrize("fault", [name for name in FAULTS if "hang" not in name and "dripped" not in name])
def test_get_claims_what_holds_claims(seller: Sandbox, given: dict[str, str], fault: str, asks: bool) -> None:
    user = given if asks else deaf(given)
    url = seller.fault_url(fault, "/evm/weather")
    ran = in_process(["get", url, "--yes", "--timeout", "5"], user)
    holds = json.loads(in_process(["ledger", "holds", "--json"], user).out)["holds"]
    if not holds:
        assert ran.code not in (4, 6, 7, 8), ran.err
        return
    [hold] = holds
    listed = in_process(["ledger", "holds"], user).text
    shown = in_process(["ledger", "show", hold["hold"], "--offline"], user).text
    status = in_process(["status", "--offline"], user).text
    assert of(hold["advice"]) != [] or "can settle until" in hold["state_in_words"]
    for place in (listed, shown, status):
        assert set(of(place)) - {"can settle until"} == set(of(hold["advice"])) - {"can settle until"}, place
    assert (BY_CHAIN in hold["advice"] or BY_RECEIPT in hold["advice"]) is (hold["money"] == "spent")
    assert set(of(ran.err)) >= set(of(hold["advice"])), ran.err
    assert ((BY_CHAIN in ran.err) or (BY_RECEIPT in ran.err)) is (hold["money"] == "spent"), ran.err
    assert not (hold["money"] == "spent" and ("still settle" in ran.err or "can settle until" in ran.err)), ran.err
    assert ran.code in (6, 7) or (ran.code == 8 and hold["money"] == "spent"), ran.err
    if not asks:
        assert BY_CHAIN not in ran.err + listed + shown + status


@pytest.mark.parametrize("fault", ["truncated-body", "redirect-after-paying", "error-after-settling", "402-again"])
def test_the_document_names_the_money_of_the_lists(seller: Sandbox, given: dict[str, str], fault: str) -> None:
    ran = in_process(["get", seller.fault_url(fault, "/evm/weather"), "-X", "POST", "--yes", "--json"], given)
    document = json.loads(ran.err.splitlines()[-1])
    [hold] = json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"]
    assert (document["money"], document["payment"]["hold"]) == (hold["money"], hold["hold"])
    assert of(document["error"]["message"]) == of(hold["state_in_words"] + hold["advice"]) or fault == "402-again"


def test_ctrl_c_amid_a_paid_body_says_what_holds_says(bare: dict[str, str], tmp_path: Path) -> None:
    with Sandbox(slow=60) as seller:
        given = deaf(bare | shell_settings(seller, tmp_path))
        url = seller.sell("/dripping", "0.01", content=b"z" * 1_000, fault="dripped-body")
        child = subprocess.Popen(
            [*COMMAND, "get", url, "--yes", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(given),
        )
        while not seller.settlements and child.poll() is None:
            time.sleep(0.05)
        time.sleep(1)  # until the head of the answer is there
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
        document = json.loads(err.splitlines()[-1])
        document = json.loads(err.splitlines()[-1])
        [hold] = json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"]
    assert (child.returncode, document["money"], hold["money"]) == (130, "spent", "spent")
    for said in (document["error"]["message"], hold["advice"]):
        assert BY_RECEIPT in said
        assert "settle" not in said


@pytest.mark.parametrize("fault", ["redirect-after-paying", "redirect-to-another-host-after-paying"])
def test_every_place_tells_where_the_answer_led(seller: Sandbox, given: dict[str, str], fault: str) -> None:
    url = seller.fault_url(fault, "/evm/weather")
    ran = in_process(["get", url, "--yes", "--json"], given)
    document = json.loads(ran.err.splitlines()[-1])
    place = document["location"] if "another" in fault else f"{seller.url}/thanks"
    _check_sentences(document["error"]["message"])
    assert place in document["error"]["message"]
    [hold] = json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"]
    show = ["ledger", "show", hold["hold"], "--offline"]
    known = json.loads(in_process([*show, "--json"], given).out)["last_answer"]
    assert (known["leads_to"], known["by_chain"]) == (place, False)
    assert hold["answer"] == f"303, to {place}"
    _check_places(given, url, show, place)
    again = in_process(["get", url, "--yes"], given)
    assert again.code != 0  # what follows does not make the place forgotten
    _check_places(given, url, show, place)


def _check_places(given: dict[str, str], url: str, show: list[str], place: str) -> None:
    for command in (show, ["ledger", "holds"], ["status", "--offline"], ["quote", url], ["get", url, "--dry-run"]):
        said = in_process(command, given)
        words = " ".join((said.text + said.err).split())
        assert f"The seller's answer led to {place}. Ask there first" in words, command
        assert (
            "With neither --yes nor --max, `x402 get` pays nothing unasked there; with one, it may pay anew." in words
        )
        _check_sentences(words)


def _check_sentences(said: str) -> None:
    """Check that each sentence of an advice begins after a blank, and what is left to do begins one of its own."""
    assert re.search(r"pay anew\. If it is not there: [A-Z`]", said)
    assert not re.search(r"[a-z][.:][A-Z]", said)
    assert ": Or " not in said


def test_a_quote_tells_what_its_key_was_used_for(seller: Sandbox, given: dict[str, str]) -> None:
    open_yet, paid = seller.fault_url("drop-before-settling", "/evm/weather"), f"{seller.url}/evm/weather"
    in_process(["get", open_yet, "-X", "POST", "--yes", "--key", "a"], given)
    assert in_process(["get", paid, "--yes", "--key", "b"], given).code == 0
    [hold] = json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"]
    ends = {
        (open_yet, "a"): (0, hold["hold"], None),
        (open_yet, "new"): (0, None, None),
        (open_yet, None): (0, None, None),
        (open_yet, "b"): (3, None, f"used for another request (GET {paid})"),
        (paid, "a"): (3, None, f"used for another request (POST {open_yet})"),
        (paid, "b"): (9, None, "was paid before: 0.01 USD"),
    }
    for (url, key), (code, presents, refusal) in ends.items():
        method = ["-X", "POST"] if url == open_yet else []
        options = [url, *method, *(["--key", key] if key else [])]
        for command in (["quote", *options, "--json"], ["get", *options, "--dry-run", "--json"]):
            ran = in_process(command, given)
            document = json.loads(ran.out or ran.err.splitlines()[-1])
            assert (ran.code, document["unresolved"] and document["unresolved"]["hold"]) == (code, presents), command
            assert (refusal or "") in (document["refusal"] or ""), command
            assert bool(refusal) is bool(document["refusal"]), command
        if refusal is not None:  # and `get` does the same
            assert in_process(["get", *options, "--yes"], given).code == code
