"""``x402 ledger``: where the money went, what is open, and what to do about it, in a file and in Redis."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ledgers.redis.server import Server
from x402_client import Money, Policy, Token, errors
from x402_client.cli import spending, vocabulary
from x402_client.cli.commands import ledger_acts
from x402_client.cli.export import COLUMNS, as_csv, row
from x402_client.httpx import wrap
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.holds import Authorization, Hold, LastAnswer, Purchase
from x402_client.model.hosts import Origin
from x402_client.model.offers import Offer, Receipt
from x402_client.sandbox import Sandbox

from .conftest import shell_settings
from .running import in_process, process, terminal

NOW = 1_800_000_000.0


def hold(host: str = "api.example.com", price: str = "0.01", **changes: object) -> Hold:
    purchase = Purchase("p", "r", False, "GET", f"https://{host}/weather", Origin("https", host, 443))
    token = Token("eip155:8453", "0x8335", "USDC", 6, currency=Money(price).currency)
    offer = Offer(1, 2, "exact", "eip155:8453", Money(price).units, "0x8335", "0x5e11", token=token)
    made = Hold("00000000000000aa", purchase, offer, Money(price), NOW, "delivered", "spent")
    return made.but(**changes)


@pytest.fixture
def used(seller: Sandbox, given: dict[str, str]) -> dict[str, str]:
    """A ledger with two payments delivered, one lost on its way, and a host with a budget of its own."""
    for path in ("/evm/weather", "/solana/report"):
        assert in_process(["get", seller.url + path, "--yes"], given).code == 0
    assert (
        in_process(["get", f"{seller.url}/fault/drop-before-settling/weather", "-X", "POST", "--yes"], given).code == 7
    )
    return given


def test_it_shows_what_was_spent_where_when_and_with_what(used: dict[str, str]) -> None:
    del used["X402_EVM_KEY"]
    del used["X402_SOLANA_KEY"]
    for command in (["ledger"], ["ledger", "spent"]):
        ran = in_process(command, used)
        assert ran.code == 0
        assert re.search(r"^last day +0\.07 USD$", ran.text, re.MULTILINE)
        assert re.search(r"^in 30 days +spent +unknown$", ran.text, re.MULTILINE)
        assert re.search(r"^ +0\.06 USD +0\.01 USD$", ran.text, re.MULTILINE)
        assert re.search(r"^127\.0\.0\.1 +0\.06 USD +0\.01 USD +3$", ran.text, re.MULTILINE)
        today = time.strftime("%Y-%m-%d", time.gmtime())
        assert re.search(rf"^{today} +0\.06 USD +0\.01 USD +3$", ran.text, re.MULTILINE)
        assert re.search(r"^USDC on solana-devnet, test money +0\.05 USD +0\.00 USD +1 +█{10}$", ran.text, re.MULTILINE)
        on_evm = r"^USDC on sandbox, test money +0\.01 USD +0\.01 USD +2 +█{4}·{6}$"
        assert re.search(on_evm, ran.text, re.MULTILINE)
        assert used["X402_LEDGER"] in ran.text
        assert "All of these payments are test money." in ran.err
        assert "1 of these payments brought no content yet: `x402 ledger holds`" in ran.err
    said = json.loads(in_process(["ledger", "--json"], used).out)
    assert said["counted"]["total"] == ["0.07 USD"]
    nothing = dict.fromkeys(("held", "lost", "written_off"), "0.00 USD")
    apart = {"spent": "0.06 USD", "unknown": "0.01 USD"} | nothing
    assert said["sums"] == [apart]
    assert (said["payments"], said["test_payments"]) == (3, 3)
    assert said["by_host"] == [{"host": "127.0.0.1", "payments": 3} | apart]
    assert (said["ledger"], said["purse"], said["frozen"]) == (used["X402_LEDGER"], "default", [])
    assert "in total" in in_process(["ledger", "--days", "0.0000001"], used).text


def test_what_is_wide_stays_within_the_terminal(used: dict[str, str]) -> None:
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal(["ledger", "spent"], used).screen).splitlines()
    assert max(map(len, lines)) <= 100


def test_an_open_payment_says_what_to_do(used: dict[str, str]) -> None:
    ran = in_process(["ledger", "holds"], used)
    assert "0.01 USD, test money  POST http://127.0.0.1" in ran.text
    assert "unresolved, can settle until" in ran.text
    assert "Make the same request again" in ran.text
    found = open_hold(used)
    assert (found["state"], found["money"], found["test_money"]) == ("unresolved", "unknown", True)
    assert found["answer"] == "no answer (RemoteProtocolError)"


def open_hold(given: dict[str, str]) -> dict[str, Any]:
    """Return the one payment that is not resolved."""
    [found] = json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"]
    return dict(found)


#: What a payment is that the seller answers with another 402, time and again.
REFUSED = {"tries": 3, "last": LastAnswer("held", 402, "nonce_already_used")}


#: One of a wallet that is empty.
EMPTY = {"tries": 3, "last": LastAnswer("held", 402, "insufficient_balance", short=True)}


@pytest.mark.parametrize(
    ("changes", "state", "todo"),
    [
        ({"state": "reserved"}, "in flight since", "Wait: a call is paying it"),
        ({"expires": 2**33, "in_flight": True}, "in flight since", "Wait: a call is paying it"),
        ({"expires": 2**33}, "unresolved, can settle until 2242-", "x402 ledger retry 00000000000000aa"),
        ({"expires": 2**33, "money": "spent"}, "unresolved, paid", "the content is owed"),
        (
            {"expires": 2**33, **REFUSED},
            "unresolved, can settle",
            "after that time: it asks the chain first, which may take two minutes more",
        ),
        ({"expires": 2**33, **EMPTY}, "unresolved, can settle", "Send USDC on base to 0x2 first"),
        ({"expires": 2**33, **REFUSED, "tries": 2}, "unresolved, can settle", "Make the same request again"),
        ({"expires": 2**33, "money": "spent", **REFUSED}, "unresolved, paid", "x402 ledger write-off 00000000000000aa"),
        ({"expires": 2**33, "money": "spent"}, "unresolved, paid", "If that brings nothing, ask the seller"),
        (
            {"expires": 2**33, "money": "spent", **REFUSED, "tries": 0},
            "unresolved, paid",
            "The seller says that the payment was used, and another time will hardly help",
        ),
        ({"expires": 1, "money": "spent", **REFUSED}, "lost", "It was presented 4 times"),
        ({"expires": 1}, "unresolved, expired 1970-01-01 00:00:01 UTC", "x402 ledger reconcile"),
        ({"expires": 1, "money": "spent"}, "lost: settled, nothing delivered", "write-off 00000000000000aa"),
        ({"state": "delivered"}, "delivered", "buys anew"),
        ({"state": "written_off"}, "written off", "counts as spent"),
    ],
)
def test_the_advice_fits_the_state(changes: dict[str, object], state: str, todo: str) -> None:
    expires = changes.pop("expires", None)
    signed = Authorization("0x1", "0x2", int(str(expires)), ("", "")) if expires else None
    said = vocabulary.advice(hold(**{"state": "signed", "money": "held", "authorization": signed, **changes}))
    assert said.state.startswith(state)
    assert todo in said.todo
    assert ("Ask the seller" in said.todo) <= (changes.get("money") == "spent"), "owed is only what was taken"


#: What a request had that its ledger does not keep.
WHOLE = "with the query, body and Range header that it had"


@pytest.mark.parametrize(
    ("method", "query", "body", "key", "kept", "command"),
    [
        ("GET", "", b"", None, "", "`x402 ledger retry {}`"),
        ("POST", "", b"", None, "", "`x402 ledger retry {}`"),
        (
            "GET",
            "?q=1",
            b"",
            None,
            WHOLE,
            "`x402 ledger retry {} 'URL?QUERY'`",
        ),
        (
            "GET",
            "?q=1",
            b"x",
            None,
            WHOLE,
            "`x402 ledger retry {} 'URL?QUERY'`",
        ),
        (
            "POST",
            "?q=1",
            b"",
            None,
            WHOLE,
            "`x402 ledger retry {} 'URL?QUERY' -d BODY`",
        ),
        (
            "POST",
            "",
            b"x",
            None,
            WHOLE,
            "`x402 ledger retry {} 'URL?QUERY' -d BODY`",
        ),
        ("GET", "", b"", "k", "under its key", "`x402 ledger retry {} --key KEY`"),
        (
            "GET",
            "?q=1",
            b"",
            "k",
            f"{WHOLE} and under its key",
            "'URL?QUERY' --key KEY`",
        ),
    ],
)
def test_a_retry_is_advised_where_it_works_as_it_is_written(
    seller: Sandbox, given: dict[str, str], method: str, query: str, body: bytes, key: str | None, kept: str,
    command: str,
) -> None:  # fmt: skip
    buyer = seller.buyer(Policy(per_day="1"), ledger=given["X402_LEDGER"])
    under = nullcontext() if key is None else buyer.purchase(key=key)
    with wrap(httpx.Client(), buyer) as client, under, suppress(errors.X402Error):
        client.request(method, f"{seller.sell('/refused', '0.01', fault=['402-again'] * 9)}{query}", content=body)
    buyer.close()
    one = open_hold(given)
    told = in_process(["ledger", "show", one["hold"]], given).text
    assert command.format(one["hold"]) in told
    assert (f"again, {kept}, or `x402" in told) is bool(kept)
    assert in_process(["ledger", "retry", one["hold"]], given).code == (2 if kept else 6)


@pytest.mark.parametrize("query", ["", "?q=1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_retry_of_a_part_is_advised_with_its_range(
    seller: Sandbox, given: dict[str, str], method: str, query: str
) -> None:
    buyer = seller.buyer(Policy(per_day="1"), ledger=given["X402_LEDGER"])
    url = f"{seller.sell('/refused', '0.01', fault=['402-again'] * 9)}{query}"
    with wrap(httpx.Client(), buyer) as client, suppress(errors.X402Error):
        client.request(method, url, headers={"Range": "bytes=0-9"})
    buyer.close()
    one = open_hold(given)
    assert WHOLE in one["advice"]
    assert "the ledger keeps no query and no body and no Range header" in one["advice"]
    typed = ["ledger", "retry", one["hold"], url, "-X", method]
    refused = in_process(typed, given)
    assert refused.code == 2
    assert "a Range header" in refused.err
    assert in_process([*typed, "-H", "Range: bytes=0-9"], given).code == 6


def test_currencies_are_never_added_up() -> None:
    found = spending.shares([hold(), hold(price="3 EUR"), hold("b.example", "0.03"), hold("b.example")], spending.host)
    assert [(s.name, str(s.counted), s.payments, round(s.part, 2)) for s in found] == [
        ("b.example", "0.04 USD", 2, 1.0),
        ("api.example.com", "0.01 USD", 1, 0.25),
        ("api.example.com", "3.00 EUR", 1, 1.0),
    ]


def test_a_write_off_needs_a_yes_and_one_payment(used: dict[str, str]) -> None:
    found = open_hold(used)
    assert in_process(["ledger", "write-off", "zz", "--yes"], used).code == 2
    assert in_process(["ledger", "write-off", "", "--yes"], used).code == 2
    refused = in_process(["ledger", "write-off", found["hold"]], used)
    assert refused.code == 2
    assert "--yes writes it off without asking" in refused.err
    done = in_process(["ledger", "write-off", found["hold"][:9], "--yes", "--json"], used)
    assert (done.code, json.loads(done.out)["state"]) == (0, "written off")
    shown = json.loads(in_process(["ledger", "show", found["hold"], "--offline", "--json"], used).out)
    assert {name: shown[name] for name in json.loads(done.out)} == json.loads(done.out)
    assert json.loads(done.out)["step"] == "nothing"
    assert f"Written off in {used['X402_LEDGER']}: 0.01 USD, test money." in done.err
    assert in_process(["ledger", "write-off", found["hold"], "--yes"], used).code == 2
    assert "Nothing is open" in in_process(["ledger", "holds"], used).text
    assert [line["state"] for line in exported(used)].count("written off") == 1


def exported(given: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(in_process(["ledger", "export", "--json"], given).out)
    return found


def test_csv_and_json_say_the_same_in_stable_columns(seller: Sandbox, used: dict[str, str], tmp_path: Path) -> None:
    assert in_process(["get", f"{seller.url}/evm/weather?secret=1", "--yes"], used).code == 0
    file = tmp_path / "export.csv"
    assert in_process(["ledger", "export", "--csv", "-o", str(file)], used).out == b""
    piped = process(["ledger", "export", "--csv"], used)
    assert piped.out == file.read_bytes()
    read = list(csv.DictReader(io.StringIO(piped.text)))
    assert tuple(read[0]) == COLUMNS
    assert read == [{**line, "test_money": str(line["test_money"]).lower()} for line in exported(used)]
    assert {line["test_money"] for line in exported(used)} == {True}
    assert [line["time"] for line in read] == sorted(line["time"] for line in read)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["time"]) for line in read)
    assert {line["transaction"] for line in read if line["money"] == "spent"} <= {
        s.transaction for s in seller.settlements
    }
    assert "secret" not in piped.text
    assert "payment-signature" not in piped.text.lower()


def test_columns_do_not_change() -> None:
    assert COLUMNS == (
        "time", "hold", "state", "money", "method", "url", "host", "price", "currency", "token_amount", "token",
        "network", "asset", "pay_to", "payer", "nonce", "expires", "transaction", "purse", "answer", "test_money",
        "allowance", "signed_offer", "signed_receipt", "ceiling", "charged",
    )  # fmt: skip
    assert row(hold(price="1234567890.000001"))["price"] == "1234567890.000001"
    assert row(hold())["token_amount"] == "0.01"


@pytest.mark.parametrize("nasty", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_a_seller_writes_no_formulas_into_a_spreadsheet(nasty: str) -> None:
    receipt = Receipt(True, transaction=nasty)
    file = io.StringIO()
    as_csv([hold(receipt=receipt)], file)
    [line] = csv.DictReader(io.StringIO(file.getvalue(), newline=""))
    assert not line["transaction"].startswith(("=", "+", "-", "@", "\t", "\r"))


def test_how_to_export_has_to_be_said(used: dict[str, str], tmp_path: Path) -> None:
    assert in_process(["ledger", "export"], used).code == 2
    assert in_process(["ledger", "export", "--csv", "--json"], used).code == 2
    assert in_process(["ledger", "export", "--csv", "-o", str(tmp_path / "not-there" / "x")], used).code == 2


def test_a_freeze_stops_payments_until_it_is_lifted(seller: Sandbox, given: dict[str, str]) -> None:
    command = ["get", f"{seller.url}/weather", "--yes"]
    assert in_process(command, given).code == 0
    frozen = in_process(["ledger", "freeze", "127.0.0.1"], given)
    lifts = "`x402 ledger unfreeze 127.0.0.1`"
    named = f"Frozen in {given['X402_LEDGER']}: nothing is paid to 127.0.0.1 from it until {lifts}."
    assert (frozen.code, frozen.err.strip()) == (0, named)
    refused = in_process(command, given)
    assert refused.code == 3
    assert "`x402 ledger unfreeze 127.0.0.1` lifts it" in refused.err
    assert in_process(["ledger", "unfreeze", "127.0.0.1"], given).code == 0
    assert in_process(command, given).code == 0
    assert in_process(["ledger", "freeze"], given).code == 0
    assert in_process(command, given).code == 3
    assert in_process(["ledger", "freeze", "http://a.example/"], given).code == 2


@pytest.mark.parametrize(
    ("host", "said"), [("reports", True), ("mcp:reports", False), ("a.example", False), ("*", False)]
)
def test_a_freeze_of_a_host_names_the_mcp_server_that_may_be_meant(used: dict[str, str], host: str, said: bool) -> None:
    ran = in_process(["ledger", "freeze", host], used)
    assert ran.code == 0
    assert ("An MCP server of this name is mcp:reports: `x402 ledger freeze mcp:reports`." in ran.err) is said
    assert in_process(["ledger", "freeze", "mcp:reports"], used).code == 0
    assert "An MCP server" not in in_process(["ledger", "freeze", host], used).err, "it is frozen too"


def test_what_is_frozen_is_listed_and_lifting_tells_what_is_left(used: dict[str, str]) -> None:
    given = used
    for host in ("*", "a.example"):
        assert in_process(["ledger", "freeze", host], given).code == 0
    assert json.loads(in_process(["ledger", "freezes", "--json"], given).out)["frozen"] == ["*", "a.example"]
    assert "`x402 ledger unfreeze '*'` lifts it" in in_process(["ledger", "freezes"], given).text
    for command in ("spent", "holds", "list"):
        assert "frozen: all payments are stopped" in in_process(["ledger", command], given).err
        assert json.loads(in_process(["ledger", command, "--json"], given).out)["frozen"] == ["*", "a.example"]
    lifted_first = "It is frozen, so nothing presents it: `x402 ledger unfreeze '*'` lifts that first."
    assert lifted_first in in_process(["ledger", "holds"], given).text
    assert lifted_first in open_hold(given)["advice"]
    assert "by *: it is not presented" in in_process(["ledger", "show", open_hold(given)["hold"]], given).text
    left = in_process(["ledger", "unfreeze", "a.example"], given)
    assert "payments there are still stopped by *: `x402 ledger unfreeze '*'`" in left.err
    there = given["X402_LEDGER"]
    other = in_process(["ledger", "unfreeze", "b.example"], given)
    assert f"x402: Nothing was lifted: 'b.example' was not frozen in {there}, but payments" in other.err
    assert (left.code, other.code) == (0, 1)
    lifted = in_process(["ledger", "unfreeze"], given)
    assert lifted.err.strip() == f"Not frozen any more in {there}: any host."
    assert in_process(["ledger", "freezes"], given).text == f"Nothing is frozen in {there}.\n"
    assert "frozen" not in in_process(["ledger"], given).err


def test_what_changes_a_ledger_tells_a_program_what_it_did(used: dict[str, str]) -> None:
    there = used["X402_LEDGER"]

    def told(*words: str) -> tuple[int, dict[str, object]]:
        ran = in_process(["ledger", *words, "--json"], used)
        return ran.code, json.loads(ran.out)

    done = {"ledger": there, "host": "a.example", "frozen": ["a.example"], "allowance_goes_on": False}
    assert told("freeze", "a.example") == (0, done)
    kept = {"ledger": there, "host": "*", "lifted": False, "frozen": ["a.example"]}
    assert told("unfreeze") == (1, kept)
    assert told("unfreeze", "a.example") == (0, {"ledger": there, "host": "a.example", "lifted": True, "frozen": []})
    assert told("accept", "--yes") == (0, {"ledger": there, "accepted": False})


@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_ledger_that_must_exist_pays_only_if_it_does(seller: Sandbox, given: dict[str, str], way: str) -> None:
    command = ["get", f"{seller.url}/weather", "--yes"]
    strict = [*command, "--must-exist"] if way == "option" else command
    settings = given if way == "option" else given | {"X402_MUST_EXIST": "1"}
    refused = in_process(strict, settings)
    named = "--must-exist" if way == "option" else "X402_MUST_EXIST=1"
    assert (refused.code, named in refused.err) == (4, True)
    assert not Path(given["X402_LEDGER"]).exists()
    assert in_process(command, given).code == 0
    assert in_process(strict, settings).code == 0


@contextmanager
def expired(
    tmp_path: Path, bare: dict[str, str], monkeypatch: pytest.MonkeyPatch, *faults: str
) -> Iterator[dict[str, str]]:
    """Make one payment with each fault that brings nothing, and let all expire by every clock."""
    with Sandbox() as seller:
        given = bare | shell_settings(seller, tmp_path)
        for fault in faults:
            made = in_process(["get", f"{seller.url}/fault/{fault}/evm/weather", "-X", "POST", "--yes"], given)
            assert made.code in (7, 8)
        later = time.time() + 5_000
        seller.advance(5_000)
        monkeypatch.setattr("x402_client.buyer.settlement_reader.time.time", lambda: later)
        yield given
        monkeypatch.undo()


@pytest.fixture
def lost(tmp_path: Path, bare: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """One payment that settled and one that did not, neither answered, both expired by every clock."""
    with expired(tmp_path, bare, monkeypatch, "drop-before-settling", "drop-after-settling") as given:
        yield given


#: What brings nothing, and what is known of the money while no chain answers. "": nothing.
KNOWN_BEFORE = {
    "drop-before-settling": "",
    "drop-after-settling": "the chain showed before that it was paid, and could not tell now",
    "redirect-after-paying": "paid, as the seller's receipt says; the chain could not tell now",
}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("faults", [one for count in (1, 2, 3) for one in combinations(KNOWN_BEFORE, count)])
def test_reconciling_without_a_chain_says_what_is_known_of_each(
    tmp_path: Path, bare: dict[str, str], monkeypatch: pytest.MonkeyPatch, faults: tuple[str, ...], frozen: bool
) -> None:
    with expired(tmp_path, bare, monkeypatch, *faults) as given:
        if frozen:
            assert in_process(["ledger", "freeze"], given).code == 0
        ran = in_process(["ledger", "reconcile", "--rpc", "eip155:402402402402=http://127.0.0.1:9"], given)
    known = [KNOWN_BEFORE[fault] for fault in faults if KNOWN_BEFORE[fault]]
    said = " ".join(ran.text.split())
    assert [one for one in known if one in said] == known
    open_yet = len(faults) - len(known)
    sums = [f"{open_yet} not known yet"] if open_yet else []
    sums += [f"{len(known)} known to be paid"] if known else []
    assert f"Asked about {len(faults)} payment{'s' if len(faults) > 1 else ''}: {', '.join(sums)}." in said
    assert ran.code == (7 if open_yet else 0)


def test_reconciling_gives_back_what_did_not_settle(lost: dict[str, str]) -> None:
    ran = in_process(["ledger", "reconcile"], lost)
    assert ran.code == 0, ran.err
    assert len(re.findall("did not settle: given back to the budget", ran.text)) == 1
    settled = r"settled\. The chain shows that it was paid, so the content is owed\. Make the same request again"
    assert len(re.findall(settled, ran.text)) == 1
    assert open_hold(lost)["money"] == "spent"
    again = in_process(["ledger", "reconcile"], lost).text
    assert again.startswith(
        "Nothing to ask the chain about. 1 not asked about again: lost, as the chain showed before. `x402"
    )
    [row] = json.loads(in_process(["ledger", "reconcile", "--json"], lost).out)["lost"]
    assert (row["state"], row["money"]) == ("lost", "spent")
    assert json.loads(in_process(["ledger", "--json"], lost).out)["counted"]["total"] == ["0.01 USD"]


def test_reconciling_tells_a_program_what_was_released(lost: dict[str, str]) -> None:
    told = json.loads(in_process(["ledger", "reconcile", "--json"], lost).out)
    assert [(row["state"], row["money"]) for row in told["released"]] == [("released", "untouched")]
    assert [(row["state"], row["money"]) for row in told["settled"]] == [("lost", "spent")]
    assert [row["step"] for row in told["released"]] == ["nothing"]
    assert told["settled"] == json.loads(in_process(["ledger", "holds", "--json"], lost).out)["holds"]


@pytest.mark.parametrize("frozen", [False, True])
def test_reconciling_tells_a_program_of_each_payment_what_holds_tells(lost: dict[str, str], frozen: bool) -> None:
    if frozen:
        assert in_process(["ledger", "freeze"], lost).code == 0
    deaf = lost | {"X402_RPC": "eip155:402402402402=http://127.0.0.1:9"}
    for given, group in ((deaf, "unknown"), (lost, "settled"), (lost, "lost")):
        told = json.loads(in_process(["ledger", "reconcile", "--json"], given).out)
        kept = json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"]
        assert told[group]
        rows = [row for name, rows in told.items() if name not in ("released", "failures") for row in rows]
        assert sorted(rows, key=lambda row: row["hold"]) == sorted(kept, key=lambda row: row["hold"])
        assert all(("is frozen" in row["advice"]) is frozen and row["step"] for row in rows)


def test_several_are_written_off_at_once_or_none(seller: Sandbox, given: dict[str, str]) -> None:
    for path in ("/weather", "/report"):
        url = f"{seller.url}/fault/drop-before-settling{path}"
        assert in_process(["get", url, "-X", "POST", "--yes"], given).code == 7
    found = json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"]
    ids = [row["hold"] for row in found]
    assert len(ids) == 2
    refused = in_process(["ledger", "write-off", *ids, "zzzz", "--yes"], given)
    assert (refused.code, refused.out, "Written off" in refused.err) == (2, b"", False)
    assert "--yes writes them off" in in_process(["ledger", "write-off", *ids], given).err
    typed = [ids[0][:9], found[1]["nonce"], ids[0]]
    done = in_process(["ledger", "write-off", *typed, "--yes", "--json"], given)
    told = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, [(row["hold"], row["state"]) for row in told]) == (0, [(one, "written off") for one in ids])
    assert in_process(["ledger", "write-off", *ids, "--yes"], given).code == 2


def test_giving_up_what_can_still_settle_names_the_risk(used: dict[str, str]) -> None:
    ran = in_process(["ledger", "write-off", open_hold(used)["hold"], "--yes"], used)
    assert ran.code == 0
    assert "It can still settle after it is written off" in ran.err


def test_giving_up_what_expired_names_what_to_ask_first(lost: dict[str, str]) -> None:
    found = json.loads(in_process(["ledger", "holds", "--json"], lost).out)["holds"]
    said = {row["money"]: in_process(["ledger", "write-off", row["hold"], "--yes"], lost).err for row in found}
    assert "The chain was not asked" in said["unknown"]
    assert "The chain was not asked" not in said["spent"]


def test_reconciling_without_the_chain_says_so(lost: dict[str, str]) -> None:
    deaf = lost | {"X402_RPC": "eip155:402402402402=http://127.0.0.1:9"}
    said = in_process(["ledger", "reconcile", "--json"], deaf)
    assert said.code == 7
    assert len(json.loads(said.out)["unknown"]) == 2
    assert len(json.loads(in_process(["ledger", "holds", "--json"], lost).out)["holds"]) == 2


@pytest.mark.parametrize("pattern", ["*", "127.0.0.1"])
def test_under_a_freeze_one_endpoint_gives_nothing_back_and_the_command_says_why(
    lost: dict[str, str], pattern: str
) -> None:
    assert in_process(["ledger", "freeze", pattern], lost).code == 0
    ran = in_process(["ledger", "reconcile"], lost)
    assert (ran.code, "given back to the budget" in ran.text) == (7, False)
    assert "under a freeze the word of one endpoint gives nothing back" in ran.text
    advised = re.search(r"by `x402 (ledger unfreeze [^`]*)`", ran.text)
    assert advised is not None
    assert in_process(shlex.split(advised[1]), lost).code == 0
    assert "given back to the budget" in in_process(["ledger", "reconcile"], lost).text


@pytest.mark.parametrize("expires", [1, int(time.time())], ids=["long ago", "now"])
@pytest.mark.parametrize("no_end", [True, False])
def test_reconciling_says_nothing_of_another_time_where_no_chain_can_tell(no_end: bool, expires: int) -> None:
    signed = Authorization("0x1", "0x2", expires, ("", ""), {"no_end": no_end})
    said = ledger_acts._said("unknown", hold(state="signed", money="held", authorization=signed), ())
    assert ("as long as its window lasts" in said) is no_end
    assert ("again" in said) is not no_end


def test_reconciling_nothing_says_so(used: dict[str, str]) -> None:
    ran = in_process(["ledger", "reconcile"], used)
    assert ran.code == 0
    assert re.fullmatch(
        r"Nothing to ask the chain about\. 1 can still settle, until \S+ \S+ UTC; ask again after that\. "
        r"`x402 ledger holds` says what to do\.\n", ran.text,
    )  # fmt: skip
    told = json.loads(in_process(["ledger", "reconcile", "--json"], used).out)
    assert {name: len(rows) for name, rows in told.items()} == {
        "released": 0, "settled": 0, "live": 0, "unknown": 0, "not_expired": 1, "lost": 0, "in_flight": 0,
        "failures": 0,
    }  # fmt: skip


def test_reconciling_does_not_say_of_what_is_paid_that_it_can_still_settle(
    given: dict[str, str], seller: Sandbox
) -> None:
    assert in_process(["get", f"{seller.url}/fault/drop-after-settling/weather", "--yes"], given).code == 7
    assert in_process(["ledger", "reconcile"], given).text == (
        "Nothing to ask the chain about. 1 paid already, by the chain or the seller's receipt, and without content. "
        "`x402 ledger holds` says what to do.\n"
    )


def test_reconciling_an_empty_ledger_says_that_nothing_is_unresolved(given: dict[str, str], seller: Sandbox) -> None:
    assert in_process(["get", f"{seller.url}/weather", "--yes"], given).code == 0
    assert in_process(["ledger", "reconcile"], given).text == "Nothing to ask about: no payment is unresolved.\n"


LOOKS = [["spent"], ["list"], ["holds"], ["show", "4f"], ["export", "--csv"], ["freezes"], []]
ACTS = [["freeze"], ["unfreeze"], ["write-off", "4f1c", "--yes"], ["retry", "4f1c"], ["reconcile"], ["accept", "--yes"]]


@pytest.mark.parametrize("command", [*LOOKS, *ACTS], ids=lambda command: " ".join(command) or "none")
def test_a_ledger_that_is_not_there_is_not_made(bare: dict[str, str], tmp_path: Path, command: list[str]) -> None:
    """A command that looks says that there is none yet; one that acts did nothing, and says so."""
    missing = tmp_path / "none.db"
    ran = in_process(["ledger", *command], bare | {"X402_LEDGER": str(missing)})
    said = "yet: nothing was ever paid through it" if command in LOOKS else "Name the one that your programs use"
    assert (ran.code, ran.out) == (2, b"")
    assert f"There is no ledger at {missing}" in ran.err
    assert said in ran.err
    assert not missing.exists()
    assert in_process(["ledger", *command], bare).code == 2
    assert in_process(["ledger", *command], bare | {"X402_LEDGER": ":memory:"}).code == 2


def test_a_mistyped_name_is_told_from_one_that_is_there(used: dict[str, str]) -> None:
    there = used["X402_LEDGER"]
    ran = in_process(["ledger", "freeze", "--ledger", there.replace("ledger.db", "ledgr.db")], used)
    assert ran.code == 2
    assert f"Did you mean {there}?" in ran.err
    assert "no payment is stopped" in ran.err


def test_a_command_to_type_next_names_the_ledger_if_this_one_did(used: dict[str, str]) -> None:
    there = used.pop("X402_LEDGER")
    frozen = in_process(["ledger", "freeze", "*.example.com", "--ledger", there], used)
    assert f"`x402 ledger unfreeze '*.example.com' --ledger {there}`" in frozen.err
    seen = in_process(["ledger", "spent", "--ledger", there], used)
    assert f"`x402 ledger holds --ledger {there}`" in seen.err


def test_a_ledger_that_lost_its_log_is_accepted(used: dict[str, str], tmp_path: Path) -> None:
    path = Path(used["X402_LEDGER"])
    running = SqliteLedger(path)
    running.freeze("bad.example")
    shutil.copy(path, tmp_path / "alone.db")  # the log stays behind
    running.close_ledger()
    lost = used | {"X402_LEDGER": str(tmp_path / "alone.db")}
    refused = in_process(["ledger", "holds"], lost)
    assert refused.code == 4
    assert "lost its log" in refused.err
    assert "x402 ledger accept" in refused.err
    asked = in_process(["ledger", "accept"], lost)
    assert (asked.code, "--yes accepts a loss without asking" in asked.err) == (2, True)
    said_no = terminal(["ledger", "accept"], lost, [("[y/N]", "n\n")])
    assert (said_no.code, "Nothing was accepted." in said_no.screen) == (3, True)
    assert in_process(["ledger", "holds"], lost).code == 4
    assert "Accepted" in in_process(["ledger", "accept", "--yes"], lost).err
    assert in_process(["ledger", "holds"], lost).code == 0
    assert "No loss was noticed" in in_process(["ledger", "accept", "--yes"], lost).err
    assert "No loss was noticed" in in_process(["ledger", "accept", "--yes"], used).err
    assert in_process(["ledger", "accept"], used | {"X402_LEDGER": str(tmp_path / "none.db")}).code == 2


def test_a_file_that_is_no_ledger_is_told(bare: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear reader, this is no database. " * 200)
    ran = in_process(["ledger", "spent", "--ledger", str(file)], bare)
    assert ran.code == 4
    assert str(file) in ran.err


def test_options_stand_behind_the_command(used: dict[str, str]) -> None:
    ran = in_process(["ledger", "--purse", "other", "spent"], used)
    assert ran.code == 2
    assert "x402 ledger spent ..." in ran.err


def test_purses_are_apart(used: dict[str, str]) -> None:
    assert json.loads(in_process(["ledger", "spent", "--purse", "other", "--json"], used).out)["by_host"] == []
    for command in ("spent", "list", "holds"):
        ran = in_process(["ledger", command, "--purse", "other"], used)
        assert "That is purse 'other'. Others in this ledger (--purse): default." in ran.err
    assert "other purses, too (--purse): default" in in_process(["ledger", "show", "4f", "--purse", "other"], used).err


def test_it_works_on_a_ledger_in_redis(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    server = Server(tmp_path)
    shared = given | {"X402_LEDGER": server.url}
    try:
        refused = in_process(["ledger", "freeze"], shared)
        assert (refused.code, "no payment is stopped" in refused.err) == (2, True)
        assert "nothing was ever paid through it" in in_process(["ledger", "spent"], shared).err
        assert in_process(["ledger", "freeze"], shared).code == 2
        assert in_process(["get", f"{seller.url}/weather", "--yes"], shared).code == 0
        assert in_process(["get", f"{seller.url}/fault/402-again/weather", "-X", "POST", "--yes"], shared).code == 6
        assert json.loads(in_process(["ledger", "--json"], shared).out)["counted"]["total"] == ["0.02 USD"]
        other = in_process(["ledger", "holds", "--purse", "other"], shared)
        assert (other.code, "There is (--purse): default." in other.err) == (2, True)
        found = open_hold(shared)
        assert (found["state"], found["money"]) == ("unresolved", "held")
        assert found["answer"].startswith("402, ")
        assert in_process(["ledger", "write-off", found["hold"], "--yes"], shared).code == 0
        assert [line["answer"] for line in exported(shared)] == ["a receipt: paid", found["answer"]]
        assert len(exported(shared)) == 2
    finally:
        server.kill()
    gone = in_process(["ledger", "holds"], shared)
    assert gone.code == 4
    assert "Traceback" not in gone.err


def test_an_export_of_a_purse_that_is_not_there_says_so(used: dict[str, str]) -> None:
    ran = in_process(["ledger", "export", "--csv", "--purse", "nope"], used)
    assert (ran.code, len(ran.text.splitlines())) == (0, 1)
    assert "Nothing was ever paid from purse 'nope'. Others in this ledger (--purse): default." in ran.err


def test_on_a_narrow_terminal_every_table_keeps_its_heading(used: dict[str, str]) -> None:
    lines = [line.rstrip() for line in terminal(["ledger"], used | {"NO_COLOR": "1"}, columns=40).screen.splitlines()]
    assert max(map(len, lines[1:])) <= 60
    for heading in ("by host", "by day", "by token"):
        assert [line for line in lines if line.startswith(heading)]


def test_two_kinds_of_test_money_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    from x402_client.cli.commands.ledger import _tell_two_kinds

    known = Offer(0, 2, "exact", "eip155:84532", 10_000, "0x1", "0x2", 60)
    both = [hold().but(offer=known), hold(price="0.01 USD (test)").but(offer=known)]
    _tell_two_kinds(both[:1])
    assert capsys.readouterr().err == ""
    _tell_two_kinds(both)
    assert "USD (test) is counted apart" in capsys.readouterr().err


def test_a_payment_that_expired_just_now_is_told_when_to_ask_again() -> None:
    now = int(time.time())
    fresh = hold(authorization=Authorization("0x1", "0x2", now - 20, ("", "")))
    assert "ask again in a moment" in ledger_acts._said("unknown", fresh, ())
    dead = ("base did not answer eth_call (127.0.0.1: ConnectError).",)
    assert dead[0] in ledger_acts._said("unknown", fresh, dead)
    old = hold(authorization=Authorization("0x1", "0x2", now - 1_000, ("", "")))
    assert "name two endpoints with --rpc that answer" in ledger_acts._said("unknown", old, ())
