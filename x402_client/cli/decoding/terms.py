"""Reads the terms of a 402, and names every deviation from the specification, tolerated or not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ...buyer.schemes import SHIPPED
from ...chains.evm import ZERO
from ...chains.families import FAMILIES
from ...chains.solana_address import is_address as is_solana_address
from ...chains.tokens import Tokens
from ...model.counts import counted
from ...model.money import Token
from ...model.networks import EVM_FAMILY, SOLANA_FAMILY, caip2, family_of, known_network, short_name
from ...model.offers import words
from ...schemes.not_paid import GATEWAY, GATEWAY_OBJECTION, about_method, about_scheme
from ...schemes.payment_flow import PAID, objection_to
from ...wire.bounds import DEFAULT
from ..balances import whole_tokens
from ..money_labels import PAID_FIRST
from . import permit2, permits
from .findings import Reading, missing
from .sign_ins import read_challenge
from .statements import read_signed_offers

_V1 = (
    "scheme", "network", "maxAmountRequired", "asset", "payTo", "resource", "description", "mimeType",
    "maxTimeoutSeconds",
)  # fmt: skip
_V2 = ("scheme", "network", "amount", "asset", "payTo", "maxTimeoutSeconds")
_SUPPORTED = {name for name, _ in SHIPPED}
#: Servers commonly take 8 KiB of headers, and a payment echoes its offer.
_LARGE = 8 * 1024


def read_terms(document: dict[str, Any], reading: Reading, known: Tokens, asked_url: str = "") -> None:
    """Read terms, and find all that can be said about them."""
    reading.title = "payment terms"
    version = document.get("x402Version")
    _version(version, reading)
    v2 = version == 2
    entries = document.get("accepts")
    if document.get("error"):
        reading.fact("they say", document.get("error"))
    elif not v2:
        reading.tolerated("error", "it is missing; version 1 requires it")
    _resource(document, reading, v2, asked_url)
    extensions = document.get("extensions")
    if extensions is not None and not isinstance(extensions, dict):
        reading.tolerated("extensions", "it is not an object, so it is passed over")
    elif extensions:
        reading.fact("extensions", ", ".join(map(str, extensions)))
        permits.read_asked(extensions, reading)
    signs = isinstance(extensions, dict) and read_challenge(extensions, reading, asked_url)
    if entries == [] and signs:
        reading.note("accepts", "it is empty: nothing is to be paid, and a sign-in of the wallet opens it")
        return
    if not isinstance(entries, list) or not entries:
        reading.wrong("accepts", "it is missing or empty, so there is nothing to pay")
        return
    if len(entries) > DEFAULT.offers:
        reading.wrong("accepts", f"it has {counted(len(entries), 'offer')}; {DEFAULT.offers} are read")
    for position, entry in enumerate(entries[: DEFAULT.offers], start=1):
        _offer(entry, f"offer {position}", v2, known, reading)
    read_signed_offers(document, reading, asked_url)


def _version(version: object, reading: Reading) -> None:
    reading.fact("x402 version", version)
    if type(version) is not int:
        reading.wrong("x402Version", "it has to be the number 1 or 2")
    elif version not in (1, 2):
        reading.wrong("x402Version", f"version {version} is not known; 1 and 2 are")


def _resource(document: dict[str, Any], reading: Reading, v2: bool, asked_url: str) -> None:
    resource = document.get("resource")
    if not v2:
        return
    if not isinstance(resource, dict):
        reading.tolerated("resource", "it is missing; version 2 requires an object with a url")
        return
    url = resource.get("url")
    if resource.get("description"):
        reading.fact("describes itself as", resource["description"])
    if not isinstance(url, str) or not url:
        reading.tolerated("resource.url", "it is missing")
        return
    reading.fact("resource", url)
    _same_url(url, asked_url, "resource.url", reading)


def _same_url(url: str, asked_url: str, where: str, reading: Reading) -> None:
    if not asked_url:
        return
    try:
        said, asked = urlsplit(url), urlsplit(asked_url)
        same = (said.scheme, said.netloc, said.path or "/") == (asked.scheme, asked.netloc, asked.path or "/")
    except ValueError:
        same = False
    if not same:
        reading.tolerated(where, f"it names {words(url, 120)}, which is not the URL that was asked; behind a proxy?")


def _offer(entry: Any, where: str, v2: bool, known: Tokens, reading: Reading) -> None:
    if not isinstance(entry, dict):
        reading.wrong(where, "it is not an object")
        return
    for name in missing(entry, _V2 if v2 else _V1):
        loss = name in ("scheme", "network", "asset", "payTo") or (
            name in ("amount", "maxAmountRequired") and not {"amount", "maxAmountRequired"} & set(entry)
        )
        (reading.wrong if loss else reading.tolerated)(f"{where}.{name}", "it is missing")
    network = _network(entry, where, v2, reading)
    token = _asset(entry, where, network, known, reading)
    amount = _amount(entry, where, v2, reading)
    _summary(entry, where, network, token, amount, reading)
    _scheme(entry, where, family_of(network or ""), reading)
    _pay_to(entry, where, network, token, reading)
    _timeout(entry, where, reading)
    _extra(entry, where, network, token, reading)
    if len(str(entry)) > _LARGE:
        reading.wrong(
            where, f"it has {counted(len(str(entry)), 'character')}, and the payment has to echo it in a header"
        )


def _summary(
    entry: dict[str, Any], where: str, network: str | None, token: Token | None, amount: int | None, reading: Reading
) -> None:
    price = f"{amount if amount is None else counted(amount, 'unit')} of {words(entry.get('asset'), 60)}"
    if token is not None and amount is not None:
        price = f"{whole_tokens(amount, token)} {token.symbol}"
    on = short_name(network) if network else words(entry.get("network"), 60)
    reading.fact(where, f"{words(entry.get('scheme'), 40)}: {price} on {on} to {words(entry.get('payTo'), 60)}")


def _network(entry: dict[str, Any], where: str, v2: bool, reading: Reading) -> str | None:
    name = entry.get("network")
    if not isinstance(name, str):
        if "network" in entry:
            reading.wrong(f"{where}.network", "it is not text")
        return None
    network = caip2(name)
    if network is None:
        reading.wrong(f"{where}.network", f"{words(name, 60)!r} names no network that is known")
        return None
    if v2 and network != name:
        reading.tolerated(f"{where}.network", f"version 2 names networks by CAIP-2: {network}, not {words(name, 60)!r}")
    if not v2 and ":" in name:
        text = f"version 1 names networks by a word: {short_name(network)}, not {words(name, 60)!r}"
        reading.tolerated(f"{where}.network", text)
    if not known_network(network):
        reading.note(f"{where}.network", f"{network} is not in our table of networks")
    return network


def _amount(entry: dict[str, Any], where: str, v2: bool, reading: Reading) -> int | None:
    right, other = ("amount", "maxAmountRequired") if v2 else ("maxAmountRequired", "amount")
    if right not in entry and other in entry:
        reading.tolerated(f"{where}.{other}", f"version {2 if v2 else 1} calls it {right}")
    if right in entry and other in entry and str(entry[right]) != str(entry[other]):
        reading.wrong(where, "amount and maxAmountRequired differ, so the price has two meanings")
    value = entry.get(right, entry.get(other))
    place = f"{where}.{right if right in entry else other}"
    if value is None:
        return None
    if type(value) is int:
        reading.tolerated(place, "it is a number; the specification has text, because numbers lose digits")
    elif not isinstance(value, str) or not (value.isascii() and value.isdigit()) or (value[0] == "0" and value != "0"):
        reading.wrong(place, f"{words(str(value), 60)!r} is not a whole number of the token's smallest units")
        return None
    amount = int(value) if len(str(value)) < 80 else -1
    if not 0 <= amount < 2**256:
        reading.wrong(place, "it is out of range")
        return None
    if amount == 0:
        reading.note(place, "it is zero; that is signed only under Policy(allow_zero=True)")
    return amount


def _asset(entry: dict[str, Any], where: str, network: str | None, known: Tokens, reading: Reading) -> Token | None:
    asset = entry.get("asset")
    if not isinstance(asset, str) or network is None:
        return None
    token = known.find(network, asset)
    place = f"{where}.asset"
    if token is None:
        reading.note(place, f"{words(asset, 60)} is no token that we know there; it is paid with only if vouched for")
    elif asset.upper() == token.symbol.upper():
        reading.tolerated(place, f"it is a symbol; the specification has the address, {token.address}")
    evm = family_of(network) == EVM_FAMILY
    if evm and asset[:2].lower() == "0x" and not FAMILIES.is_address(network, asset):
        reading.wrong(place, "it is not an address, or its checksum is wrong")
    return token


def _scheme(entry: dict[str, Any], where: str, family: str, reading: Reading) -> None:
    scheme = entry.get("scheme")
    if not isinstance(scheme, str):
        if "scheme" in entry:
            reading.wrong(f"{where}.scheme", "it is not text")
        return
    what = about_scheme(scheme, family)
    if scheme not in _SUPPORTED and not what:
        reading.note(f"{where}.scheme", f"{words(scheme, 40)!r}: it is no scheme that we know")
    elif what:
        reading.note(f"{where}.scheme", f"{words(scheme, 40)!r} is not supported here{what}")


def _pay_to(entry: dict[str, Any], where: str, network: str | None, token: Token | None, reading: Reading) -> None:
    to, place = entry.get("payTo"), f"{where}.payTo"
    if not isinstance(to, str) or network is None:
        return
    fits, evm = FAMILIES.is_address(network, to), family_of(network) == EVM_FAMILY
    if fits is None:
        reading.note(place, f"what an address on {short_name(network)} looks like is not known here")
    elif not fits:
        reading.wrong(place, f"{words(to, 60)} is not an address there" + (", or its checksum is wrong" if evm else ""))
    elif FAMILIES.same_account(network, to, ZERO):
        reading.wrong(place, "it is the zero address")
    elif token is not None and FAMILIES.same_account(network, to, token.address):
        reading.wrong(place, "it is the token itself")


def _timeout(entry: dict[str, Any], where: str, reading: Reading) -> None:
    seconds, place = entry.get("maxTimeoutSeconds"), f"{where}.maxTimeoutSeconds"
    if seconds is None:
        return
    if type(seconds) is not int or seconds < 0:
        reading.wrong(place, "it is not a whole number of seconds")
    elif seconds == 0:
        reading.tolerated(place, "it is 0, which leaves no time to settle; a minute is used")
    elif seconds > 86_400:
        reading.tolerated(place, f"it is {seconds} s; a payment is signed for ten minutes at most")


def _extra(entry: dict[str, Any], where: str, network: str | None, token: Token | None, reading: Reading) -> None:
    extra, place = entry.get("extra"), f"{where}.extra"
    if extra is not None and not isinstance(extra, dict):
        reading.wrong(place, "it is not an object")
    scheme = entry.get("scheme")
    if network is None or not isinstance(scheme, str) or scheme not in _SUPPORTED:
        return
    found = extra if isinstance(extra, dict) else {}
    family = family_of(network)
    if scheme == "upto":
        if family == EVM_FAMILY:
            permit2.read_terms(found, "upto", place, reading)
        return
    if family in (EVM_FAMILY, SOLANA_FAMILY):
        _payment_flow(found, f"{place}.paymentFlow", reading)
    if family == EVM_FAMILY:
        _evm_extra(found, place, token, reading)
    elif family == SOLANA_FAMILY:
        _solana_extra(found, place, reading)


def _payment_flow(extra: dict[str, Any], place: str, reading: Reading) -> None:
    flow = extra.get("paymentFlow") or PAID[0]
    if flow == "upfront":
        reading.note(place, f"'upfront': the offer is {PAID_FIRST}")
    elif flow not in PAID:
        reading.note(place, objection_to(flow))


def _evm_extra(extra: dict[str, Any], place: str, token: Token | None, reading: Reading) -> None:
    if extra.get("name") == GATEWAY:
        reading.note(place, GATEWAY_OBJECTION)
        return
    method = extra.get("assetTransferMethod") or "eip3009"
    if method == "permit2":
        permit2.read_terms(extra, "exact", place, reading)
        return
    if method != "eip3009":
        reading.note(
            f"{place}.assetTransferMethod",
            f"{words(str(method), 40)!r} is not supported here{about_method(str(method))}",
        )
    for part in ("name", "version"):
        ours, said = getattr(token, part, None), extra.get(part)
        if said is None:
            reading.tolerated(f"{place}.{part}", "the token's EIP-712 " + part + " is missing")
        elif ours is not None and said != ours:
            text = f"it says {words(str(said), 60)!r}; the token's own is {ours!r}, which is what we sign"
            reading.tolerated(f"{place}.{part}", text)


def _solana_extra(extra: dict[str, Any], place: str, reading: Reading) -> None:
    payer, memo = extra.get("feePayer"), extra.get("memo")
    if not isinstance(payer, str) or not is_solana_address(payer):
        reading.wrong(f"{place}.feePayer", "it is missing or not an address, so nobody could pay the chain's fee")
    if memo and (not isinstance(memo, str) or len(memo.encode("utf-8", "replace")) > 256):
        reading.wrong(f"{place}.memo", "it is not text of at most 256 bytes")
