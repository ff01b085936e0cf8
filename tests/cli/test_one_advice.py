"""Every end of a payment, walked through: errors, commands and tools all advise the same about it."""

from __future__ import annotations

import json
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from x402_client import Buyer, Policy, Wallet, errors
from x402_client.agents import tools
from x402_client.agents.advice import next_after
from x402_client.core.next_step import STEPS, next_step
from x402_client.core.stops import Stops
from x402_client.events import Event, Presented
from x402_client.httpx import wrap
from x402_client.model.holds import Hold
from x402_client.sandbox import Sandbox

from .conftest import shell_settings
from .running import in_process

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_pauses")]


@dataclass
class Walk:
    """One user with a ledger of his own, and a seller that does what is ordered."""

    seller: Sandbox
    env: dict[str, str]
    monkeypatch: pytest.MonkeyPatch
    url: str = ""
    error: errors.X402Error | None = None
    expired: bool = False
    just: bool = False
    patience: float = 2
    stop: list[Callable[[], object]] = field(default_factory=list)

    def buyer(self, **more: Any) -> Buyer:
        policy = Policy.from_file(self.env["X402_POLICY"]).but(per_request="500", per_day="5000")
        wallet = Wallet(evm=self.env["X402_EVM_KEY"], solana=self.env["X402_SOLANA_KEY"])
        settings = {"ledger": self.env["X402_LEDGER"], "settle_timeout": self.patience} | more
        buyer = self.seller.buyer(policy, wallet=wallet, **settings)
        self.stop.append(buyer.close)
        return buyer

    def ask(self, *faults: str, price: str = "0.01", times: int = 1, buyer: Buyer | None = None) -> None:
        """Ask for something so often, and keep the last error."""
        self.url = self.url or self.seller.sell(f"/{len(self.seller.settlements)}-{time.monotonic_ns()}", price)
        self.seller.order(*faults)
        with wrap(httpx.Client(timeout=self.patience), buyer or self.buyer()) as client:
            for _ in range(times):
                try:
                    client.get(self.url)
                except errors.X402Error as error:
                    self.error = error

    def later(self, seconds: float) -> None:
        """Let time pass, for this machine and for the chains."""
        now, real = time.time() + seconds, time.monotonic()
        self.seller.advance(seconds)
        self.monkeypatch.setattr(time, "time", lambda: now + time.monotonic() - real)

    def hold(self) -> Hold:
        """Return the one payment that the ledger knows."""
        buyer = self.buyer()
        [found] = [*buyer.holds(), *buyer.history()]
        return found


@pytest.fixture
def walk(bare: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walk]:
    with Sandbox(slow=30) as seller:
        walk = Walk(seller, bare | shell_settings(seller, tmp_path), monkeypatch)
        yield walk
        for stop in walk.stop:
            stop()


def _in_flight(walk: Walk) -> None:
    walk.patience = 60
    buyer = walk.buyer()
    work = lambda: _quietly(lambda: walk.ask("hang-before-settling", buyer=buyer))  # noqa: E731
    threading.Thread(target=work, daemon=True).start()
    while not (walk.url and any(hold.state == "signed" for hold in buyer.holds())):
        time.sleep(0.02)


def _quietly(work: Callable[[], object]) -> None:
    with suppress(Exception):
        work()


def _open(walk: Walk) -> None:
    walk.ask(*["drop-before-settling"] * 3)


def _refused(walk: Walk) -> None:
    walk.ask(*["402-again"] * 12, times=4)


def _short(walk: Walk) -> None:
    walk.ask(price="400")


def _owed(walk: Walk) -> None:
    walk.ask(*["drop-after-settling"], *["drop-before-settling"] * 2)


def _denied(walk: Walk) -> None:
    walk.ask("402-after-settling", times=3)


def _says_no(walk: Walk) -> None:
    walk.ask("work-says-no")


def _led_on(walk: Walk) -> None:
    walk.ask("redirect-after-paying")


def _broken_off(walk: Walk) -> None:
    _quietly(lambda: walk.ask("truncated-body"))


def _by_receipt_and_expired(walk: Walk) -> None:
    _led_on(walk)
    walk.later(5_000)
    walk.expired = True


NO_CHAIN = "eip155:402402402402=http://127.0.0.1:9/ solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1=http://127.0.0.1:9/"


def _just_expired(walk: Walk) -> None:
    _open(walk)
    walk.later(100)
    walk.just = walk.expired = True
    walk.env["X402_RPC"] = NO_CHAIN


def _expired(walk: Walk) -> None:
    _open(walk)
    walk.later(5_000)
    walk.expired = True
    walk.env["X402_RPC"] = NO_CHAIN


def _lost(walk: Walk) -> None:
    _owed(walk)
    walk.later(5_000)
    walk.error, walk.expired = None, True
    assert in_process(["ledger", "reconcile"], walk.env).code == 0


def _lost_for_good(walk: Walk) -> None:
    _owed(walk)
    walk.later(5_000)
    walk.expired = True
    walk.ask(*["402-again"] * 3)
    assert isinstance(walk.error, errors.PaidNotDelivered)


def _lost_to_a_seller_that_is_down(walk: Walk) -> None:
    _owed(walk)
    walk.later(5_000)
    walk.expired = True
    walk.ask(*["drop-before-settling"] * 3)
    assert isinstance(walk.error, errors.PaidNotDelivered)


def _delivered(walk: Walk) -> None:
    walk.ask()


def _written_off(walk: Walk) -> None:
    _open(walk)
    walk.error = None
    assert in_process(["ledger", "write-off", walk.hold().id, "--yes"], walk.env).code == 0


ENDS: dict[str, tuple[Callable[[Walk], None], str]] = {
    "in flight": (_in_flight, "in flight"),
    "unresolved": (_open, "open"),
    "refused time and again": (_refused, "refused"),
    "the wallet is empty": (_short, "short"),
    "paid, no answer": (_owed, "owed"),
    "paid, another 402": (_denied, "denied"),
    "paid, the seller says no": (_says_no, "denied"),
    "paid by the receipt, and led on": (_led_on, "owed"),
    "paid by the receipt, and broken off": (_broken_off, "owed"),
    "paid by the receipt, and expired": (_by_receipt_and_expired, "owed"),
    "just expired": (_just_expired, "just expired"),
    "expired, and no endpoint tells": (_expired, "expired"),
    "lost": (_lost, "owed"),
    "lost, presented again": (_lost_for_good, "denied"),
    "lost, the seller is down": (_lost_to_a_seller_that_is_down, "owed"),
    "delivered": (_delivered, "delivered"),
    "written off": (_written_off, "written off"),
}
OPEN = [name for name, (_, case) in ENDS.items() if STEPS[case] != "nothing"]


#: The ends after which there is a place to look at before all else.
LED_ON = ("paid by the receipt, and led on", "paid by the receipt, and expired")


def step_of(name: str, case: str) -> str:
    """Return the step of an end."""
    return "look there" if name in LED_ON else STEPS[case]


def said_by(walk: Walk, hold: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what each command says of a payment that is open, by its document."""
    [listed] = json.loads(in_process(["ledger", "holds", "--json"], walk.env).out)["holds"]
    yield "holds", listed
    yield "show", json.loads(in_process(["ledger", "show", hold, "--offline", "--json"], walk.env).out)
    status = json.loads(in_process(["status", "--offline", "--json"], walk.env).out)
    quote = json.loads(in_process(["quote", walk.url, "--json"], walk.env).out)
    if listed["state"] == "in flight":
        for place, one in (("status", status), ("quote", quote), ("ledger", _ledger(walk))):
            assert (one["in_flight"]["payments"], one["in_flight"]["holds"]) == (1, [hold]), place
            assert (one["in_flight"]["counted"], one["in_flight"]["since"]) == (["0.01 USD"], listed["time"]), place
        assert (status["unresolved"], quote["unresolved"]) == ([], None)
        assert quote["in_flight"]["same_request"] == [hold]
        return
    assert status["in_flight"]["payments"] == quote["in_flight"]["payments"] == 0
    [one] = status["unresolved"]
    yield "status", one
    yield "quote", quote["unresolved"]
    yield "doctor", json.loads(in_process(["doctor", walk.url, "--json"], walk.env).out)["unresolved"]


def _ledger(walk: Walk) -> dict[str, Any]:
    return dict(json.loads(in_process(["ledger", "--json"], walk.env).out))


@pytest.mark.parametrize("name", ENDS)
def test_every_place_advises_the_same(walk: Walk, name: str) -> None:
    reach, case = ENDS[name]
    reach(walk)
    hold = walk.hold()
    if name in OPEN:
        found = dict(said_by(walk, hold.id))
        advice = found["holds"]["advice"]
        for place, document in found.items():
            assert (document["step"], document["advice"]) == (step_of(name, case), advice), place
    else:
        shown = json.loads(in_process(["ledger", "show", hold.id, "--offline", "--json"], walk.env).out)
        assert shown["step"] == "nothing"
        advice = shown["advice"]
        for command in (["ledger", "retry", hold.id], ["ledger", "write-off", hold.id, "--yes"]):
            said = " ".join(in_process(command, walk.env).err.split())
            assert f"{advice.removeprefix('Nothing: ')[1:]}" in said, command
            assert "Nothing:" not in said, command
    if STEPS[case] != "nothing" and hold.money == "spent":
        assert ("The seller's receipt says that it was paid" in advice) is ("receipt" in name)
        assert ("The chain shows that it was paid" in advice) is ("receipt" not in name)
    _check_words(walk, name, hold, " ".join(advice.split()))
    _check_error(walk, hold, case)


def _check_words(walk: Walk, name: str, hold: Hold, advice: str) -> None:
    """See what the commands say to a person."""
    for command in (["ledger", "show", hold.id, "--offline"], *([["ledger", "holds"]] if name in OPEN else [])):
        assert advice in " ".join(in_process(command, walk.env).text.split()), command
    if name in OPEN and name != "in flight":
        for command in (["status", "--offline"], ["quote", walk.url], ["doctor", walk.url]):
            assert advice in " ".join(in_process(command, walk.env).text.split()), command
        assert advice in " ".join(in_process(["get", walk.url, "--dry-run"], walk.env).err.split())
    if name == "in flight":
        for command in (
            ["status", "--offline"],
            ["quote", walk.url],
            ["doctor", walk.url],
            ["ledger"],
            ["ledger", "reconcile"],
        ):
            ran = in_process(command, walk.env)
            said = " ".join((ran.text + ran.err).split())
            assert "1 payment is in flight since" in said, command
            assert "0.01 USD is counted for it." in said, command
        for command in (["ledger", "retry", hold.id], ["ledger", "write-off", hold.id, "--yes"]):
            assert advice in " ".join(in_process(command, walk.env).err.split()), command


def _check_error(walk: Walk, hold: Hold, case: str) -> None:
    """The error that the caller saw says what the lists say, and a model is told no other step."""
    error = walk.error
    if error is None or error.hold is None:
        return
    assert (error.hold.id, error.money) == (hold.id, hold.money)
    if walk.expired == (isinstance(error, errors.PaidNotDelivered)):
        said = next_step(error.hold, walk.expired)
        assert said.case == case
        assert said.todo in str(error)
        step = STEPS[said.case]
        assert next_after(error) == ("repeat" if step in ("repeat", "wait") else "ask a person")
    else:  # it was raised before the payment expired: asked again, the same call says what the lists say
        walk.ask("402-again", buyer=walk.buyer(reader=_Dumb()))
        assert isinstance(walk.error, errors.PaymentOutcomeUnknown)
        assert walk.error.hold is not None
        said = next_step(walk.error.hold, walk.expired, walk.just)
        assert (said.case, walk.error.wait_until is None) == (case, not walk.just)
        assert said.todo in str(walk.error)


class _Dumb:
    """A reader whose chain cannot be reached."""

    def read(self, hold: Hold) -> str:
        return "unknown"


#: What stops payments: freezes, and an entry of the policy's hosts.
STOPS: dict[str, tuple[tuple[str, ...], bool]] = {
    "all frozen": (("*",), False),
    "the host frozen": (("127.0.0.1",), False),
    "the host denied": ((), True),
    "frozen and denied": (("*",), True),
    "frozen twice and denied": (("*", "127.0.0.1"), True),
    "another host frozen": (("example.com",), False),
}
#: What a seller does to the presentations of a call that fails.
FAILING = (
    ("drop-before-settling",) * 3, ("drop-after-settling",) * 3, ("402-again",) * 3, ("402-after-settling",),
)  # fmt: skip
#: The steps that present a payment, or lead to that: what stops it comes first. All others need no stop to be lifted.
PRESENTING = ("repeat", "fund")


@contextmanager
def stopped(walk: Walk, name: str) -> Iterator[None]:
    """Stop payments, by freezes, by the policy of all that read it, or by both."""
    frozen, denied = STOPS[name]
    before = walk.env["X402_POLICY"]
    if denied:
        path = Path(before).with_name("denied.toml")
        text = Path(before).read_text("utf-8")
        path.write_text(text.replace("[[tokens]]", '[hosts]\n"127.0.0.1" = "deny"\n\n[[tokens]]', 1), "utf-8")
        walk.env["X402_POLICY"] = str(path)
    for pattern in frozen:
        assert in_process(["ledger", "freeze", pattern], walk.env).code == 0
    yield
    for pattern in frozen:
        assert in_process(["ledger", "unfreeze", pattern], walk.env).code == 0
    walk.env["X402_POLICY"] = before


@pytest.mark.parametrize("name", OPEN)
def test_a_stop_comes_before_the_steps_that_present_a_payment_and_before_no_other(walk: Walk, name: str) -> None:
    reach, case = ENDS[name]
    reach(walk)
    hold = walk.hold()
    free = dict(said_by(walk, hold.id))["show"]
    for stop, (patterns, denied) in STOPS.items():
        frozen = [one for one in patterns if one != "example.com"]
        comes_first = bool(frozen or denied) and free["step"] in PRESENTING
        with stopped(walk, stop):
            found = dict(said_by(walk, hold.id)) | _by_reconcile(walk, hold.id)
            _check_refusal(walk, name, bool(frozen), denied)
        for place, document in found.items():
            advice, about = document["advice"], (stop, place)
            first = ("unfreeze" if frozen else "allow") if comes_first else free["step"]
            assert document["step"] == first, about
            lifts = " and ".join(f"`x402 ledger unfreeze {shlex.quote(one)}`" for one in frozen)
            lifts += " lifts that" if len(frozen) == 1 else " lift that"
            assert ("It is frozen" in advice, lifts in advice) == (bool(frozen), bool(frozen)), about
            assert ("is denied by the policy's hosts entry '127.0.0.1'" in advice) is denied, about
            assert ("Then: " in advice) is (bool(frozen or denied) and case in PRESENTED), about
            assert ("that first" in advice) is (bool(frozen) and case in PRESENTED), about
            if case not in PRESENTED:
                assert advice.startswith(free["advice"].removesuffix(HANGS)), about
    assert {one["advice"] for one in dict(said_by(walk, hold.id)).values()} == {free["advice"]}, "all is lifted"


#: The cases in which the payment is presented next, or once it was looked for elsewhere.
PRESENTED = ("open", "short", "owed")
HANGS = " Its payment has expired meanwhile: if that program hangs, end it."


def _by_reconcile(walk: Walk, hold: str) -> dict[str, dict[str, Any]]:
    """Return what a look at the chain that learns nothing says of it. A chain that answers changes what is known."""
    env = walk.env | {"X402_RPC": NO_CHAIN}
    groups = json.loads(in_process(["ledger", "reconcile", "--json"], env).out)
    return {"reconcile": next(one for group in groups.values() for one in group if one["hold"] == hold)}


def _check_refusal(walk: Walk, name: str, frozen: bool, denied: bool) -> None:
    """See that the same request is refused by all that stops it, a freeze first."""
    if name == "in flight" or not (frozen or denied):
        return
    for command in (["get", walk.url, "--yes"], ["ledger", "retry", walk.hold().id]):
        ran = in_process([*command, "--json"] if command[0] == "get" else command, walk.env)
        said = ran.err.replace("\\'", "'")
        assert ("are frozen" in said, "is denied by the policy's hosts entry" in said) == (frozen, denied), ran
        assert ran.code == 3
        if command[0] == "get":
            kind = json.loads(ran.err.splitlines()[-1])["error"]["kind"]
            assert kind == ("Frozen" if frozen else "HostNotAllowed")


@pytest.mark.parametrize("faults", [*FAILING, ()], ids=str)
@pytest.mark.parametrize("stop", [name for name, (_, denied) in STOPS.items() if not denied])
def test_a_freeze_amid_a_call_that_fails_is_in_its_error_as_in_the_lists(
    walk: Walk, stop: str, faults: tuple[str, ...]
) -> None:
    def freeze(event: Event) -> None:
        if isinstance(event, Presented):
            for pattern in STOPS[stop][0]:
                colleague.freeze(pattern)

    colleague = walk.buyer()
    walk.ask(*faults, price="0.01" if faults else "400", buyer=walk.buyer(on_event=freeze))
    error, frozen = walk.error, tuple(one for one in STOPS[stop][0] if one != "example.com")
    assert error is not None
    assert error.hold is not None
    assert error.stopped_by == frozen
    said = next_step(error.hold, stops=Stops(frozen))
    assert said.todo in str(error)
    assert ("It is frozen" in str(error)) is bool(frozen)
    assert next_after(error) == "ask a person" or not frozen
    for place, document in said_by(walk, error.hold.id):
        assert document["step"] == said.step, place
        assert ("It is frozen" in document["advice"]) is bool(frozen), place


@pytest.mark.parametrize("allowance", ["", "open", "frozen"])
@pytest.mark.parametrize("stop", STOPS)
def test_all_places_name_all_that_stops_a_new_payment(walk: Walk, stop: str, allowance: str) -> None:
    walk.url = walk.seller.sell("/goods", "0.01")
    frozen = tuple(one for one in STOPS[stop][0] if one != "example.com")
    denied = STOPS[stop][1]
    payer: Any = walk.buyer()
    if allowance:
        payer = payer.allowance("1", name="run-42")
    if allowance == "frozen":
        payer.freeze()
    under = ["--under", "run-42"] if allowance else []
    with stopped(walk, stop), httpx.Client() as client:
        if denied:  # a buyer reads its policy once
            payer = walk.buyer() if not allowance else walk.buyer().allowance("1", name="run-42")
        own = tools(client, payer, hosts=["127.0.0.1"])
        asked, paid = own.quote(walk.url), own.paid_fetch(walk.url)
        seen = in_process(["quote", walk.url, *under, "--json"], walk.env)
        got = in_process(["get", walk.url, "--yes", *under], walk.env)
    if not (frozen or denied or allowance == "frozen"):
        assert (asked["would_pay"], paid["ok"], seen.code, got.code) == ("0.01 USD", True, 0, 0)
        return
    quoted = " ".join(asked["reasons"])
    listed = " ".join(str(one["reason"]) for one in json.loads(seen.out)["offers"])
    refusal = json.loads(seen.out)["refusal"] + listed
    assert (asked["would_pay"], paid["ok"], seen.code, got.code) == (None, False, 3, 3)
    for place, said in (("quote", quoted), ("fetch", paid["says"]), ("x402 quote", refusal), ("x402 get", got.err)):
        assert ("are frozen" in said) is bool(frozen), (place, said)
        assert ("is denied by the policy's hosts entry" in said) is denied, (place, said)
    if frozen:
        assert paid["error"] == "Frozen"
    elif denied:
        assert paid["error"] == "HostNotAllowed"


#: Words of an advice about a command that it names, and what is so after the command if they are true.
PROMISES: dict[str, Callable[[_Seen], bool]] = {
    "buys anew if": lambda seen: seen.is_gone and bool(seen.others),
    "never a second one": lambda seen: not seen.others,
    "gives a payment back that was not used": lambda seen: seen.is_gone is not seen.was_settled,
    "asks it": lambda seen: seen.could_not_tell or seen.is_gone is not seen.was_settled,
    "Ask the chain whether": lambda seen: seen.could_not_tell or seen.is_gone is not seen.was_settled,
    "Unused, it is given back": lambda seen: seen.could_not_tell or seen.is_gone is not seen.was_settled,
    "has its nonce": lambda seen: seen.before.nonce in seen.text,
    "gives the purchase up": lambda seen: not seen.is_gone and seen.now.state == "written_off",
}


@dataclass
class _Seen:
    """What a command of an advice did."""

    before: Hold
    text: str
    known: list[Hold]
    was_settled: bool
    could_not_tell: bool

    @property
    def now(self) -> Hold:
        return next(hold for hold in self.known if hold.id == self.before.id)

    @property
    def is_gone(self) -> bool:
        return all(hold.id != self.before.id for hold in self.known)

    @property
    def others(self) -> list[Hold]:
        return [hold for hold in self.known if hold.id != self.before.id]


@pytest.mark.parametrize("command", ["show", "reconcile", "retry", "write-off"])
@pytest.mark.parametrize("name", [name for name in OPEN if name != "in flight"])
def test_a_command_that_is_advised_does_what_the_advice_says_of_it(walk: Walk, name: str, command: str) -> None:
    reach, _ = ENDS[name]
    reach(walk)
    hold, [told] = walk.hold(), json.loads(in_process(["ledger", "holds", "--json"], walk.env).out)["holds"]
    sentences = [one for one in re.split(r"(?<=\.) (?=[A-Z`])", told["advice"]) if f"`x402 ledger {command}" in one]
    if not sentences:
        assert f"ledger {command}" not in told["advice"], "each sentence about a command is read"
        return
    if any("after that time" in one for one in sentences) and not walk.expired:
        walk.later(5_000)
    settled = bool(walk.seller.settlements)
    [*words] = re.findall(r"`x402 ([^`]+)`", " ".join(sentences))
    typed = next(one for one in words if one.startswith(f"ledger {command}"))
    ran = in_process([*typed.split(), *(["--yes"] if command == "write-off" else [])], walk.env)
    buyer = walk.buyer()
    seen = _Seen(hold, ran.text, [*buyer.holds(), *buyer.history()], settled, "no endpoint" in name or walk.just)
    said = [words for words in PROMISES if any(words in one for one in sentences)]
    assert {words: PROMISES[words](seen) for words in said} == dict.fromkeys(said, True), (sentences, ran)
    assert said, sentences
    if (seen.is_gone or command == "write-off") and "empty" not in name:
        assert _buys_anew(walk, seen), "the same request buys anew"


def _buys_anew(walk: Walk, seen: _Seen) -> bool:
    walk.env.pop("X402_RPC", None)
    in_process(["get", "--yes", walk.url], walk.env)
    buyer = walk.buyer()
    return bool({hold.id for hold in (*buyer.holds(), *buyer.history())} - {hold.id for hold in seen.known})


#: Ends about which the chain can be asked once they have expired.
ASKED = [name for name in OPEN if name not in ("in flight", "just expired", "expired, and no endpoint tells")]


@pytest.mark.parametrize("name", ASKED)
def test_what_a_look_says_is_what_is_said_before_and_after_it(walk: Walk, name: str) -> None:
    reach, _ = ENDS[name]
    reach(walk)
    if not walk.expired:
        walk.later(5_000)
    before = " ".join(in_process(["status", "--offline"], walk.env).text.split())
    said = " ".join(in_process(["ledger", "reconcile"], walk.env).text.split())
    left = walk.buyer().holds()
    known = "it counts as long as its window lasts" in before
    assert known is ("counts until the chain shows it unused" not in before)
    assert known is ("`x402 ledger reconcile` asks about what has expired." not in before)
    assert known is (name.startswith(("paid", "lost")) and "receipt" not in name)
    assert ("given back to the budget" in said) is (not left)
    assert left or not known
    if "1 settled" in said:
        shown = in_process(["ledger", "show", left[0].id, "--offline"], walk.env).text
        assert "The chain shows that it was paid" in " ".join(shown.split())
        assert "settled. The chain shows that it was paid" in said or "settled. The seller's answer led to" in said
        assert "no chain has shown it" not in said
