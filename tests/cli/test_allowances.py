"""Allowances at the command: what each spent, what is left, and how one is frozen and closed by hand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest

import x402_client.httpx
from x402_client import Policy
from x402_client.cli.own_words import in_own_words
from x402_client.errors import AllowanceEnded, Frozen
from x402_client.sandbox import Sandbox

from .running import in_process, terminal


@pytest.fixture
def spent(seller: Sandbox, given: dict[str, str]) -> dict[str, str]:
    """A ledger with a run, a step inside it, and one that is over."""
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"), ledger=given["X402_LEDGER"])
    run = buyer.allowance("1.00", minutes=60, name="run-42", hosts=["127.0.0.1"])
    step = run.allowance("0.50", name="step")
    for payer in (run, step, step, buyer):
        with x402_client.httpx.wrap(httpx.Client(), payer) as client:
            client.get(seller.url + "/evm/weather")
    buyer.allowance("2", name="old").close()
    unnamed = buyer.allowance("3")
    buyer.close()
    assert unnamed.name.startswith("~")
    return given


def document(given: dict[str, str], *command: str) -> Any:
    ran = in_process([*command, "--json"], given)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_it_lists_what_is_open(spent: dict[str, str]) -> None:
    ran = in_process(["ledger", "allowances"], spent)
    found = lines(ran.text)
    assert found[0] == "allowance state spent left of inside ends"
    assert found[1].startswith("run-42 open 0.03 USD 0.97 USD 1.00 USD █")
    assert found[2].startswith("step open 0.02 USD 0.48 USD 0.50 USD █")
    assert found[2].endswith(" run-42")
    assert "2 more are closed, over, or have no name: --all lists them." in ran.err
    assert any(line.startswith("old closed 0.00 USD 0.00 USD 2.00 USD") for line in lines(
        in_process(["ledger", "allowances", "--all"], spent).text
    ))  # fmt: skip
    run, step = document(spent, "ledger", "allowances")["allowances"]
    assert (run["allowance"], run["inside"], run["minutes"], run["hosts"]) == ("run-42", None, 60.0, ["127.0.0.1"])
    assert run["until"].endswith("Z")
    assert (step["inside"], step["spent"], step["left"], step["until"]) == ("run-42", "0.02 USD", "0.48 USD", None)


def test_spending_is_shown_by_allowance(spent: dict[str, str]) -> None:
    found = document(spent, "ledger", "spent")
    assert [(one["allowance"], one["payments"], one["spent"]) for one in found["by_allowance"]] == [
        ("step", 2, "0.02 USD"), ("run-42", 1, "0.01 USD"),
    ]  # fmt: skip
    assert any(line.startswith("step 0.02 USD 2") for line in lines(in_process(["ledger"], spent).text))
    listed = document(spent, "ledger", "list", "--allowance", "run-42")["payments"]
    assert [payment["allowance"] for payment in listed] == ["step", "step", "run-42"]
    one = document(spent, "ledger", "show", listed[0]["hold"])
    assert (one["allowance"], one["allowances"]) == ("step", ["run-42", "step"])
    assert "allowance step, inside run-42" in lines(in_process(["ledger", "show", listed[0]["hold"]], spent).text)
    exported = in_process(["ledger", "export", "--csv"], spent).text.splitlines()
    assert exported[0].endswith(",allowance,signed_offer,signed_receipt,ceiling,charged")
    assert sorted(line.split(",")[-5] for line in exported[1:]) == ["", "run-42", "step", "step"]


def test_spending_under_those_without_a_name_is_shown_by_the_one_above_that_has_one(
    seller: Sandbox, given: dict[str, str]
) -> None:
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"), ledger=given["X402_LEDGER"])
    run = buyer.allowance("1.00", name="run-42")
    for payer in (run.allowance("0.10"), run.allowance("0.10").allowance("0.10"), buyer.allowance("0.10")):
        with x402_client.httpx.wrap(httpx.Client(), payer) as client:
            client.get(seller.url + "/evm/weather")
    buyer.close()
    found = document(given, "ledger", "spent")["by_allowance"]
    assert [(one["allowance"], one["payments"]) for one in found] == [("run-42", 2), ("without a name", 1)]


def test_the_status_shows_what_is_left_of_each(spent: dict[str, str]) -> None:
    found = lines(in_process(["status", "--offline"], spent).text)
    place = found.index("Allowances")
    assert found[place + 2].startswith("run-42 open 0.03 USD 0.97 USD 1.00 USD")
    assert "next: x402 ledger allowances" in found
    assert [one["allowance"] for one in document(spent, "status", "--offline")["allowances"]] == ["run-42", "step"]


def test_one_is_frozen_lifted_and_closed_by_hand(seller: Sandbox, spent: dict[str, str]) -> None:
    buyer = seller.buyer(Policy(per_day="5"), ledger=spent["X402_LEDGER"])
    step = buyer.allowance("1.00", minutes=60, name="run-42", hosts=["127.0.0.1"]).allowance("0.50", name="step")

    def ask() -> int:
        with x402_client.httpx.wrap(httpx.Client(), step) as client:
            return client.get(seller.url + "/evm/weather").status_code

    assert in_process(["ledger", "freeze", "--allowance", "run-42"], spent).code == 0
    with pytest.raises(Frozen):
        ask()
    assert [one["state"] for one in document(spent, "ledger", "allowances")["allowances"]] == ["frozen", "frozen"]
    told = lines(in_process(["status", "--offline"], spent).text)
    place = told.index("Frozen")
    assert told[place + 1 : place + 3] == ["allowance run-42", "next: x402 ledger unfreeze --allowance run-42"]
    page = document(spent, "status", "--offline")
    assert (page["frozen"], page["frozen_allowances"]) == ([], ["run-42"])
    assert in_process(["ledger", "unfreeze", "--allowance", "run-42"], spent).code == 0
    assert ask() == 200
    assert in_process(["ledger", "close", "run-42"], spent).code == 2, "there is no terminal to ask on"
    ran = in_process(["ledger", "close", "run-42", "--yes"], spent)
    assert "nothing new is paid under the allowance run-42 or inside it" in ran.err
    with pytest.raises(AllowanceEnded):
        ask()
    assert "None is open." in in_process(["ledger", "allowances"], spent).text


def test_freezing_one_is_told_in_json_too(spent: dict[str, str]) -> None:
    for verb, state in (("freeze", "frozen"), ("unfreeze", "open")):
        told = document(spent, "ledger", verb, "--allowance", "run-42")
        lifted = {"lifted": True, "frozen_above": []} if verb == "unfreeze" else {}
        assert told == {"ledger": spent["X402_LEDGER"], "allowance": "run-42", "state": state, **lifted}


@pytest.mark.parametrize("state", ["open", "frozen", "closed"])
def test_freezing_one_tells_the_state_that_it_has_after_it(spent: dict[str, str], state: str) -> None:
    if state != "open":
        mark = ["freeze", "--allowance", "run-42"] if state == "frozen" else ["close", "run-42", "--yes"]
        assert in_process(["ledger", *mark], spent).code == 0
    ran = in_process(["ledger", "freeze", "--allowance", "run-42", "--json"], spent)
    listed = document(spent, "ledger", "freezes")["allowances"]
    assert ran.code == 0
    assert (json.loads(ran.out)["state"] == "frozen") is bool(listed) is (state != "closed")
    assert ("Frozen in" in ran.err, "was closed before" in ran.err) == (bool(listed), not listed)


@pytest.mark.filterwarnings("ignore:Purse 'team' is new")
@pytest.mark.parametrize("purse", ["default", "team"])
def test_frozen_allowances_are_listed_with_what_lifts_them(seller: Sandbox, spent: dict[str, str], purse: str) -> None:
    buyer = seller.buyer(Policy(per_day="5"), ledger=spent["X402_LEDGER"], purse="team")
    buyer.allowance("1", name="run-42")
    buyer.close()
    marked = ["--allowance", "run-42", *(["--purse", purse] if purse != "default" else [])]
    assert in_process(["ledger", "freeze", *marked], spent).code == 0
    assert document(spent, "ledger", "freezes")["allowances"] == [{"allowance": "run-42", "purse": purse}]
    lift = f"x402 ledger unfreeze {' '.join(marked)}"
    assert in_process(["ledger", "freezes"], spent).text == f"allowance run-42  `{lift}` lifts it\n"
    assert in_process(["ledger", "unfreeze", *marked], spent).code == 0
    assert "Nothing is frozen in" in in_process(["ledger", "freezes"], spent).text


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("above", [False, True])
def test_a_lift_says_what_it_lifted_and_what_is_frozen_above(spent: dict[str, str], own: bool, above: bool) -> None:
    for name in [*(["step"] if own else []), *(["run-42"] if above else [])]:
        assert in_process(["ledger", "freeze", "--allowance", name], spent).code == 0
    ran = in_process(["ledger", "unfreeze", "--allowance", "step"], spent)
    assert ran.code == (0 if own else 1)
    said = " ".join(ran.err.split())
    assert ("Not frozen any more" in said, "Nothing was lifted: the allowance step was not frozen" in said) == (
        own,
        not own,
    )
    assert ("inside of run-42, which is frozen: `x402 ledger unfreeze --allowance run-42`" in said) == above
    states = {one["allowance"]: one["state"] for one in document(spent, "ledger", "allowances")["allowances"]}
    assert states["step"] == ("frozen" if above else "open")


@pytest.mark.filterwarnings("ignore:Purse 'team is' is new")
@pytest.mark.parametrize("purse", ["default", "team is"])
@pytest.mark.parametrize("name", ["run-7", "run", "Run 7", "it's mine", "läuft"])
def test_to_freeze_the_name_of_one_names_the_command_that_stops_it(
    seller: Sandbox, given: dict[str, str], name: str, purse: str
) -> None:
    """What is typed in a hurry is the name of the run. As a host it stops nothing that the run pays."""
    buyer = seller.buyer(Policy(per_day="5"), ledger=given["X402_LEDGER"], purse=purse)
    buyer.allowance("1.00", name=name)
    ran = in_process(["ledger", "freeze", name], given)
    found = re.search("`(x402 ledger freeze --allowance [^`]*)`", ran.err)
    assert found is not None, ran.err
    frozen = bool(document(given, "ledger", "freezes")["frozen"])
    assert (ran.code, frozen) in ((0, True), (2, False)), "a host of that name is frozen, or it can be none"
    assert in_process(shlex.split(found[1])[1:], given).code == 0
    assert document(given, "ledger", "freezes")["allowances"] == [{"allowance": name, "purse": purse}]
    lifted = in_process(["ledger", "unfreeze", name], given)
    assert frozen if lifted.code == 0 else "`x402 ledger unfreeze --allowance" in lifted.err
    again = in_process(["ledger", "freeze", name], given)
    assert "--allowance" not in again.err, "it is frozen already"
    buyer.close()


@pytest.mark.filterwarnings("ignore:Purse 'team is' is new")
@pytest.mark.parametrize("purse", ["default", "team is"])
@pytest.mark.parametrize("name", ["run-7", "Run 7", "it's mine"])
def test_a_payment_under_a_frozen_one_names_the_command_that_lifts_it(
    seller: Sandbox, given: dict[str, str], name: str, purse: str
) -> None:
    buyer = seller.buyer(Policy(per_day="5"), ledger=given["X402_LEDGER"], purse=purse)
    allowance = buyer.allowance("1.00", name=name)
    allowance.freeze()
    with pytest.raises(Frozen) as refused, x402_client.httpx.wrap(httpx.Client(), allowance) as client:
        client.get(seller.url + "/evm/weather")
    from x402_client.cli.in_use import using

    with using({"ledger": given["X402_LEDGER"], "purse": purse}):
        said = in_own_words(str(refused.value.args[0]))
    assert "unfreeze()" not in said
    found = re.search("`(x402 ledger unfreeze --allowance [^`]*)` lifts it", said)
    assert found is not None, said
    assert in_process(shlex.split(found[1])[1:], given).code == 0
    with x402_client.httpx.wrap(httpx.Client(), allowance) as client:
        assert client.get(seller.url + "/evm/weather").status_code == 200
    buyer.close()


def test_a_lift_of_a_closed_one_lifts_nothing(spent: dict[str, str]) -> None:
    ran = in_process(["ledger", "unfreeze", "--allowance", "old"], spent)
    assert ran.code == 1
    assert "Nothing was lifted: the allowance old is closed" in " ".join(ran.err.split())


def test_a_person_is_asked_before_one_is_closed(spent: dict[str, str]) -> None:
    said = terminal(["ledger", "close", "step"], spent, [("[y/N]", "n\n")])
    assert "Close step for good?" in said.screen
    assert [one["allowance"] for one in document(spent, "ledger", "allowances")["allowances"]] == ["run-42", "step"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["close", "run-43", "--yes"], "There is no allowance 'run-43' in purse 'default'"),
        (["freeze", "--allowance", "run-43"], "There is: old, run-42, step, ~"),
        (["unfreeze", "a.example", "--allowance", "run-42"], "Name a host or an allowance, not both."),
    ],
)
def test_mistakes_are_named(spent: dict[str, str], command: list[str], said: str) -> None:
    ran = in_process(["ledger", *command], spent)
    assert ran.code == 2
    assert said in " ".join(ran.err.split())


def test_a_ledger_without_one_says_how_there_is_one(seller: Sandbox, given: dict[str, str]) -> None:
    assert in_process(["get", f"{seller.url}/evm/weather", "--yes"], given).code == 0
    assert "A program opens one: buyer.allowance(...)." in in_process(["ledger", "allowances"], given).text
    assert "Allowances" not in in_process(["status", "--offline"], given).text


def test_yes_pays_within_the_damper_of_the_policy(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    policy = tmp_path / "damped.toml"
    policy.write_text('same_request = "1/hour"\n' + Path(given["X402_POLICY"]).read_text())
    checked = in_process(["policy", "check", str(policy)], given).text
    assert "same request at most 1 per hour; then asks, or refuses" in lines(checked)
    command = ["get", f"{seller.url}/evm/weather", "--policy", str(policy), "--yes"]
    assert in_process(command, given).code == 0
    again = in_process(command, given)
    assert again.code == 3
    assert "The same request was paid once already" in " ".join(again.err.split())


def test_a_command_pays_under_an_allowance_of_the_ledger(seller: Sandbox, given: dict[str, str]) -> None:
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"), ledger=given["X402_LEDGER"])
    trip = buyer.allowance("0.03", minutes=7, name="trip", hosts=["127.0.0.1"])
    day = trip.allowance("0.01", name="day")
    url, under = seller.url + "/evm/weather", ["--under", "day"]
    assert document(given, "quote", url, *under)["choice"] is not None
    assert in_process(["get", url, "--yes", *under], given).code == 0
    assert [str(one.spent) for one in (day, trip)] == ["0.01 USD"] * 2
    used_up = in_process(["quote", url, *under], given)
    again = in_process(["get", url, "--yes", *under], given)
    assert (used_up.code, "allowance 'day'" in used_up.text) == (3, True)
    assert again.code == 3
    assert "allowance 'day'" in again.err
    assert in_process(["get", url, "--yes", "--under", "trip"], given).code == 0
    assert [str(one.spent) for one in (day, trip)] == ["0.01 USD", "0.02 USD"]
    trip.close()
    assert in_process(["get", url, "--yes", *under], given).code == 3
    buyer.close()


@pytest.mark.parametrize("command", [["get", "--yes"], ["quote"]])
def test_an_allowance_that_is_not_in_the_ledger_is_refused(
    spent: dict[str, str], seller: Sandbox, command: list[str], tmp_path: Path
) -> None:
    ran = in_process([*command, seller.url + "/evm/weather", "--under", "other"], spent)
    assert ran.code == 2
    assert "There is no allowance 'other' in purse 'default' of this ledger. There is: old, run-42, step." in ran.err
    empty = spent | {"X402_LEDGER": str(tmp_path / "new.db")}
    ran = in_process([*command, seller.url + "/evm/weather", "--under", "other"], empty)
    assert (ran.code, "A program opens one: buyer.allowance(...)." in ran.err) == (2, True)
