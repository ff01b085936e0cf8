"""Tests that every payment scheme has to pass: subclass ``SchemeConformance`` and run it with pytest.

    class TestVoucher(SchemeConformance):
        def make(self): return Voucher(SIGNER.address)
        def wallet(self): return Wallet(further={"demo": SIGNER})
        def sound(self): return [offer(), offer(amount=5)]
        def unsound(self): return [offer(pay_to="")]
        def verify(self, offer, signed): assert seller_takes(offer, signed.payload)

Nothing is faked: a buyer with the wallet answers the scheme's asks, as in a payment.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ..buyer.answers import Answers, AsyncAnswers
from ..buyer.buyer import Buyer
from ..buyer.schemes import family_name
from ..buyer.wallet import Wallet
from ..core import asks
from ..core.delivery import NO_COURIER
from ..core.drive import arun, is_coming, run
from ..core.ports import Scheme
from ..errors import X402Error
from ..model.networks import family_of
from ..model.offers import Offer
from ..model.signing import Signed
from ..policy.policy import Policy
from .examples import for_offers

#: The asks that a scheme may yield while it signs. Only the flow sends, reserves and reports.
ALLOWED = (asks.SignTyped, asks.SignMessage, asks.Sign, asks.Fetch)
#: Seconds by which clocks may differ between two lines of a test.
_SLACK = 2


class SchemeConformance(ABC):
    """Tests of a scheme, given a wallet that signs for it, and offers. ``self.scheme`` is new in every test."""

    #: Seconds that a payment may be valid, as ``Policy(validity=...)`` says.
    validity = 600
    #: The number of hostile offers that are tried.
    examples = 200
    #: Texts that nothing may show: keys, in each form in which they were given.
    secrets: tuple[str, ...] = ()

    @abstractmethod
    def make(self) -> Scheme:
        """Return a new scheme."""

    @abstractmethod
    def wallet(self) -> Wallet:
        """Return the wallet that signs."""

    @abstractmethod
    def sound(self) -> Sequence[Offer]:
        """Return offers that the scheme pays. ``token`` is set in each."""

    @abstractmethod
    def unsound(self) -> Sequence[Offer]:
        """Return offers that it must not pay. ``token`` is set in each."""

    @abstractmethod
    def verify(self, offer: Offer, signed: Signed) -> None:
        """Check a payment as the seller does. Raise AssertionError if it is not worth the offer's amount."""

    def setup_method(self) -> None:
        """Make the scheme that is tested."""
        self.scheme: Scheme = self.make()
        self.buyer: Buyer = Buyer(self.wallet(), Policy(per_request="1"), ledger=":memory:")
        self._asked: list[asks.Ask[Any]] = []
        self._given: list[bytes] = []

    def teardown_method(self) -> None:
        """Close the buyer."""
        self.buyer.close()

    # --- what it says of itself

    def test_it_names_itself_and_its_family(self) -> None:
        assert isinstance(self.scheme.name, str)
        assert self.scheme.name
        for offer in (*self.sound(), *self.unsound()):
            assert (offer.scheme, family_of(offer.network)) == (self.scheme.name, family_name(self.scheme))
            assert offer.token is not None

    # --- which offers it pays

    def test_it_objects_to_unsound_offers_only(self) -> None:
        assert self.sound()
        assert self.unsound()
        assert [self._objection(offer) for offer in self.sound()] == [None] * len(self.sound())
        for offer in self.unsound():
            assert self._objection(offer) is not None, f"no objection to {offer!r}"

    def test_an_objection_goes_by_the_offer_alone(self) -> None:
        """Check that the policy can keep the answer for the next offer that is the same."""
        offers = [*self.sound(), *self.unsound()]
        before = [self._objection(offer) for offer in offers]
        for offer in self.sound():
            self.sign(offer)
        other = self.make()
        assert [self._objection(offer) for offer in reversed(offers)] == before[::-1]
        assert [other.objection(offer) for offer in offers] == before

    def test_a_remark_is_text_for_a_person(self) -> None:
        for offer in self.sound():
            remark = self.scheme.remark(offer)
            assert remark is None or (isinstance(remark, str) and remark)

    # --- what it signs

    def test_it_signs_what_is_offered(self) -> None:
        for offer in self.sound():
            signed = self.sign(offer)
            self._check(signed)
            self.verify(offer, signed)

    def test_async_clients_get_the_same(self) -> None:
        for offer in self.sound():
            signed = self.sign_async(offer)
            self._check(signed)
            self.verify(offer, signed)

    def test_each_payment_has_a_nonce_of_its_own(self) -> None:
        signed = [self.sign(offer) for offer in self.sound()[:1] for _ in range(20)]
        assert len({one.nonce for one in signed}) == 20
        assert len({json.dumps(dict(one.payload), sort_keys=True) for one in signed}) == 20

    def test_a_payment_expires_in_time(self) -> None:
        for offer in self.sound():
            started = time.time()
            signed = self.sign(offer)
            assert started < signed.expires <= time.time() + self.validity + _SLACK

    def test_it_asks_for_signatures_and_reads_only(self) -> None:
        for offer in self.sound():
            self.sign(offer)
        strange = {type(ask).__name__ for ask in self._asked if not isinstance(ask, ALLOWED)}
        assert not strange, f"sign() yields {strange}; it may yield {[one.__name__ for one in ALLOWED]}"

    def test_what_can_be_spent_shows_nowhere(self) -> None:
        for offer in self.sound():
            signed = self.sign(offer)
            shown = repr(signed) + repr(self.scheme) + json.dumps(dict(signed.evidence))
            for text in self._spendable(signed):
                assert text not in shown, "a repr or the evidence shows what can be spent"

    def test_a_signature_by_another_key_is_not_sent(self) -> None:
        """Check a signer that has another key than it says: it may be somebody else's service."""
        answers = Answers(self.buyer.services, NO_COURIER)

        def answer(ask: asks.Ask[Any]) -> Any:
            given = self._noted(ask, answers(ask))
            return _spoilt(given) if isinstance(given, asks.SignatureGiven) else given

        for offer in self.sound():
            self._given.clear()
            try:
                run(self.scheme.sign(offer, self.validity), answer)
            except X402Error:
                continue
            assert not self._given, "sign() returned a payment with a signature that is not by the payer"

    # --- what hostile sellers offer

    def test_a_hostile_offer_is_objected_to_or_ends_cleanly(self) -> None:
        def check(offer: Offer) -> None:
            if self._objection(offer) is not None:
                return
            remark = self.scheme.remark(offer)
            assert remark is None or isinstance(remark, str)
            try:
                signed = self.sign(offer)
            except X402Error:
                return
            self._check(signed)

        for sound in self.sound()[:2]:
            for_offers(check, sound, self.examples)

    # --- how it is run

    def sign(self, offer: Offer) -> Signed:
        """Sign an offer as a sync client does."""
        answers = Answers(self.buyer.services, NO_COURIER)
        return run(self.scheme.sign(offer, self.validity), lambda ask: self._noted(ask, answers(ask)))

    def sign_async(self, offer: Offer) -> Signed:
        """Sign an offer as an async client does."""
        import anyio

        answers = AsyncAnswers(self.buyer.services, NO_COURIER)

        async def answer(ask: asks.Ask[Any]) -> Any:
            given = answers(ask)
            return self._noted(ask, await given if is_coming(given) else given)

        async def signing() -> Signed:
            return await arun(self.scheme.sign(offer, self.validity), answer)

        return anyio.run(signing)

    def _noted(self, ask: asks.Ask[Any], given: Any) -> Any:
        self._asked.append(ask)
        if isinstance(given, asks.SignatureGiven):
            self._given.append(given.signature)
        return given

    def _objection(self, offer: Offer) -> str | None:
        found = self.scheme.objection(offer)
        assert found is None or (isinstance(found, str) and found), f"objection() gave {found!r}"
        assert self.scheme.objection(offer.but()) == found
        return found

    def _check(self, signed: Signed) -> None:
        assert isinstance(signed, Signed)
        assert isinstance(signed.nonce, str)
        assert signed.nonce
        assert isinstance(signed.payer, str)
        assert signed.payer
        assert type(signed.expires) is int
        for part in (signed.payload, signed.evidence):
            assert json.loads(json.dumps(dict(part), allow_nan=False)) == dict(part), "it is not plain JSON"

    def _spendable(self, signed: Signed) -> list[str]:
        """Return the texts that are worth money: the signatures, and long texts of the payload except the nonce."""
        texts = [text for text in _texts(signed.payload) if len(text) >= 80]
        texts += [signature.hex() for signature in self._given if len(signature) >= 16]
        return [*filter(lambda text: text != signed.nonce, texts), *self.secrets]


def _spoilt(given: asks.SignatureGiven) -> asks.SignatureGiven:
    middle = len(given.signature) // 4
    changed = given.signature[:middle] + bytes([given.signature[middle] ^ 1]) + given.signature[middle + 1 :]
    return asks.SignatureGiven(changed, trusted=False, seconds=given.seconds)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inside = value.values() if hasattr(value, "values") else value if isinstance(value, (list, tuple)) else ()
    return [text for one in inside for text in _texts(one)]
