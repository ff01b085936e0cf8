"""What a seller signed, in the command: shown with the payment, exported whole, and decoded without one."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tests.schemes.test_offer_receipt import VECTORS
from tests.wire.terms import URL, document, encoded, entry
from x402_client.cli.commands.decode import read_text
from x402_client.cli.decoding.findings import Reading
from x402_client.sandbox import Sandbox

from .running import in_process
from .test_ledger_show import listed, paid


def lines(reading: Reading) -> list[str]:
    found = [f"{level.level}: {level.where}: {level.text}" for level in reading.findings]
    return [*found, *(f"{name}: {value}" for name, value in reading.facts)]


@pytest.mark.parametrize(
    ("chain", "who"), [("evm", "the account that is paid"), ("solana", "nothing here vouches for")]
)
def test_a_payment_shows_who_signed_and_the_export_has_it_whole(
    seller: Sandbox, given: dict[str, str], chain: str, who: str
) -> None:
    assert paid(given, f"{seller.url}/offer-receipt/{chain}/weather") == 0
    [one] = listed(given)
    shown = in_process(["ledger", "show", one["hold"]], given).text
    for name in ("signed offer", "signed receipt"):
        assert [who in line for line in shown.splitlines() if line.startswith(name)] == [True]
    [row] = json.loads(in_process(["ledger", "export", "--json"], given).out)
    offer, receipt = json.loads(row["signed_offer"]), json.loads(row["signed_receipt"])
    assert (offer["payload"]["payTo"], receipt["payload"]["payer"]) == (row["pay_to"], row["payer"])
    for column, what in (("signed_offer", "signed offer"), ("signed_receipt", "signed receipt")):
        decoded = in_process(["decode", row[column]], given)
        assert (decoded.code, decoded.text.splitlines()[0]) == (0, f"A {what}")
        assert row["payer" if column == "signed_receipt" else "pay_to"] in decoded.text
        broken = json.loads(row[column]) | {"payload": [1], "signature": "0x12"}
        assert in_process(["decode", json.dumps(broken)], given).code == 1
    assert offer["signature"] != receipt["signature"]
    assert offer["signed_by"] == receipt["signed_by"] == ("payee" if chain == "evm" else "stranger")


def test_a_payment_without_signatures_shows_none(seller: Sandbox, given: dict[str, str]) -> None:
    assert paid(given, f"{seller.url}/evm/weather") == 0
    [row] = json.loads(in_process(["ledger", "export", "--json"], given).out)
    assert (row["signed_offer"], row["signed_receipt"]) == ("", "")
    assert "signed offer" not in in_process(["ledger", "show", row["hold"]], given).text


def test_a_bad_receipt_is_shown_with_what_is_wrong(seller: Sandbox, given: dict[str, str]) -> None:
    told = in_process(["get", f"{seller.url}/fault/signed-receipt-other-url/evm/weather", "--yes"], given)
    assert told.code == 0
    assert "signed receipt proves nothing: it is for https://other.example/" in told.err
    [one] = listed(given)
    assert "it is for https://other.example/" in in_process(["ledger", "show", one["hold"]], given).text


def test_a_quote_and_a_doctor_say_what_contradicts(seller: Sandbox, given: dict[str, str]) -> None:
    url = f"{seller.url}/evm/fault/offer-contradicts/weather"
    for command in ("quote", "doctor"):
        assert "its signed offer says payTo" in " ".join(in_process([command, url], given).text.split())


def test_terms_are_decoded_with_their_signatures(seller: Sandbox) -> None:
    sound = read_text(httpx.get(f"{seller.url}/offer-receipt/weather").headers["payment-required"])
    assert any("signed offer 1: by 0x" in line and "the account that is paid" in line for line in lines(sound))
    assert any("signed offer 2: by did:key:z" in line and "proves nothing by itself" in line for line in lines(sound))
    assert sound.sound
    for fault, said in (("offer-contradicts", "nothing of such a 402 is paid"), ("offer-forged", "does not fit")):
        found = read_text(httpx.get(f"{seller.url}/fault/{fault}/weather").headers["payment-required"])
        assert not found.sound
        assert any(line.startswith("wrong: extensions.offer-receipt 1: ") and said in line for line in lines(found))


ODD: dict[str, tuple[Any, str]] = {
    "no object": (7, "tolerated: extensions.offer-receipt 1: it is no object, so it is passed over"),
    "a contract's": (
        {"signature": "0x" + "ab" * 97},
        "note: extensions.offer-receipt 1: its signature was not checked",
    ),
    "for ever": ({"validUntil": 2**200}, "signed offer 1: by 0x"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_statements_are_named(name: str) -> None:
    changes, said = ODD[name]
    plain = entry()
    payload = {part: plain[part] for part in ("scheme", "network", "asset", "payTo", "amount")}
    payload |= {"version": 1, "resourceUrl": URL, "validUntil": 1_800_000_000}
    raw: Any = {"format": "eip712", "payload": payload, "signature": VECTORS["eip712"]["offer"]["signature"]}
    if isinstance(changes, dict):
        raw |= {part: value for part, value in changes.items() if part == "signature"}
        payload |= {part: value for part, value in changes.items() if part != "signature"}
    else:
        raw = changes
    terms = document(plain, extensions={"offer-receipt": {"info": {"offers": [raw]}}})
    assert any(line.startswith(said) for line in lines(read_text(encoded(terms))))


def receipt(**changes: Any) -> Reading:
    statement = {**VECTORS["eip712"]["receipt"], **changes.pop("statement", {})}
    payload = VECTORS["eip712"]["receipt"]["payload"]
    said = {
        "success": True,
        "transaction": payload["transaction"],
        "network": payload["network"],
        "payer": payload["payer"],
    }
    extensions = {"offer-receipt": {"info": {"receipt": statement}}}
    return read_text(base64.b64encode(json.dumps({**said, **changes, "extensions": extensions}).encode()).decode())


def test_a_receipt_is_decoded_with_its_signature() -> None:
    found = receipt()
    assert any(line.startswith("signed receipt: by 0x19E7E376") for line in lines(found))
    assert any("only the chain proves a payment" in line for line in lines(found))
    assert found.sound
    assert any("its payer is 0xCd" in line for line in lines(receipt(payer="0x" + "11" * 20)))
    assert any("does not fit any key" in line for line in lines(receipt(statement={"signature": "0x" + "ff" * 65})))
    assert any("so it is passed over" in line for line in lines(receipt(statement={"format": "pgp"})))
    late = {**VECTORS["eip712"]["receipt"]["payload"], "issuedAt": 2**200}
    assert not any("issued" in line for line in lines(receipt(statement={"payload": late})))
