"""``x402 ledger show`` and ``list``: one payment with all that is known of it, and many narrowed down."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from x402_client import Money, Token
from x402_client.cli import spending
from x402_client.cli.commands.ledger import _when
from x402_client.cli.explorers import account_link, transaction_link
from x402_client.cli.ledger_filters import Filters
from x402_client.cli.one_payment import document, rows_of
from x402_client.cli.open_ledger import named
from x402_client.cli.running import Stop
from x402_client.cli.transactions import by_seller
from x402_client.cli.vocabulary import price_of, short_ids, short_price_of
from x402_client.model.holds import Authorization, Hold, LastAnswer
from x402_client.model.networks import SOLANA_DEVNET
from x402_client.model.offers import Receipt
from x402_client.sandbox import Sandbox

from .running import in_process, terminal
from .test_ledger import hold

HASH = "0x" + "ab" * 32


def paid(given: dict[str, str], url: str, *more: str) -> int:
    return in_process(["get", url, "--yes", *more], given).code


@pytest.fixture
def used(seller: Sandbox, given: dict[str, str]) -> dict[str, str]:
    """One payment delivered, one refused by its seller, and one that settled without an answer."""
    assert paid(given, f"{seller.url}/evm/weather") == 0
    assert paid(given, f"{seller.url}/fault/402-again/evm/weather", "-X", "POST") == 6
    assert paid(given, f"{seller.url}/fault/drop-after-settling/evm/weather", "-X", "POST") == 7
    return given


def listed(given: dict[str, str], *options: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(in_process(["ledger", "list", "--json", *options], given).out)["payments"]
    return found


def test_what_was_paid_before_delivery_says_so(seller: Sandbox, given: dict[str, str]) -> None:
    assert paid(given, f"{seller.url}/evm/weather") == 0
    assert paid(given, f"{seller.url}/upfront/evm/weather") == 0
    shown = [in_process(["ledger", "show", one["hold"]], given).text for one in listed(given)]
    assert sorted(bool(re.search(r"^paid to +\S+, before delivery$", text, re.MULTILINE)) for text in shown) == [
        False,
        True,
    ]


def test_it_is_found_by_its_id_its_nonce_and_its_transaction(used: dict[str, str]) -> None:
    [one] = listed(used, "--state", "delivered")
    for word in (one["hold"], one["hold"][:9].upper(), one["nonce"], one["nonce"][:12], one["transaction"]):
        found = json.loads(in_process(["ledger", "show", word, "--json"], used).out)
        assert found["hold"] == one["hold"]
    assert (found["state"], found["money"], found["test_money"]) == ("delivered", "spent", True)
    assert found["presented"] == 1
    assert found["receipt"]["transaction"] == one["transaction"]
    assert found["ledger"] == used["X402_LEDGER"]
    text = in_process(["ledger", "show", one["hold"]], used).text
    assert re.search(r"^price +0\.01 USD, test money$", text, re.MULTILINE)
    assert re.search(rf"^transaction +{one['transaction']} \(by the seller's receipt\)$", text, re.MULTILINE)


@pytest.mark.parametrize("word", ["", " ", "zz", "0", "0x", "0x7"])
def test_a_word_that_names_no_payment_is_told(used: dict[str, str], word: str) -> None:
    ran = in_process(["ledger", "show", word], used)
    assert (ran.code, ran.out) == (2, b"")
    assert (
        f"No payment in purse 'default' of {used['X402_LEDGER']} goes by {word.strip()!r}. Give the first 4" in ran.err
    )


def test_a_beginning_has_to_be_long_enough(used: dict[str, str]) -> None:
    one = listed(used)[0]
    for word, code in (
        (one["hold"][:3], 2), (one["hold"][:4], 0), (one["nonce"][:5], 2), (one["nonce"][:6], 0), (one["nonce"], 0)
    ):  # fmt: skip
        assert in_process(["ledger", "show", word], used).code == code, word


def test_a_beginning_that_several_have_is_told() -> None:
    found = [hold().but(id=f"4f1c{number}") for number in range(6)]
    assert named(found, "4F1C3") == found[3]
    assert named(found, "4f1d") is None
    with pytest.raises(
        Stop, match=r"6 payments go by '4f1c': 4f1c0, 4f1c1, 4f1c2, 4f1c3, 4f1c4 and 1 more\. Give more"
    ):
        named(found, "4f1c")
    signed = Authorization("8Kf9bCqY", "0x2", 2**33, ("", ""))
    assert named([found[0].but(authorization=signed)], "8Kf9bC") is not None
    assert named([found[0].but(authorization=signed)], "8kf9bc") is None  # base58 has letters of both cases


def test_ids_are_cut_to_what_tells_them_apart() -> None:
    one, two = hold().but(id="4f1c0000000000aa"), hold().but(id="4f1c0000000000ab")
    assert short_ids([one]) == {one.id: "4f1c0000"}
    assert short_ids([one, two]) == {one.id: one.id, two.id: two.id}
    assert short_ids([one, one]) == {one.id: one.id}
    assert short_ids([]) == {}


def test_a_list_tells_the_year_of_older_payments_in_place_of_the_hour(given: dict[str, str]) -> None:
    assert _when(hold(created=time.time()))[5] == " "
    assert _when(hold(created=1_000_000_000.0)) == "2001-09-09"


def test_a_key_that_was_typed_by_mistake_is_not_repeated(used: dict[str, str]) -> None:
    ran = in_process(["ledger", "show", "0x" + "46" * 32], used)
    assert ran.code == 2
    assert "goes by '0x4646'…. Give" in ran.err


def test_the_money_is_that_of_the_error_in_every_list(seller: Sandbox, given: dict[str, str]) -> None:
    """The command's report, ``holds``, ``list``, ``show`` and the export say one thing of one payment."""
    for fault in ("drop-before-settling", "drop-after-settling", "402-again", "402-after-settling", "truncated-body"):
        url = f"{seller.url}/fault/{fault}/evm/weather"
        ran = in_process(["get", url, "-X", "POST", "--yes", "--json"], given)
        told = json.loads(ran.err.splitlines()[-1])
        name, money = told["payment"]["hold"], told["money"]
        holds = json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"]
        rows = [*holds, *listed(given), *json.loads(in_process(["ledger", "export", "--json"], given).out)]
        rows.append(json.loads(in_process(["ledger", "show", name, "--json"], given).out))
        assert [row["money"] for row in rows if row["hold"] == name] == [money] * 4, fault


@pytest.mark.parametrize("place", ["/evm/weather", "/solana/weather"])
def test_a_transaction_that_the_seller_did_not_name_is_found_on_the_chain(
    seller: Sandbox, given: dict[str, str], place: str
) -> None:
    assert paid(given, f"{seller.url}/fault/drop-after-settling{place}", "-X", "POST") == 7
    [one] = listed(given)
    found = json.loads(in_process(["ledger", "show", one["hold"], "--json"], given).out)
    assert (found["money"], found["transaction_by"]) == ("spent", "chain")
    assert found["transaction"] == seller.settlements[-1].transaction
    text = in_process(["ledger", "show", one["hold"]], given).text
    assert re.search(rf"^transaction +{found['transaction']} \(by the chain\)$", text, re.MULTILINE)
    nowhere = ["--rpc", f"{one['network']}=http://127.0.0.1:9"]
    for blind, why in ((["--offline"], "no chain was asked"), (nowhere, "no endpoint shows it")):
        text = in_process(["ledger", "show", one["hold"], *blind], given).text
        assert re.search(f"^transaction +not known: the seller named none, and {why}", text, re.MULTILINE)


def test_an_endpoint_over_http_that_the_policy_allows_is_asked(seller: Sandbox, given: dict[str, str]) -> None:
    assert paid(given, f"{seller.url}/fault/drop-after-settling/evm/weather", "-X", "POST") == 7
    [one] = listed(given)
    plain = given | {"X402_RPC": f"{one['network']}=http://rpc.invalid"}
    refused = in_process(["ledger", "show", one["hold"]], plain)
    assert (refused.code, "http_hosts" in refused.err) == (2, True)
    policy = Path(given["HOME"], "plain.toml")
    policy.write_text('http_hosts = ["rpc.invalid"]\nper_day = "1"\n', "utf-8")
    for shown in (
        in_process(["ledger", "show", one["hold"], "--policy", str(policy)], plain),
        in_process(["ledger", "show", one["hold"]], plain | {"X402_POLICY": str(policy)}),
    ):
        assert shown.code == 0, shown.err
        assert "no endpoint shows it" in shown.text


def test_a_transaction_in_an_answer_without_content_is_kept(seller: Sandbox, given: dict[str, str]) -> None:
    assert paid(given, f"{seller.url}/fault/work-fails/evm/weather", "-X", "POST") == 8
    [one] = listed(given)
    assert one["transaction"] == seller.settlements[-1].transaction
    text = in_process(["ledger", "show", one["transaction"]], given).text
    assert re.search(
        r"^transaction +0x\w+ \(by an answer of the seller's that brought no content\)$", text, re.MULTILINE
    )


def test_the_seller_is_quoted(used: dict[str, str]) -> None:
    [no] = listed(used, "--money", "held")
    text = in_process(["ledger", "show", no["hold"]], used).text
    assert re.search(r'^the seller +402, "facilitator_unavailable"$', text, re.MULTILINE)
    assert re.search(r"^money +held: counted; the seller said no", text, re.MULTILINE)
    assert re.search(
        rf"^to do +Make the same request again, or `x402 ledger retry {no['hold']}`: it presents", text, re.MULTILINE
    )


def test_a_list_is_narrowed_down_and_bounded(used: dict[str, str]) -> None:
    assert [one["state"] for one in listed(used)] == ["unresolved", "unresolved", "delivered"]
    assert [one["money"] for one in listed(used, "--state", "unresolved")] == ["spent", "held"]
    assert listed(used, "--host", "*.example.com") == []
    assert len(listed(used, "--host", "127.0.0.1", "--asset", "usdc", "--network", "eip155:402402402402")) == 3
    ran = in_process(["ledger", "list", "--limit", "1"], used)
    assert len(ran.text.splitlines()) == 2
    assert "The latest 1 of 3: --limit 0 lists all." in ran.err
    assert len(listed(used, "--limit", "0")) == 3
    assert in_process(["ledger", "list", "--network", "base"], used).text == "None of the 3 payments fits.\n"
    assert in_process(["ledger", "list", "--purse", "other"], used).text == "There is no payment.\n"


@pytest.mark.parametrize(
    "option",
    [("--state", "paid"), ("--money", "gone"), ("--since", "yesterday"), ("--network", "moon"), ("--host", "http://a")],
)
def test_a_filter_that_makes_no_sense_is_named(used: dict[str, str], option: tuple[str, str]) -> None:
    ran = in_process(["ledger", "list", *option], used)
    assert ran.code == 2
    assert option[0] in ran.err


def test_since_takes_a_length_of_time_or_a_moment() -> None:
    def since(text: str) -> float:
        return Filters.of(None, (), (), text, (), None).since

    assert since("2026-11-26") == 1_795_651_200
    assert since("2026-11-26T08:00") == since("2026-11-26T10:00+02:00") == 1_795_680_000
    assert time.time() - since("2h") == pytest.approx(7_200, abs=60)
    assert time.time() - since("1w") == pytest.approx(604_800, abs=60)
    with pytest.raises(Stop):
        since("2 parsecs")


def test_filters_look_at_each_fact() -> None:
    one = hold(host="api.example.com", in_flight=None)

    def fits(**options: object) -> bool:
        nothing = dict.fromkeys(("host", "since", "asset"))
        asked: dict[str, object] = nothing | dict.fromkeys(("states", "money", "networks"), ())
        return Filters.of(**asked | options).fits(one)  # type: ignore[arg-type]

    assert fits()
    assert fits(host="*.example.com", states=["delivered"], money=["spent"], networks=["base"], asset="0x8335")
    assert fits(states=["written-off", "delivered"])
    assert not fits(host="example.com")
    assert not fits(states=["written_off"])
    assert not fits(money=["held", "unknown"])
    assert not fits(networks=["solana"])
    assert not fits(asset="EURC")
    assert not fits(since="2099-01-01")


def test_a_link_is_made_of_a_transaction_and_of_nothing_else() -> None:
    signed = Authorization("0x1", "0x" + "ee" * 20, 2**33, ("", ""))
    one = hold(authorization=signed, receipt=Receipt(True, HASH))
    assert transaction_link(one, HASH) == f"https://basescan.org/tx/{HASH}"
    for told in ("", "0x12", HASH + "/../../evil", "javascript:alert(1)"):
        assert transaction_link(one, told) == ""
    assert account_link(one) == f"https://basescan.org/address/{signed.payer}"
    elsewhere = one.but(offer=one.offer.but(network="eip155:402402402402"))
    assert (transaction_link(elsewhere, HASH), account_link(elsewhere)) == ("", "")
    devnet = one.but(offer=one.offer.but(network=SOLANA_DEVNET), price=Money("0.01 USD (test)"))
    played = devnet.but(price=Money("0.01"))
    assert transaction_link(played, "5" * 88) == account_link(played) == "", "a sandbox's chain goes by that name, too"
    assert transaction_link(devnet, "5" * 88) == f"https://explorer.solana.com/tx/{'5' * 88}?cluster=devnet"


def told(one: Hold) -> dict[str, str]:
    return dict(rows_of(one, (), by_seller(one)))


def test_a_refund_is_explained_where_there_may_be_one() -> None:
    assert "refund" not in told(hold())
    assert "pays every payment back" in told(hold("x402.payai.network"))["refund"]
    receipt = Receipt(True, HASH, raw={"refundTransaction": "0x1"})
    assert "budgets go on counting" in told(hold(receipt=receipt))["refund"]
    assert document(hold(), (), by_seller(hold()))["refund"] is None


def test_what_is_not_known_is_said() -> None:
    unsigned = told(hold(state="reserved", money="held", payer=""))
    assert unsigned["paid by"] == "not signed yet"
    assert unsigned["money"] == "held: counted while it is being paid"
    assert told(hold())["the seller"] == "delivered, without a receipt"
    signed = Authorization("0x1", "0x2", 2**33, ("", ""))
    assert told(hold(state="signed", money="held", authorization=signed))["the seller"] == "nothing that was kept"
    over = hold(state="signed", money="held", authorization=Authorization("0x1", "0x2", 1, ("", "")))
    over = over.but(last=LastAnswer("held", 402))
    assert "could still take it" not in told(over)["money"]
    assert "has expired" in told(over)["money"]
    silent = hold(state="signed", money="held", authorization=signed, last=LastAnswer("unknown"), tries=2)
    assert (told(silent)["the seller"], told(silent)["presented"][:7]) == ("no answer", "3 times")
    led = silent.but(last=LastAnswer("unknown", None, "a redirect to https://b.example"))
    assert told(led)["the seller"] == "a redirect to https://b.example"
    failed = told(hold(receipt=Receipt(False, error='no "funds"\x1b[31m')))
    assert failed["the seller"] == "a receipt: not paid, \"no 'funds' [31m\""


def test_test_money_says_so_once() -> None:
    assert price_of(hold()) == "0.01 USD"
    token = Token("eip155:84532", "0x1", "USDC")
    test = hold(price="0.01 USD (test)")
    currency_says_so = test.but(offer=test.offer.but(network=token.network, token=token))
    assert price_of(currency_says_so) == short_price_of(currency_says_so) == "0.01 USD (test)"
    assert short_price_of(hold().but(offer=hold().offer.but(network=token.network))) == "0.01 USD, test"
    assert price_of(hold().but(offer=hold().offer.but(network=token.network))) == "0.01 USD, test money"


def test_money_is_kept_apart_by_what_became_of_it() -> None:
    signed = Authorization("0x1", "0x2", 1, ("", ""))
    holds = [
        hold(),
        hold(state="reserved", money="held"),
        hold(state="signed", money="unknown", authorization=signed, price="0.02"),
        hold(state="signed", money="spent", authorization=signed, price="0.04"),
        hold(state="written_off", price="0.08"),
        hold(price="1 EUR"),
    ]
    sums = {column: str(money) for column, money in spending.apart(holds, "USD").items()}
    expected = {"spent": "0.01", "held": "0.01", "unknown": "0.02", "lost": "0.04", "written off": "0.08"}
    assert sums == {column: f"{amount} USD" for column, amount in expected.items()}
    [share, _] = spending.shares(holds, spending.host)
    assert share.counted == Money("0.16")


@pytest.mark.parametrize("columns", [60, 80])
def test_tables_fit_a_narrow_terminal(used: dict[str, str], columns: int) -> None:
    one = listed(used)[0]["hold"]
    commands = [
        ["ledger", "list"],
        ["ledger", "show", one],
        *([["ledger"], ["ledger", "holds"]] if columns == 60 else []),
    ]
    for command in commands:
        lines = terminal(command, used | {"NO_COLOR": "1"}, columns=columns).screen.splitlines()
        assert max(map(len, lines)) <= columns
        assert "0.01 USD" in "".join(lines)
        if command[1:] == ["list"]:
            assert len(lines) == (4 if columns == 80 else 6)
            assert any(one[:8] in line for line in lines)
