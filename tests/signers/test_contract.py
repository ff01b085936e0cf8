"""Signers of wallets that are contracts: what they are given, what they return, and that no key shows."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

import x402_client.signers
from tests.signers.test_evm import DATA
from tests.wire.terms import KEY, PAYER, SELLER
from x402_client import Wallet
from x402_client.chains.evm import checksum, keccak
from x402_client.errors import ConfigurationError, SigningError
from x402_client.sandbox import TEST_EVM_KEYS
from x402_client.signers import ContractSigner, SafeSigner
from x402_client.signers.play_keys import is_play_signer
from x402_client.signers.safe import safe_message as safe_message_of

OWNERS = [Account.from_key("0x" + f"{number:02x}" * 32) for number in (0x11, 0x22, 0x33)]
SAFE = checksum(SELLER)


class Remote:
    """An owner whose key is elsewhere."""

    def __init__(self, account: Any, signs_as: Any = None) -> None:
        self.address, self._account = account.address, signs_as or account

    def sign_typed_data(self, full_message: dict[str, Any]) -> Any:
        return self._account.sign_typed_data(full_message=full_message).signature


class AsyncRemote(Remote):
    async def sign_typed_data(self, full_message: dict[str, Any]) -> Any:
        return super().sign_typed_data(full_message)


class LaterRemote(Remote):
    """One whose method is not async, and returns what is awaited all the same."""

    def sign_typed_data(self, full_message: dict[str, Any]) -> Any:
        async def later() -> Any:
            return Remote.sign_typed_data(self, full_message)

        return later()


def safe_message(digest: bytes) -> dict[str, Any]:
    """The message of a Safe, as its contract and eth_account have it."""
    fields = [{"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"}]
    return {
        "types": {"EIP712Domain": fields, "SafeMessage": [{"name": "message", "type": "bytes"}]},
        "primaryType": "SafeMessage",
        "domain": {"chainId": 84532, "verifyingContract": SAFE},
        "message": {"message": digest},
    }


def expected(*owners: Any) -> bytes:
    """The owners' signatures by eth_account, in the order of their addresses."""
    ordered = sorted(owners, key=lambda owner: int(owner.address, 16))
    message = safe_message(DATA.digest)
    return b"".join(bytes(owner.sign_typed_data(full_message=message).signature) for owner in ordered)


def signed(signer: Any) -> bytes:
    """The signature of a signer, awaited where it has to be."""
    given = signer.sign(DATA)

    async def awaited() -> Any:
        return await given

    return signer.read_signature(asyncio.run(awaited()) if hasattr(given, "__await__") else given)


@pytest.mark.parametrize("form", [bytes, bytearray, lambda raw: raw.hex(), lambda raw: "0x" + raw.hex()])
@pytest.mark.parametrize("size", [1, 64, 65, 66, 3_000, 8_192])
def test_signatures_of_any_length_come_as_they_are(form: Any, size: int) -> None:
    raw = b"\1" * (size - 1) + b"\0"  # as 65 bytes it is no key's signature, and a contract may take it
    assert signed(ContractSigner(PAYER, lambda document: form(raw))) == raw


@pytest.mark.parametrize("returned", [None, 5, "", b"", "zz", b"\1" * 8_193, [1]])
def test_what_is_no_signature_ends_the_payment(returned: Any) -> None:
    with pytest.raises(SigningError, match="Nothing was sent"):
        signed(ContractSigner(PAYER, lambda document: returned))


def test_the_function_is_given_the_message_or_its_hash() -> None:
    assert signed(ContractSigner(PAYER, lambda document: document["message"]["nonce"])) == bytes([7] * 32)
    assert signed(ContractSigner(PAYER, sign_digest=lambda digest: digest)) == DATA.digest

    async def sign(document: Any) -> bytes:
        return b"later"

    signer = ContractSigner(PAYER, sign)
    assert signer.is_async
    assert Wallet(evm=signer).async_only == ("evm",)
    assert signed(signer) == b"later"


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"sign": bytes, "sign_digest": bytes}, {"sign": "no function"}, {"sign": bytes, "sign_digest": 5},
        {"sign": bytes, "deploy": "0x12"}, {"sign": bytes, "deploy": (SELLER, b"")}, {"sign": bytes, "deploy": (1,)},
        {"sign": bytes, "deploy": ("nobody", b"1234")}, {"sign": bytes, "deploy": (SELLER, "0xzz")},
        {"sign": bytes, "deploy": (SELLER, b"1" * 9_000)},
    ],
)  # fmt: skip
def test_what_makes_no_signer_is_said_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"sign=|deploy"):
        ContractSigner(PAYER, **arguments)


@pytest.mark.parametrize("address", [None, 5, "", "0x" + "0" * 40, PAYER.swapcase(), KEY, KEY[2:], [KEY]], ids=range(8))
def test_the_address_has_to_be_one_and_a_key_in_its_place_is_not_shown(address: Any) -> None:
    for build in (lambda: ContractSigner(address, bytes), lambda: SafeSigner(address, [KEY])):
        with pytest.raises(ConfigurationError, match="begins with the contract's address") as caught:
            build()
        assert KEY[2:] not in shown_by(caught.value)


# --- a Safe


def test_the_owners_sign_the_safes_own_message_in_the_order_of_their_addresses() -> None:
    for owners in (OWNERS[:1], OWNERS[:2], OWNERS[::-1], OWNERS):
        assert signed(SafeSigner(SAFE, owners)) == expected(*owners)
    assert signed(SafeSigner(SAFE, [owner.key for owner in OWNERS])) == expected(*OWNERS)
    assert len(expected(*OWNERS)) == 195


def test_the_safes_message_is_the_general_encoding() -> None:
    asked = safe_message_of(SAFE, 84532, DATA.digest)
    for document in (asked.full(), safe_message(DATA.digest)):
        signable = encode_typed_data(full_message=document)
        assert keccak(b"\x19" + signable.version + signable.header + signable.body) == asked.digest


@pytest.mark.parametrize("kind", [Remote, AsyncRemote, LaterRemote])
def test_owners_may_be_signers_of_any_kind(kind: Any) -> None:
    signer = SafeSigner(
        SAFE,
        [
            kind(OWNERS[0]),
            OWNERS[1],
            OWNERS[2].key.hex(),
        ],
    )
    assert signer.is_async is (kind is AsyncRemote)
    assert signed(signer) == expected(*OWNERS)


def test_blocking_and_async_owners_sign_together() -> None:
    assert signed(SafeSigner(SAFE, [AsyncRemote(OWNERS[0]), Remote(OWNERS[1])])) == expected(*OWNERS[:2])


@pytest.mark.parametrize("kind", [Remote, AsyncRemote, LaterRemote])
def test_an_owner_that_signs_with_another_key_is_named(kind: Any) -> None:
    named = f"not by {OWNERS[0].address}, an owner of the Safe {SAFE}"
    with pytest.raises(SigningError, match=named) as caught:
        signed(SafeSigner(SAFE, [kind(OWNERS[0], signs_as=OWNERS[1]), OWNERS[2]]))
    for owner in OWNERS:
        assert repr(expected(owner))[2:40] not in shown_by(caught.value)


@pytest.mark.parametrize(
    ("owners", "said"),
    [
        ([], "none is given"),
        (KEY, "is a list"),
        (5, "is a list"),
        ([OWNERS[0], OWNERS[1], OWNERS[0].key], "twice"),
        ([SafeSigner(SAFE, OWNERS)], "is a contract itself"),
        ([KEY[:-2]], "64 hex digits"),
        ([object()], "lacks one of them"),
    ],
    ids=range(7),
)
def test_what_makes_no_safe_is_said_at_once(owners: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        SafeSigner(SAFE, owners)


def test_a_safe_with_a_well_known_owner_is_no_wallet_for_real_money() -> None:
    assert not is_play_signer(SafeSigner(SAFE, OWNERS))
    assert is_play_signer(SafeSigner(SAFE, [OWNERS[0], TEST_EVM_KEYS[0]]))


def test_keys_of_owners_show_nowhere() -> None:
    signer = SafeSigner(SAFE, [KEY, OWNERS[0]])
    assert repr(signer) == f"SafeSigner({SAFE}, 2 owners)"
    assert repr(Wallet(evm=signer)) == f"Wallet(evm={SAFE})"
    assert repr(ContractSigner(PAYER, bytes)) == f"ContractSigner({PAYER})"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(signer)
    with pytest.raises(ConfigurationError) as caught:
        SafeSigner(SAFE, [KEY[:-1] + "z"])
    assert KEY[2:-1] not in shown_by(caught.value)


def shown_by(error: Exception) -> str:
    """What a tool that shows variables would print of our frames."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [f"{frame.locals}" for frame in trace.stack if "/x402_client/" in frame.filename]
    assert ours
    return " ".join([*ours, str(error)])


def test_the_names_are_loaded_when_they_are_used() -> None:
    assert {"ContractSigner", "SafeSigner"} <= set(dir(x402_client.signers))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        x402_client.signers.Nothing  # noqa: B018
