"""Allowances as an application holds them: opened, resumed, spent, watched, closed; on its own and in a tree."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

import x402_client.httpx
from tests.adapters.cash_register import KEY
from tests.promises import children
from x402_client import Allowance, Buyer, Money, Policy, Wallet, errors, events, outcome
from x402_client.errors import AllowanceEnded, ConfigurationError, Frozen, LedgerUnavailable, OverLimit
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite.clock import LedgerClock
from x402_client.sandbox import Sandbox


@pytest.fixture(scope="module")
def seller() -> Iterator[Sandbox]:
    with Sandbox(redeliver=True) as seller:
        yield seller


@pytest.fixture
def buyer(seller: Sandbox) -> Buyer:
    return seller.buyer(Policy(per_request="0.10", per_day="5"))


def ask(payer: Any, seller: Sandbox, path: str = "/weather") -> httpx.Response:
    """Make one call by a client of its own; every answer of the sandbox here costs a cent."""
    with x402_client.httpx.wrap(httpx.Client(), payer) as client:
        return client.get(seller.url + path)


def refused(payer: Any, seller: Sandbox, kind: type[errors.X402Error] = OverLimit) -> errors.X402Error:
    with pytest.raises(kind) as found:
        ask(payer, seller)
    assert found.value.money == "untouched"
    return found.value


# Spending


def test_an_allowance_that_is_full_of_unresolved_payments_says_that_they_may_come_back(
    buyer: Buyer, seller: Sandbox
) -> None:
    run, other = buyer.allowance("0.01", name="run-42"), buyer.allowance("0.01", name="other")
    seller.order(*["drop-before-settling"] * 3)
    with pytest.raises(errors.PaymentOutcomeUnknown):
        ask(run.allowance("0.01", name="step"), seller, "/weather?unresolved")
    ask(other, seller)
    # The one in a child counts in those above; that of the other allowance is delivered, and no other's counts there.
    assert "It fits again only if the chain shows that 1 unresolved payment counted in it" in str(refused(run, seller))
    assert "Waiting will not help" in str(refused(other, seller))


def test_a_payment_counts_in_its_allowance_in_those_above_and_in_the_policys_limits(
    buyer: Buyer, seller: Sandbox
) -> None:
    run = buyer.allowance("0.03", name="run-42")
    step = run.allowance("0.02", name="step")
    answer = ask(step, seller)
    found = outcome(answer)
    assert found is not None
    assert (found.hold.allowance, found.hold.path) == ("step", ("allowance run-42", "allowance step"))
    assert "allowance step" in repr(found.hold)
    ask(run, seller)
    assert [str(each.spent) for each in (run, step)] == ["0.02 USD", "0.01 USD"]
    assert [str(each.remaining) for each in (run, step)] == ["0.01 USD", "0.01 USD"]
    assert str(buyer.spent()) == "0.02 USD"
    ask(step, seller)
    over = refused(step, seller)
    assert isinstance(over, OverLimit)
    assert (over.allowance, over.limit, over.resets_at) == ("run-42", Money("0.03"), None)
    assert (
        "another allowance, with more in it, and a new client wrapped with that or a `with` block of it, allows it"
        in over.args[0]
    )
    assert "Waiting will not help" in over.args[0]
    assert [hold.allowance for hold in run.history()] == ["step", "run-42", "step"]
    assert [hold.allowance for hold in step.history(1)] == ["step"]
    ask(buyer, seller)
    assert len(buyer.history()) == 4


def test_a_child_is_never_larger_than_what_is_left_above_it(buyer: Buyer, seller: Sandbox) -> None:
    run = buyer.allowance("0.01")
    wide = run.allowance("1000.50")
    assert str(wide.remaining) == "0.01 USD"
    ask(run, seller)
    assert (str(wide.remaining), str(wide.balance().amount)) == ("0.00 USD", "1000.50 USD")
    refused(wide, seller)


def test_the_policy_holds_inside_an_allowance(seller: Sandbox) -> None:
    run = seller.buyer(Policy(per_request="0.01", per_day="0.01")).allowance("5")
    ask(run, seller)
    assert "per day" in refused(run, seller).args[0]


def test_an_amount_in_dollars_is_one_of_test_dollars_too_and_of_nothing_else(buyer: Buyer) -> None:
    run = buyer.allowance(["1", "2 EUR"])
    assert [str(run.balance(currency).amount) for currency in ("USD", "USD (test)", "eur", "EUR (test)", "GBP")] == [
        "1.00 USD", "1.00 USD (test)", "2.00 EUR", "2.00 EUR (test)", "0.00 GBP",
    ]  # fmt: skip
    assert run.amounts == (Money("1 USD"), Money("2 EUR"))
    only = buyer.allowance("1 USD (test)")
    assert [str(only.balance(currency).amount) for currency in ("USD", "USD (test)")] == [
        "0.00 USD", "1.00 USD (test)",
    ]  # fmt: skip


# Scopes


def test_a_scope_follows_tasks_and_threads_of_asyncio_and_ends_with_its_block(buyer: Buyer, seller: Sandbox) -> None:
    run = buyer.allowance("1")

    async def main() -> None:
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client:
            with run:
                await asyncio.gather(*(client.get(seller.url + "/weather") for _ in range(3)))
                await asyncio.to_thread(ask, buyer, seller)
            await client.get(seller.url + "/weather")
        assert str(await run.aspent()) == "0.04 USD"
        assert str(await run.aremaining()) == "0.96 USD"

    asyncio.run(main())
    assert len(buyer.history()) == 5


def test_one_allowance_is_a_scope_of_many_threads_at_once(buyer: Buyer, seller: Sandbox) -> None:
    run, gate = buyer.allowance("1"), threading.Barrier(4)

    def work(number: int) -> None:
        gate.wait()
        if number % 2:
            with run, run:
                ask(buyer, seller)
        ask(buyer, seller)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (str(run.spent), str(buyer.spent())) == ("0.02 USD", "0.06 USD")


def test_a_plain_thread_is_given_the_scope(buyer: Buyer, seller: Sandbox) -> None:
    run = buyer.allowance("1")
    with run:
        thread = threading.Thread(target=ask, args=(buyer, seller))
        thread.start()
        thread.join()
    assert str(run.spent) == "0.00 USD"
    assert run.run(ask, buyer, seller).status_code == 200
    assert str(run.spent) == "0.01 USD"

    async def late() -> None: ...

    with pytest.raises(ConfigurationError, match="with allowance:"):
        run.run(late)


def test_a_block_of_a_buyer_with_another_ledger_is_paid_by_no_other(buyer: Buyer, seller: Sandbox) -> None:
    other = seller.buyer(Policy(per_day="5"))
    with other.allowance("1") as run, pytest.raises(errors.PaymentRefused, match="with another ledger or purse"):
        ask(buyer, seller)
    assert str(run.spent) == str(buyer.spent()) == "0.00 USD"


def test_a_purchase_inside_an_allowance_keeps_both(buyer: Buyer, seller: Sandbox) -> None:
    run = buyer.allowance("1")
    for _ in range(2):
        with run, buyer.purchase(key="order-42"):
            if buyer.history():
                refused_again = pytest.raises(errors.AlreadyPaid)
                with refused_again as found:
                    ask(buyer, seller)
                assert found.value.hold is not None
                assert found.value.hold.allowance == run.name
            else:
                ask(buyer, seller)
    assert str(run.spent) == "0.01 USD"


def test_a_scope_keeps_the_allowance_that_it_was_made_of(buyer: Buyer, seller: Sandbox) -> None:
    with buyer.allowance("1").purchase(key="k"):
        gc.collect()
        buyer.allowance("1")
        assert ask(buyer, seller).status_code == 200


# Names


@pytest.fixture(params=["memory", "sqlite"])
def again(request: pytest.FixtureRequest, seller: Sandbox, tmp_path: Path) -> Callable[[], Buyer]:
    """Return what makes a further buyer on one ledger."""
    kept = MemoryLedger()

    def make() -> Buyer:
        return seller.buyer(Policy(per_day="5"), ledger=kept if request.param == "memory" else tmp_path / "spend.db")

    return make


def test_a_named_one_goes_on_with_what_is_left(again: Callable[[], Buyer], seller: Sandbox) -> None:
    first = again().allowance("0.02", minutes=60, name="run-42", hosts=["127.0.0.1", "a.example"])
    ask(first, seller)
    second = again().allowance(Money("0.020"), minutes=60.0, name="run-42", hosts=["a.example", "127.0.0.1"])
    assert (second.until, second.spent, second.name) == (first.until, Money("0.01"), "run-42")
    ask(second, seller)
    refused(first, seller)
    assert len(second.history()) == 2


@pytest.mark.parametrize(
    ("terms", "shown"),
    [
        ({"amount": "2"}, "2.00 USD"),
        ({"minutes": 61}, "61 minutes"),
        ({"minutes": None}, "no end"),
        ({"hosts": ["b.example"]}, "hosts b.example"),
        ({"hosts": None}, "any host"),
        ({"per_request": "0.02"}, "per request 0.02 USD"),
        ({"per_request": None}, "no limit per request"),
    ],
)
def test_other_terms_are_refused_and_both_are_shown(buyer: Buyer, terms: dict[str, Any], shown: str) -> None:
    kept: dict[str, Any] = {"amount": "1", "minutes": 60, "hosts": ["a.example"], "per_request": "0.01"}
    for payer in (buyer, buyer.allowance("5", name="parent")):
        name = f"run {payer is buyer}"
        payer.allowance(**kept, name=name)
        with pytest.raises(ConfigurationError) as found:
            payer.allowance(**{**kept, **terms}, name=name)
        said = found.value.args[0]
        assert "1.00 USD, 60 minutes, hosts a.example, per request 0.01 USD, " in said
        assert shown in said.partition("Asked for were")[2]
        assert "another name" in said


def test_another_parent_is_another_term(buyer: Buyer) -> None:
    buyer.allowance("1", name="run")
    with pytest.raises(ConfigurationError, match="parent 'above'"):
        buyer.allowance("1", name="above").allowance("1", name="run")


def test_a_name_stays_taken_when_it_is_closed(again: Callable[[], Buyer], seller: Sandbox) -> None:
    run = again().allowance("1", name="run-42")
    ask(run, seller)
    run.close()
    heard: list[Any] = []
    buyer = again()
    buyer.services.on_event = heard.append
    resumed = buyer.allowance("1", name="run-42")
    assert [event.problem for event in heard] == ["The allowance 'run-42' is closed: nothing new is paid under it."]
    assert (resumed.balance().state, str(resumed.spent), str(resumed.remaining)) == ("closed", "0.01 USD", "0.00 USD")
    assert "was closed" in refused(resumed, seller, AllowanceEnded).args[0]
    with pytest.raises(ConfigurationError, match="other terms"):
        buyer.allowance("2", name="run-42")


def test_names_belong_to_a_purse(seller: Sandbox) -> None:
    ledger = MemoryLedger()
    for purse, amount in (("a", "1"), ("b", "2")):
        buyer = seller.buyer(Policy(per_day="5"), ledger=ledger, purse=purse)
        assert buyer.allowance(amount, name="run").remaining == Money(amount)


@pytest.mark.parametrize("name", ["", "~run", 5, "a\nb", "\ud800", "x" * 201, b"run"])
def test_a_name_is_text_of_the_users_own(buyer: Buyer, name: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"name|Names"):
        buyer.allowance("1", name=name)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"amount": 0.1}, "amount"),
        ({"amount": "one"}, "amount"),
        ({"amount": ()}, "amount"),
        ({"amount": None}, "has an amount"),
        ({"amount": 10_000}, "means 10000 US dollars"),
        ({"amount": ["1", "2"]}, "two amounts of USD"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": -5}, "minutes"),
        ({"minutes": float("nan")}, "minutes"),
        ({"minutes": float("inf")}, "minutes"),
        ({"minutes": True}, "minutes"),
        ({"minutes": "60"}, "minutes"),
        ({"minutes": 10**9}, "100 years"),
        ({"hosts": "a.example"}, "hosts is a list"),
        ({"hosts": []}, "hosts is empty"),
        ({"hosts": ["https://a.example/x"]}, "not a host"),
        ({"per_request": 0.1}, "per_request"),
        ({"per_request": 10_000}, "per_request=10000"),
    ],
)
def test_terms_are_checked_when_they_are_written(buyer: Buyer, terms: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        buyer.allowance(**{"amount": "1", **terms})
    assert buyer.ledger.allowances() == ()


def test_a_named_one_is_not_inside_of_one_that_does_not_last(buyer: Buyer) -> None:
    with pytest.raises(ConfigurationError, match="Name that one too"):
        buyer.allowance("1").allowance("1", name="step")
    assert buyer.allowance("1", name="run").allowance("1").name.startswith("~")


# Ends


class Aging:
    """Buyers on one file, whose clock a test turns; the machine's own is an hour off."""

    def __init__(self, seller: Sandbox, path: Path) -> None:
        self.at, self.seller, self.path = 1_790_000_000.0, seller, path

    def buyer(self) -> Buyer:
        clock = LedgerClock(lambda: self.at, lambda: self.at, lambda: "boot")
        return self.seller.buyer(Policy(per_day="5"), ledger=SqliteLedger(self.path, clock=clock))


@pytest.fixture
def aging(seller: Sandbox, tmp_path: Path) -> Aging:
    return Aging(seller, tmp_path / "spend.db")


def test_the_end_of_a_named_one_was_fixed_when_it_was_opened_first(aging: Aging, seller: Sandbox) -> None:
    run = aging.buyer().allowance("1", minutes=60, name="run-42")
    assert run.until is not None
    assert run.until.timestamp() == aging.at + 3_600
    aging.at += 3_599
    resumed = aging.buyer().allowance("1", minutes=60, name="run-42")
    assert resumed.until == run.until
    ask(resumed, seller)
    aging.at += 1
    over = refused(resumed, seller, AllowanceEnded)
    assert f"ended at {run.until:%Y-%m-%d %H:%M:%S} UTC" in over.args[0]
    assert (resumed.balance().state, str(resumed.remaining), str(resumed.spent)) == ("ended", "0.00 USD", "0.01 USD")
    assert aging.buyer().allowance("1", minutes=60, name="run-42").until == run.until


def test_nothing_in_a_child_outlives_its_parent(aging: Aging, seller: Sandbox) -> None:
    run = aging.buyer().allowance("1", minutes=1)
    step = run.allowance("1", minutes=1_000)
    short = run.allowance("1", minutes=0.5)
    assert run.until is not None
    assert step.until == run.until
    assert short.until is not None
    assert short.until < run.until
    aging.at += 60
    for each in (run, step, short):
        refused(each, seller, AllowanceEnded)
        assert each.balance().state == "ended"
    assert ask(aging.buyer(), seller).status_code == 200


def test_a_payment_that_was_not_signed_in_time_does_not_leave(aging: Aging, seller: Sandbox) -> None:
    asked: list[Any] = []

    def slowly(approval: Any) -> bool:
        asked.append(approval.allowance)
        aging.at += 61
        return True

    buyer = seller.buyer(Policy(per_day="5"), ledger=aging.buyer().ledger, approve=slowly)
    run = buyer.allowance("1", minutes=1)
    refused(run, seller, AllowanceEnded)
    assert (asked, buyer.spent().units, buyer.holds()) == ([run.name], 0, ())


def test_a_parent_closes_and_freezes_its_children_in_every_process(again: Callable[[], Buyer], seller: Sandbox) -> None:
    def tree() -> tuple[Allowance, Allowance]:
        run = again().allowance("1", name="run")
        return run, run.allowance("1", name="step")

    (run, _), (_, step) = tree(), tree()
    run.freeze()
    above = refused(step, seller, Frozen)
    assert isinstance(above, Frozen)
    assert ("'run' is frozen" in above.args[0], above.allowance) == (True, "run")
    assert [each.balance().state for each in (run, step)] == ["frozen", "frozen"]
    assert str(step.remaining) == "1.00 USD"
    run.unfreeze()
    ask(step, seller)
    step.freeze()
    ask(run, seller)
    own = refused(step, seller, Frozen)
    assert isinstance(own, Frozen)
    assert own.allowance == "step"
    step.unfreeze()
    run.close()
    assert "'run' was closed" in refused(step, seller, AllowanceEnded).args[0]
    assert [each.balance().state for each in (run, step)] == ["closed", "closed"]
    run.unfreeze()
    refused(run, seller, AllowanceEnded)


def test_the_async_twins(buyer: Buyer, seller: Sandbox) -> None:
    async def main() -> None:
        run = await buyer.aallowance("1", name="run")
        step = await run.aallowance("0.5", minutes=5)
        async with x402_client.httpx.wrap(httpx.AsyncClient(), step) as client:
            await client.get(seller.url + "/weather")
            assert (await run.abalance("USD")).spent == await step.aspent() == Money("0.01")
            assert [hold.allowance for hold in await run.ahistory()] == [step.name]
            assert await step.aholds() == ()
            await run.afreeze()
            with pytest.raises(Frozen):
                await client.get(seller.url + "/weather")
            await run.aunfreeze()
            await step.aclose()
            with pytest.raises(AllowanceEnded):
                await client.get(seller.url + "/weather")
        with pytest.raises(ConfigurationError, match="other terms"):
            await buyer.aallowance("2", name="run")

    anyio.run(main)


def test_one_without_a_name_lasts_as_long_as_its_object(buyer: Buyer, seller: Sandbox) -> None:
    run, named = buyer.allowance("1"), buyer.allowance("1", name="run")
    step = run.allowance("1")
    ask(step, seller)
    del run
    gc.collect()
    buyer.allowance("1", name="other")
    assert ask(step, seller).status_code == 200, "what is inside keeps what is above it"
    name = step.name
    del step, named
    gc.collect()
    buyer.allowance("1", name="other")
    assert {record.terms.name for record in buyer.ledger.allowances()} == {"run", "other"}
    assert [hold.allowance for hold in buyer.history()] == [name, name]


def test_a_buyer_that_is_closed_lets_go_of_what_was_left_behind(seller: Sandbox, tmp_path: Path) -> None:
    for use in (lambda buyer: buyer.close(), lambda buyer: anyio.run(buyer.aclose)):
        buyer = seller.buyer(Policy(per_day="5"), ledger=tmp_path / "spend.db")
        buyer.allowance("1")
        gc.collect()
        use(buyer)
    assert SqliteLedger(tmp_path / "spend.db").allowances() == ()


def test_one_that_the_ledger_lost_pays_nothing_and_says_so(buyer: Buyer, seller: Sandbox) -> None:
    run = buyer.allowance("1")
    buyer.ledger.mark_allowance("default", f"allowance {run.name}", "forgotten")
    for question in (lambda: ask(run, seller), lambda: run.spent, run.close, run.freeze):
        with pytest.raises(LedgerUnavailable, match="knows no allowance"):
            question()


# What is told


def test_80_and_95_percent_are_told_once_each_with_what_is_left(seller: Sandbox) -> None:
    heard: list[Any] = []
    buyer = seller.buyer(Policy(per_day="5"), on_event=heard.append)
    run = buyer.allowance("0.10", name="run")
    step = run.allowance("0.02", name="step")
    for payer in (*[run] * 7, step, run, run):
        ask(payer, seller)
    low = [event for event in heard if isinstance(event, events.AllowanceLow)]
    assert [(event.allowance, event.percent, str(event.left)) for event in low] == [
        ("run", 80, "0.02 USD"), ("run", 95, "0.00 USD"),
    ]  # fmt: skip
    ask_step = heard.clear() or refused(step, seller)
    assert "run" in ask_step.args[0]
    (told,) = [event for event in heard if isinstance(event, events.Refused)]
    assert told.allowance == "step"
    assert str(low[0]) == (
        f"allowance low GET {seller.url}/weather 80 % of the allowance 'run' are spent: 0.02 USD of 0.10 USD are left"
    )


def test_events_carry_the_name_and_what_is_left(seller: Sandbox) -> None:
    heard: list[Any] = []
    buyer = seller.buyer(Policy(per_day="5"), on_event=heard.append)
    run = buyer.allowance("1", name="run")
    ask(run.allowance("0.5", name="step"), seller)
    kinds = (events.Presented, events.Answered, events.Delivered)
    found = [event for event in heard if isinstance(event, kinds)]
    holds = [event.outcome.hold if isinstance(event, events.Answered) else event.hold for event in found]
    assert [hold.allowance for hold in holds] == ["step"] * 3
    assert all("allowance='step'" in str(event) for event in found)
    left = [(one.allowance, str(one.left), str(one.amount)) for one in found[0].left]
    assert left == [("run", "0.99 USD", "1.00 USD"), ("step", "0.49 USD", "0.50 USD")]


def test_its_repr_says_what_it_allows(buyer: Buyer) -> None:
    run = buyer.allowance("1", minutes=60, name="run-42", hosts=["a.example"])
    assert repr(run) == ("<Allowance run-42: 1.00 USD, 60 minutes, hosts a.example, no limit per request, no parent>")
    assert repr(Allowance.__new__(Allowance)) == "<Allowance, half built>"
    assert (run.buyer, run.parent, run.allowance("1").parent) == (buyer, None, run)


def test_one_without_a_name_is_called_so_and_its_drawn_name_is_not_shown(seller: Sandbox, buyer: Buyer) -> None:
    heard: list[Any] = []
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"), on_event=heard.append)
    unnamed, elsewhere = buyer.allowance("0.01"), buyer.allowance("1", hosts=["a.example"])
    inside = unnamed.allowance("1")
    answer = ask(inside, seller)
    hold = answer.extensions["x402"].hold
    said = [repr(unnamed), repr(inside), repr(hold), *map(str, heard), str(refused(unnamed, seller))]
    said += [str(refused(elsewhere, seller, errors.HostNotAllowed)), str(quote_of(unnamed, seller))]
    unnamed.freeze()
    said += [str(refused(unnamed, seller, errors.Frozen)), str(quote_of(unnamed, seller))]
    unnamed.close()
    said += [str(refused(unnamed, seller, errors.AllowanceEnded))]
    assert not [one for one in said if "~" in one]
    assert sum("without a name" in one for one in said) >= 9
    assert "x402 ledger unfreeze" not in said[-3], "no command finds it"
    assert hold.allowance == inside.name, "programs still tell them apart"


def quote_of(payer: Any, seller: Sandbox) -> list[str | None]:
    with x402_client.httpx.wrap(httpx.Client(), payer) as client:
        return [str(offer.reason) for offer in x402_client.httpx.quote(client, "GET", seller.url + "/weather").offers]


# On other ways


def test_terms_that_were_learned_elsewhere_are_not_paid_ahead(seller: Sandbox) -> None:
    """What another allowance of the same client may pay is no reason to pay it under this one."""
    buyer = seller.buyer(Policy(per_day="5", pay_ahead=True))
    elsewhere, cheap = buyer.allowance("1", hosts=["a.example"]), buyer.allowance("1", per_request="0.001")
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        client.get(seller.url + "/weather")
        before = len(seller.settlements)
        for allowance in (elsewhere, cheap, buyer.allowance("1 EUR")):
            with allowance, pytest.raises(errors.PaymentRefused):
                client.get(seller.url + "/weather")
        with buyer.allowance("0.01") as enough:
            client.get(seller.url + "/weather")
            with pytest.raises(OverLimit):
                client.get(seller.url + "/weather")
    assert (str(enough.spent), len(seller.settlements)) == ("0.01 USD", before + 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork on this system, so no copy of an allowance.")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_lets_go_of_no_allowance_of_its_parents(seller: Sandbox, tmp_path: Path) -> None:
    buyer = seller.buyer(Policy(per_day="5"), ledger=tmp_path / "spend.db")
    kept = [buyer.allowance("1")]

    def work() -> None:
        kept.clear()
        gc.collect()
        buyer.allowance("1", name="of the child")

    assert children.done(work) == 0
    assert ask(kept[0], seller).status_code == 200


def test_the_machines_clock_neither_ends_nor_prolongs_an_allowance(seller: Sandbox, tmp_path: Path) -> None:
    steady, wall = [1_790_000_000.0], [0.0]
    clock = LedgerClock(lambda: steady[0] + wall[0], lambda: steady[0], lambda: "boot")
    buyer = seller.buyer(Policy(per_day="5"), ledger=SqliteLedger(tmp_path / "spend.db", clock=clock))
    run = buyer.allowance("1", minutes=60)
    wall[0] = 1e6
    assert ask(run, seller).status_code == 200
    later = buyer.allowance("1", minutes=1)
    assert later.until is not None
    assert later.until.timestamp() == steady[0] + 60
    steady[0] += 3_600
    wall[0] = -1e6
    refused(run, seller, AllowanceEnded)


def test_async_with_is_told_that_it_is_plain_with() -> None:
    buyer = Buyer(Wallet(evm=KEY), Policy(per_day="1"), ledger=":memory:")

    async def enter(scope: Any) -> None:
        async with scope:
            pass

    for scope, named in ((buyer.purchase(per_request="0.1"), "purchases"), (buyer.allowance("0.5"), "an allowance")):
        with pytest.raises(TypeError, match=f"A scope of {named} is entered by plain `with`.*not `async with`"):
            anyio.run(enter, scope)
        with scope:
            pass
