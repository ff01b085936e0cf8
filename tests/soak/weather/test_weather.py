"""A minute of weather in every run of .ci/run, and a judge who notices what is wrong with its evidence."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.real.environments import environment, needed

from . import table
from .draws import FLEETS, WEATHER, drawn, order
from .evidence import Evidence, Seen, Settled
from .journal import Journal, read
from .judge import RULES, judged
from .run import Report, Run

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(900)]
SEED, SECONDS = "402", 45.0
DOORS = ("fastapi-v2", "flask-v1")


@pytest.fixture(scope="module")
def report() -> Iterator[Report]:
    for kit in ("v1", "v2"):
        needed(environment, kit)
    fleets = [fleet for fleet in FLEETS if fleet.name in ("sqlite", "redis")]
    with Run(SEED, SECONDS, fleets, DOORS, lambda words: None) as run:
        yield run()


@pytest.fixture
def evidence(report: Report) -> Evidence:
    """Of the fleet that shares a file. A copy: it is tampered with."""
    found = next(one for one in report.evidence if one.fleet.name == "sqlite")
    assert found.seen, "nobody paid"
    for name in ("orders", "used", "by_order"):
        vars(found).pop(name, None)
    return copy.deepcopy(found)


def test_every_promise_is_kept_in_bad_weather(report: Report) -> None:
    assert table.broken(report) == []
    assert report.events["buyers killed"] > 0
    for one in report.evidence:
        assert len(one.settled) > 5
        assert report.faults[one.fleet.name].total() > 20
        assert "content" in {last["kind"] for last in one.orders.values()}
    assert "| **settled twice** | **0** |" in table.text(report)


# --- the judge


def settles(evidence: Evidence, one: Seen) -> None:
    evidence.settled.append(Settled(evidence.payer, one.settles_as, one.amount))
    assert evidence.ledger is not None
    evidence.ledger[one.nonce] = "delivered"


def paid(evidence: Evidence) -> Seen:
    """Something that settled before the drought."""
    used = {one.nonce for one in evidence.settled}
    return next(one for one in evidence.seen if one.settles_as in used and one.phase == "weather")


def another(one: Seen, nonce: str = "0xother", **changes: Any) -> Seen:
    return replace(one, nonce=nonce, settles_as=nonce, digest=nonce, **changes)


def a_second_settlement(evidence: Evidence) -> None:
    evidence.seen.append(another(paid(evidence), at=evidence.leapt_at + 1, phase="drought"))
    settles(evidence, evidence.seen[-1])


def one_nonce_settled_twice(evidence: Evidence) -> None:
    evidence.settled.append(evidence.settled[0])


def a_second_signature(evidence: Evidence) -> None:
    one = paid(evidence)
    evidence.seen.append(another(one, at=one.at + 1))


def another_form_of_a_payment(evidence: Evidence) -> None:
    evidence.seen.append(replace(paid(evidence), digest="other"))


def a_minute_of_too_many(evidence: Evidence) -> None:
    one = paid(evidence)
    many = evidence.fleet.per_minute // one.amount + 1
    evidence.seen += [
        another(one, f"0x{number}", order=f"sqlite-0-0-{number}") for number in range(1_000, 1_000 + many)
    ]


def too_many_at_one_door(evidence: Evidence) -> None:
    one = paid(evidence)
    many = evidence.fleet.host_minute // one.amount + 1
    evidence.seen += [
        another(one, f"0x{number}", order=f"sqlite-0-0-{number}", door="another")
        for number in range(1_000, 1_000 + many)
    ]


def a_look_too_low(evidence: Evidence) -> None:
    evidence.samples.append((10_000, 9_999))


def a_settlement_that_the_ledger_forgot(evidence: Evidence) -> None:
    assert evidence.ledger is not None
    del evidence.ledger[paid(evidence).nonce]


def a_settlement_that_nobody_saw(evidence: Evidence) -> None:
    evidence.settled.append(Settled(evidence.payer, "0xunseen", 1))


def says(evidence: Evidence, order: str, **last: Any) -> None:
    """The last word on an order, from the buyer whose it is."""
    own = next(lines for lines in evidence.journals if any(line.get("order") == order for line in lines))
    own.append({"at": evidence.leapt_at + 99, "order": order, **last})


def ends(**last: Any) -> Callable[[Evidence], None]:
    return lambda evidence: says(evidence, paid(evidence).order, **last)


def a_refusal_after_a_payment_that_is_not_in_the_ledger(evidence: Evidence) -> None:
    a_settlement_that_the_ledger_forgot(evidence)
    used = {one.nonce for one in evidence.settled}
    lost = next(one for one in evidence.seen if one.settles_as in used and one.nonce not in (evidence.ledger or {}))
    says(evidence, lost.order, kind="refused", money="untouched", words="")


def more_files(evidence: Evidence) -> None:
    quiet = {"look": "open", "files": 9, "sockets": 0, "threads": 3, "tasks": 2, "memory": 60_000}
    evidence.journals[0] += [{"at": 1.0, **quiet}, {"at": 2.0, **quiet, "files": 40}]


def a_socket_left(evidence: Evidence) -> None:
    evidence.journals[0].append({"at": 1.0, "look": "closed", "sockets": 1})


def an_emptied_ledger(evidence: Evidence) -> None:
    evidence.emptied_at = paid(evidence).at - 60


NEXT = "Make the same request again"
TAMPERED: dict[str, list[Callable[[Evidence], None]]] = {
    "settled twice": [a_second_settlement, one_nonce_settled_twice],
    "signed again while the first could settle": [a_second_signature, another_form_of_a_payment],
    "over budget": [a_minute_of_too_many, too_many_at_one_door],
    "ledger below the chain": [a_look_too_low, a_settlement_that_the_ledger_forgot, a_settlement_that_nobody_saw],
    "paid from an emptied ledger": [an_emptied_ledger],
    "ends without an explanation": [
        ends(kind="failed", words="ReadError"),
        ends(begins=True),
        ends(kind="open", words="PaymentRejected: and no way on", money="held"),
        ends(kind="later", words="OverLimit", money="held"),
        a_refusal_after_a_payment_that_is_not_in_the_ledger,
    ],
    "leaks": [more_files, a_socket_left],
}


def test_every_rule_is_tampered_with() -> None:
    assert TAMPERED.keys() == RULES.keys()


@pytest.mark.parametrize(("rule", "tamper"), [(rule, tamper) for rule, ways in TAMPERED.items() for tamper in ways])
def test_the_judge_notices(evidence: Evidence, rule: str, tamper: Callable[[Evidence], None]) -> None:
    assert judged(evidence) == []
    vars(evidence).pop("orders"), vars(evidence).pop("used"), vars(evidence).pop("by_order")
    tamper(evidence)
    found = judged(evidence)
    assert rule in {one.rule for one in found}
    for one in found:
        assert one.words in table.history(evidence, one)


def test_the_judge_lets_a_clear_next_step_pass(evidence: Evidence) -> None:
    ends(kind="open", words=NEXT, money="held")(evidence)
    assert judged(evidence) == []


def test_a_purchase_that_was_never_paid_is_not_called_undelivered(evidence: Evidence) -> None:
    order = "sqlite-0-0-9999"
    evidence.journals[0].append({"at": 1.0, "order": order, "kind": "not delivered", "words": ""})
    assert [(one.rule, one.order) for one in judged(evidence)] == [("ends without an explanation", order)]


def test_without_a_ledger_a_refusal_is_proven_by_the_chain_alone(evidence: Evidence) -> None:
    never, once = "sqlite-0-0-9999", paid(evidence).order
    evidence.ledger = None
    evidence.journals[0].append({"at": 1.0, "order": never, "kind": "refused", "words": "", "money": ""})
    says(evidence, once, kind="refused", words="", money="")
    found = {one.order for one in judged(evidence) if one.rule == "ends without an explanation"}
    assert once in found
    assert never not in found


# --- its parts


def test_a_seed_repeats_the_draw() -> None:
    names = [f"sqlite-0-1-{number}" for number in range(300)]
    first, again, other = ([order(seed, name, DOORS) for name in names] for seed in ("1", "1", "2"))
    assert first == again != other
    assert {one.style for one in first} == {"plain", "key", "ahead", "loss"}
    assert {one.leads for one in first} == {"", "here", "elsewhere"}
    for leg, kinds in WEATHER.items():
        drawn_once = [drawn("1", name, leg, 0) for name in names]
        assert drawn_once == [drawn("1", name, leg, 0) for name in names]
        assert set(drawn_once) == set(kinds)


def test_a_journal_survives_a_line_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'{"order": "a"}\n{"order": "b", "ki')
    journal = Journal(path)
    journal.write(order="c")
    journal.close()
    assert [line["order"] for line in read(path)] == ["a", "c"]
    assert list(read(tmp_path / "none")) == []
