"""Answers of an honest seller, for tests that mock HTTP: a 402 with its terms, and the paid answer with its receipt.

To have payments checked, use ``x402_client.sandbox``. A mock checks nothing: it answers as it is told.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Never

from ..chains.tokens import Tokens
from ..errors import ConfigurationError
from ..model.counts import counted
from ..model.money import Amount, Money, Token
from ..model.networks import EVM_FAMILY, SOLANA_FAMILY, caip2, family_of, network_problem, short_name

Version = Literal[1, 2]

#: The addresses that are paid by default. They have no keys.
_PAY_TO = {
    EVM_FAMILY: "0x4024402440244024402440244024402440244024",
    SOLANA_FAMILY: "5KP9s7uWf8Qu6X6DkNEmCcoqDjK73wYQi33e7JNQ2XXh",
}
_FEE_PAYER = "GeQyqWkD8DaVv1NNnUTZcgujXuKctWCoZCF3fMkw4Zw"
#: Transactions that are on no chain, in the form of each family.
_TRANSACTION = {EVM_FAMILY: "0x" + "402" * 21 + "4", SOLANA_FAMILY: "402" * 29}
_TERMS = "PAYMENT-REQUIRED"
_RECEIPT = {1: "X-PAYMENT-RESPONSE", 2: "PAYMENT-RESPONSE"}


class MockedAnswer(Mapping[str, Any]):
    """Answer for a mock: its status, its headers and its body.

    Unpack it with ``**`` for a function that takes ``status_code``, ``headers`` and ``content``: ``httpx.Response``,
    respx, pytest-httpx and requests_mock. ``for_responses`` and ``for_aiohttp`` have the names that others take.

    Attributes:
        status: The status.
        headers: The headers.
        body: The body.
    """

    __slots__ = ("body", "headers", "status")
    status: int
    headers: dict[str, str]
    body: bytes

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, dict(headers), body

    @property
    def for_responses(self) -> dict[str, Any]:
        """Return the keywords of ``responses.add`` and its kind: status, headers, body, content_type."""
        kind = {name: value for name, value in self.headers.items() if name == "Content-Type"}
        headers = {name: value for name, value in self.headers.items() if name not in kind}
        return {"status": self.status, "headers": headers, "body": self.body, "content_type": kind["Content-Type"]}

    @property
    def for_aiohttp(self) -> dict[str, Any]:
        """Return the keywords of ``aiohttp.web.Response`` and of aioresponses: the same as of responses."""
        return self.for_responses

    def __getitem__(self, name: str) -> Any:
        return {"status_code": self.status, "headers": self.headers, "content": self.body}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("status_code", "headers", "content"))

    def __len__(self) -> int:
        return 3

    def __repr__(self) -> str:
        return f"MockedAnswer({self.status}, {counted(len(self.body), 'byte')})"


def payment_required(
    amount: Amount = "0.01",
    *,
    network: str | None = None,
    asset: str | Token = "USDC",
    pay_to: str | None = None,
    timeout: int = 60,
    scheme: str = "exact",
    extra: Mapping[str, Any] | None = None,
    also: Iterable[Mapping[str, Any]] = (),
    url: str = "https://api.example.com/paid",
    description: str = "",
    mime_type: str = "application/json",
    error: str = "payment required",
    extensions: Mapping[str, Any] | None = None,
    version: Version = 2,
) -> MockedAnswer:
    """Build the 402 of an honest seller, for a mock of HTTP.

        unpaid, paid = payment_required("0.01"), payment_response({"sunny": True})
        httpx.Response(**unpaid)                                    # httpx.MockTransport, respx
        httpx_mock.add_response(**unpaid)                           # pytest-httpx
        responses.get(url, **unpaid.for_responses)                  # responses
        adapter.register_uri("GET", url, [{**unpaid}, {**paid}])    # requests_mock
        aiohttp.web.Response(**unpaid.for_aiohttp)                  # aiohttp's test server

    Args:
        amount: The price in whole tokens. Default: ``"0.01"``, one cent in USDC.
        network: The network to be paid on, by any of its names. Default: that of ``asset`` if it is a Token, else Base.
        asset: The symbol or address of a token that ships with the package, or a ``Token``. Default: USDC.
        pay_to: The address that is paid. Default: an address of the network to which there is no key.
        timeout: The seconds that the seller gives a payment. Default: 60.
        scheme: The payment scheme. Default: ``"exact"``.
        extra: Fields to put into the offer's ``extra``, over those it has. Default: none. On EVM chains it has the
            token's name and version. On Solana it has a fee payer, and in version 2 a blockhash, so that the buyer
            does not ask the chain.
        also: Further offers. Each has the keywords, from ``amount`` to ``extra``, that differ from the first offer, as
            in ``also=[{"network": "solana"}, {"amount": "0.009", "asset": "EURC"}]``. Default: none.
        url: The address that is sold. A buyer does not compare it with the one it asked. Default: an example.
        description: The seller's words for what is sold. Default: none.
        mime_type: The type of the content that is sold. Default: JSON.
        error: The seller's words about the 402. Default: ``"payment required"``.
        extensions: The extensions of version 2. Default: none.
        version: The version of the protocol. 2 writes the terms into a header, 1 into the body. Default: 2.
    """
    if version not in (1, 2):
        raise ConfigurationError(f"x402 has versions 1 and 2, and version={version!r} is neither.")
    resource = {"url": url, "description": description, "mimeType": mime_type}
    first: dict[str, Any] = {
        "amount": amount, "network": network, "asset": asset, "pay_to": pay_to, "timeout": timeout, "scheme": scheme,
        "extra": extra,
    }  # fmt: skip
    accepts = [_offer(**{**first, **changes}, version=version) for changes in ({}, *also)]
    terms = {"x402Version": version, "error": error, "accepts": accepts}
    if version == 1:
        in_each = {"resource": url, "description": description, "mimeType": mime_type, "outputSchema": None}
        return _answer(402, terms | {"accepts": [offer | in_each for offer in accepts]}, {})
    document = {**terms, "resource": resource, "extensions": dict(extensions or {})}
    return _answer(402, {}, {_TERMS: _sealed(document)})


def payment_response(
    content: Any = b"",
    *,
    network: str = "base",
    transaction: str | None = None,
    payer: str | None = None,
    receipt: Mapping[str, Any] | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    version: Version = 2,
) -> MockedAnswer:
    """Build the answer to a payment, with the seller's receipt in its header. It unpacks like ``payment_required``.

    Args:
        content: What was bought: bytes and text as they are, anything else as JSON. Default: nothing.
        network: The network that was paid on, by any of its names. It should be the offer's. Default: Base.
        transaction: The transaction that paid. Default: one that looks like the network's and is on no chain.
        payer: The address that paid. It should be the buyer's. Default: the receipt does not name it.
        receipt: Fields to put into the receipt, in the protocol's words, as in
            ``{"success": False, "errorReason": "invalid_payload"}``. Default: none, and the receipt says success.
        status: The status of the answer. With 402 the seller rejects the payment. Default: 200.
        headers: Further headers. Default: none but the receipt and the type of the content.
        version: The version of the protocol, which decides the name of the receipt's header. Default: 2.
    """
    if version not in (1, 2):
        raise ConfigurationError(f"x402 has versions 1 and 2, and version={version!r} is neither.")
    known = _network(network)
    settled = {
        "success": True,
        "transaction": _TRANSACTION.get(family_of(known), "4020") if transaction is None else transaction,
        "network": _written(network, known, version),
        **({} if payer is None else {"payer": payer}),
        **(receipt or {}),
    }
    return _answer(status, content, {_RECEIPT[version]: _sealed(settled), **(headers or {})})


def _offer(
    amount: Amount,
    network: str | None,
    asset: str | Token,
    pay_to: str | None,
    timeout: int,
    scheme: str,
    extra: Mapping[str, Any] | None,
    version: Version,
    **unknown: Never,
) -> dict[str, Any]:
    if unknown:
        raise ConfigurationError(
            f"An offer in also= has no {min(unknown)!r}; it has amount, network, asset, pay_to, timeout, scheme and "
            "extra."
        )
    named = network or (asset.network if isinstance(asset, Token) else "base")
    known = _network(named)
    token, family = _token(known, asset), family_of(known)
    if pay_to is None and family not in _PAY_TO:
        raise ConfigurationError(f"There is no default address to pay on {named}; pass pay_to=.")
    return {
        "scheme": scheme,
        "network": _written(named, known, version),
        "amount" if version == 2 else "maxAmountRequired": str(_units(amount, token)),
        "asset": token.address,
        "payTo": _PAY_TO[family] if pay_to is None else pay_to,
        "maxTimeoutSeconds": timeout,
        "extra": {**_extra(token, family, version), **(extra or {})},
    }


def _network(name: str) -> str:
    known, problem = caip2(name), network_problem(name)
    if known is None or problem is not None:
        raise ConfigurationError(f"network: {problem}")
    return known


def _written(named: str, known: str, version: Version) -> str:
    """Return a network's name in a version. Version 1 has plain names, unless a test gave the CAIP-2 name."""
    return known if version == 2 or ":" in named else short_name(known)


def _token(network: str, asset: str | Token) -> Token:
    if isinstance(asset, Token):
        return asset
    found = Tokens().find(network, asset)
    if found is None:
        raise ConfigurationError(
            f"{asset!r} on {short_name(network)} is not a token that ships with the package; pass asset=Token(...), "
            "and the same one in Policy(tokens=...)."
        )
    return found


def _units(amount: Amount, token: Token) -> int:
    money = Money(amount)
    if money.currency not in ("USD", token.currency) and money.as_limit_on(token.currency) is None:
        raise ConfigurationError(f"{amount!r} is not in {token.currency}, the currency of {token.symbol or token}.")
    units = money.amount.scaleb(token.decimals)
    if units != units.to_integral_value():
        raise ConfigurationError(f"{amount!r} has more decimals than the token, which has {token.decimals}.")
    return int(units)


def _extra(token: Token, family: str, version: Version) -> dict[str, Any]:
    if family == EVM_FAMILY:
        return {"name": token.name, "version": token.version}
    if family == SOLANA_FAMILY:
        return {"feePayer": _FEE_PAYER} | ({"recentBlockhash": _blockhash()} if version == 2 else {})
    return {}


def _blockhash() -> str:
    """Return a new blockhash that is on no chain. With an old one, a buyer would ask the chain for another."""
    import base58

    return base58.b58encode(secrets.token_bytes(32)).decode()


def _answer(status: int, content: Any, headers: Mapping[str, str]) -> MockedAnswer:
    if isinstance(content, str):
        kind, body = "text/plain; charset=utf-8", content.encode()
    elif isinstance(content, (bytes, bytearray)):
        kind, body = "application/octet-stream", bytes(content)
    else:
        kind, body = "application/json", json.dumps(content).encode()
    return MockedAnswer(status, {"Content-Type": kind, **headers}, body)


def _sealed(document: Mapping[str, Any]) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()
