"""The account that pays: which signatures leave, for a key, a delegated key and a contract, and what endpoints say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from tests.chains.scripted_rpc import Answer, Scripted, error, result, status
from tests.chains.test_contract_accounts import MARK, YES
from tests.core.scripted_flow import SIGNER, signature
from tests.schemes.test_exact_evm import offered
from tests.wire.terms import KEY, NETWORK, PAYER, SELLER
from x402_client import Wallet
from x402_client.chains.contract_accounts import unwrap
from x402_client.chains.evm import checksum, keccak
from x402_client.chains.rpc import Endpoints
from x402_client.core.asks import Fetch, SignatureGiven, SignTyped
from x402_client.core.drive import run
from x402_client.errors import SigningError
from x402_client.model.signing import Signed
from x402_client.schemes.evm_payer import EvmPayer
from x402_client.schemes.exact_evm import ExactEvm
from x402_client.signers import ContractSigner, SafeSigner
from x402_client.signers.evm import ForeignEvmSigner, read_any_signature

CODE, NONE = result("0x6001"), result("0x")
DELEGATED = result("0xef0100" + SELLER[2:])
NO, REVERTS, SILENT = result("0xffffffff" + "00" * 28), error(3, "execution reverted"), status(403)
OTHER = Account.from_key("0x" + "22" * 32)
CONTRACT = ContractSigner(PAYER, lambda document: b"\7" * 99)
MADE = ContractSigner(PAYER, lambda document: b"\7" * 99, deploy=(SELLER, b"make it"))


class Remote:
    """A signer of somebody else's, which signs anything with a key of its own."""

    def __init__(self, account: Any, address: str = PAYER) -> None:
        self.address, self._account = address, account

    def sign_typed_data(self, full_message: dict[str, Any]) -> Any:
        return self._account.sign_typed_data(full_message=full_message).signature


class Paying:
    """One account, an endpoint that answers as it is told, and all that was asked."""

    def __init__(self, signer: Any, endpoint: Scripted | None) -> None:
        self._signer = signer
        urls = {} if endpoint is None else {NETWORK: (endpoint.url,)}
        endpoints = Endpoints(urls, public=False)
        self.scheme = ExactEvm(signer.address, None, False, EvmPayer(signer.address, signer, endpoints))
        self.asked: list[type] = []
        self.digests: list[bytes] = []

    def sign(self, **extra: str) -> Signed:
        return run(self.scheme.sign(offered(extra=extra), 600), self._answer)

    def sent(self, **extra: str) -> bytes:
        """The signature as it leaves."""
        return bytes.fromhex(self.sign(**extra).payload["signature"][2:])

    def _answer(self, ask: Any) -> Any:
        self.asked.append(type(ask))
        if isinstance(ask, Fetch):
            return ask.read()
        self.digests.append(ask.data.digest)
        if self._signer is SIGNER:
            return signature(ask)
        read = getattr(self._signer, "read_signature", read_any_signature)
        return SignatureGiven(read(self._signer.sign(ask.data)))


@contextmanager
def paying(signer: Any, **answers: Answer) -> Iterator[tuple[Paying, Scripted | None]]:
    """Without answers there is no endpoint."""
    if not answers:
        yield Paying(signer, None), None
        return
    with Scripted(**answers) as endpoint:
        yield Paying(signer, endpoint), endpoint


def methods(endpoint: Scripted | None) -> list[str]:
    assert endpoint is not None
    return [asked["method"] for asked in endpoint.asked if asked["method"] != "eth_chainId"]


# --- a key


def test_a_key_without_a_named_endpoint_asks_nothing() -> None:
    with paying(SIGNER) as (one, _):
        one.sign()
        assert one.asked == [SignTyped]


def test_a_keys_code_is_looked_at_once() -> None:
    with paying(SIGNER, eth_getCode=NONE) as (one, endpoint):
        for _ in range(3):
            one.sign()
        assert methods(endpoint) == ["eth_getCode"]
        assert one.asked == [Fetch, SignTyped, SignTyped, SignTyped]


def test_an_endpoint_that_is_silent_keeps_no_key_from_paying_and_is_left_alone() -> None:
    with paying(SIGNER, eth_getCode=SILENT) as (one, endpoint):
        for _ in range(3):
            one.sign()
        assert methods(endpoint) == ["eth_getCode"]


@pytest.mark.parametrize("signer", [SIGNER, ForeignEvmSigner(Account.from_key(KEY))])
@pytest.mark.parametrize("no", [NO, REVERTS, result("0x")])
def test_a_delegated_key_whose_code_refuses_it_signs_no_payment(signer: Any, no: Answer) -> None:
    with paying(signer, eth_getCode=DELEGATED, eth_call=no) as (one, _):
        for _ in range(2):
            with pytest.raises(
                SigningError, match=rf"delegated to {checksum(SELLER)} \(EIP-7702\).*No payment was"
            ) as e:
                one.sign()
            assert e.value.money == "untouched"
        assert len(set(one.digests)) == 1  # of the question, twice: a payment would have a nonce of its own


@pytest.mark.parametrize("signer", [SIGNER, ForeignEvmSigner(Account.from_key(KEY))])
def test_a_delegated_key_whose_code_takes_it_pays(signer: Any) -> None:
    with paying(signer, eth_getCode=DELEGATED, eth_call=result(YES)) as (one, endpoint):
        one.sign()
        one.sign()
        assert methods(endpoint)[:2] == ["eth_getCode", "eth_call"]
        assert len(set(one.digests)) == 3


def test_a_delegated_key_whose_code_is_not_heard_pays_as_ever() -> None:
    with paying(SIGNER, eth_getCode=DELEGATED, eth_call=SILENT) as (one, endpoint):
        one.sign()
        one.sign()
        assert methods(endpoint) == ["eth_getCode", "eth_call"]


def test_the_question_is_no_payment_and_is_what_the_general_encoder_makes_of_it() -> None:
    asked: list[Any] = []
    with Scripted(eth_getCode=DELEGATED, eth_call=result(YES)) as endpoint:
        payer = EvmPayer(PAYER, SIGNER, Endpoints({NETWORK: (endpoint.url,)}))

        def answer(ask: Any) -> Any:
            asked.extend([] if isinstance(ask, Fetch) else [ask.data])
            return ask.read() if isinstance(ask, Fetch) else signature(ask)

        run(payer.ready(NETWORK), answer)
    [data] = asked
    document = data.full()
    assert "verifyingContract" not in document["domain"]  # every token's domain has one
    signable = encode_typed_data(full_message=document)
    assert keccak(b"\x19" + signable.version + signable.header + signable.body) == data.digest


# --- somebody else's signer


def test_a_signer_that_may_ask_a_person_is_asked_for_the_payment_alone() -> None:
    with paying(ForeignEvmSigner(Remote(Account.from_key(KEY))), eth_getCode=DELEGATED, eth_call=NO) as (one, _):
        with pytest.raises(SigningError, match="does not take the signature"):
            one.sign()
        assert one.asked.count(SignTyped) == 1


@pytest.mark.parametrize("later", [{"eth_getCode": NONE}, {"eth_getCode": SILENT}, {"eth_call": SILENT}], ids=range(3))
def test_a_delegation_that_ended_or_is_not_heard_of_again_stops_no_key(later: dict[str, Answer]) -> None:
    at_first = {"eth_getCode": DELEGATED, "eth_call": result(YES)}
    with paying(ForeignEvmSigner(Account.from_key(KEY)), **at_first) as (one, endpoint):
        assert endpoint is not None
        one.sign()
        endpoint.now(**at_first | later)
        assert one.sign().payer == PAYER
        endpoint.now(eth_getCode=DELEGATED, eth_call=NO)
        with pytest.raises(SigningError, match="does not take"):
            one.sign()


def test_a_signer_whose_address_has_code_pays_with_what_the_code_takes() -> None:
    with paying(ForeignEvmSigner(Remote(OTHER)), eth_getCode=CODE, eth_call=result(YES)) as (one, _):
        assert len(one.sent()) == 65


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, r"no endpoint to ask.*declare it"),
        ({"eth_getCode": NONE}, "not by"),
        ({"eth_getCode": CODE, "eth_call": NO}, "does not take"),
        ({"eth_getCode": CODE, "eth_call": REVERTS}, "does not take"),
        ({"eth_getCode": CODE, "eth_call": SILENT}, "did not answer.*declare it"),
        ({"eth_getCode": SILENT}, "did not answer.*declare it"),
    ],
    ids=range(6),
)
def test_another_keys_signature_stays_here(answers: dict[str, Answer], said: str) -> None:
    with paying(ForeignEvmSigner(Remote(OTHER)), **answers) as (one, _), pytest.raises(SigningError, match=said) as e:
        one.sign()
    assert "Nothing was sent" in str(e.value)


# --- a declared contract


def test_without_an_endpoint_the_users_word_counts() -> None:
    with paying(CONTRACT) as (one, _):
        assert one.sent() == b"\7" * 99
        assert one.asked == [SignTyped]
    with paying(MADE) as (one, _):
        found = unwrap(one.sent())
        assert found == (checksum(SELLER), b"make it", b"\7" * 99)


def test_the_contract_is_asked_about_each_signature() -> None:
    with paying(CONTRACT, eth_getCode=CODE, eth_call=result(YES)) as (one, endpoint):
        assert one.sent() == one.sent() == b"\7" * 99
        assert methods(endpoint) == ["eth_getCode", "eth_call"] * 2


@pytest.mark.parametrize("no", [NO, REVERTS, result("0x"), result("0x" + "00" * 31 + "01")], ids=range(4))
@pytest.mark.parametrize("signer", [CONTRACT, MADE])
def test_a_signature_that_the_contract_refuses_never_leaves(signer: Any, no: Answer) -> None:
    with paying(signer, eth_getCode=CODE, eth_call=no) as (one, _), pytest.raises(SigningError, match="does not take"):
        one.sign()


@pytest.mark.parametrize("answers", [{"eth_getCode": SILENT}, {"eth_getCode": CODE, "eth_call": SILENT}], ids=range(2))
def test_a_silent_chain_leaves_it_at_the_users_word(answers: Any, caplog: pytest.LogCaptureFixture) -> None:
    with paying(CONTRACT, **answers) as (one, endpoint), caplog.at_level(logging.WARNING, "x402_client"):
        assert one.sent() == b"\7" * 99
        asked = len(methods(endpoint))
        assert one.sent() == b"\7" * 99  # and for a while it is not asked again
        assert len(methods(endpoint)) == asked
    assert caplog.text.count("is sent as you declared it") == 1


def test_where_there_is_no_contract_nothing_is_paid() -> None:
    with paying(CONTRACT, eth_getCode=NONE) as (one, _), pytest.raises(SigningError, match=r"no contract at .*deploy="):
        one.sign()


def test_a_wallet_that_is_not_there_yet_is_tried_out_and_sent_wrapped() -> None:
    with paying(MADE, eth_getCode=NONE, eth_call=result("0x01")) as (one, _):
        assert one.sent().endswith(MARK)
    for no in (result("0x00"), result("0x"), REVERTS):
        with paying(MADE, eth_getCode=NONE, eth_call=no) as (one, _), pytest.raises(SigningError, match="not take"):
            one.sign()


def test_once_it_is_there_its_signature_is_sent_plain() -> None:
    wrapped = ContractSigner(PAYER, lambda document: _wrapped())
    for signer in (MADE, wrapped):
        with paying(signer, eth_getCode=CODE, eth_call=result(YES)) as (one, _):
            assert one.sent() == b"\7" * 99
    with paying(wrapped, eth_getCode=NONE, eth_call=result("0x01")) as (one, _):
        assert one.sent() == _wrapped()


@pytest.mark.parametrize("answers", [{}, {"eth_getCode": SILENT}, {"eth_getCode": CODE, "eth_call": result(YES)}])
def test_by_permit2_it_is_always_sent_plain_as_no_facilitator_takes_it_wrapped(answers: dict[str, Answer]) -> None:
    for signer in (MADE, ContractSigner(PAYER, lambda document: _wrapped())):
        with paying(signer, **answers) as (one, _):
            assert one.sent(assetTransferMethod="permit2") == b"\7" * 99


def test_by_permit2_a_wallet_that_is_not_there_pays_nothing() -> None:
    with paying(MADE, eth_getCode=NONE, eth_call=result("0x01")) as (one, _):
        with pytest.raises(
            SigningError, match=r"is not on base-sepolia yet, and a payment by Permit2 does not make it"
        ):
            one.sign(assetTransferMethod="permit2")
        assert one.sent().endswith(MARK)


def _wrapped() -> bytes:
    with paying(MADE) as (one, _):
        return one.sent()


def test_no_signature_shows_in_a_traceback() -> None:
    import traceback

    signer = SafeSigner(PAYER, [KEY])
    with paying(signer, eth_getCode=CODE, eth_call=NO) as (one, endpoint):
        assert endpoint is not None
        with pytest.raises(SigningError) as caught:
            one.sign()
        sent = next(asked["params"][0]["data"] for asked in endpoint.asked if asked["method"] == "eth_call")
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown = " ".join(f"{frame.locals}" for frame in trace.stack if "/x402_client/" in frame.filename)
    made = sent[-192:-62]  # 65 bytes, before their padding
    assert made[-2:] in ("1b", "1c")
    assert made not in shown
    assert repr(bytes.fromhex(made)) not in shown


def test_a_wallet_takes_it_and_pays_from_its_address() -> None:
    assert Wallet(evm=CONTRACT).addresses == {"eip155": PAYER}
    assert Wallet(evm=CONTRACT).evm is CONTRACT
    with paying(CONTRACT) as (one, _):
        signed = one.sign()
        assert signed.payer == signed.payload["authorization"]["from"] == PAYER
