"""Tests that every family of chains has to pass: subclass ``FamilyConformance`` and run it with pytest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import combinations

from ..chains.families import SHIPPED, ChainFamily, Families
from ..model.networks import caip2, family_of, is_family
from .examples import for_texts


class FamilyConformance(ABC):
    """Tests of a family of chains, given some of its addresses. ``self.family`` is new in every test."""

    #: The number of drawn texts that are tried.
    examples = 200

    @abstractmethod
    def make(self) -> ChainFamily:
        """Return the family."""

    @abstractmethod
    def network(self) -> str:
        """Return the CAIP-2 name of one of its networks."""

    @abstractmethod
    def accounts(self) -> Sequence[Sequence[str]]:
        """Return at least two accounts: for each, all spellings of its address."""

    @abstractmethod
    def strangers(self) -> Sequence[str]:
        """Return texts that are not addresses: one too long, one of another family, one with a wrong checksum."""

    def setup_method(self) -> None:
        """Make the family of chains that is tested."""
        self.family: ChainFamily = self.make()

    def test_its_name_is_the_namespace_of_its_networks(self) -> None:
        assert is_family(self.family.name)
        assert caip2(self.network()) == self.network()
        assert family_of(self.network()) == self.family.name

    def test_addresses_are_told_from_other_texts(self) -> None:
        assert self.strangers()
        assert all(self.family.is_address(one) is True for account in self.accounts() for one in account)
        assert not any(self.family.is_address(one) for one in ("", " ", self.network(), *self.strangers()))

    def test_all_spellings_of_an_account_are_one(self) -> None:
        for account in self.accounts():
            assert len({self.family.canonical(one) for one in account}) == 1

    def test_two_accounts_are_never_one(self) -> None:
        assert len(self.accounts()) > 1
        for one, other in combinations(self.accounts(), 2):
            assert self.family.canonical(one[0]) != self.family.canonical(other[0])

    def test_the_one_spelling_stays_as_it_is(self) -> None:
        for account in self.accounts():
            spelling = self.family.canonical(account[0])
            assert self.family.is_address(spelling)
            assert self.family.canonical(spelling) == spelling

    def test_any_text_may_be_asked_about(self) -> None:
        """Check any text: sellers write addresses, and a receipt is read while a payment is under way."""

        def check(text: str) -> None:
            assert isinstance(self.family.is_address(text), bool)
            spelling = self.family.canonical(text)
            assert isinstance(spelling, str)
            assert self.family.canonical(spelling) == spelling

        for_texts(check, self.examples)

    def test_a_buyer_takes_it(self) -> None:
        families = Families(() if self.family.name in SHIPPED else [self.family])
        first, other = (account[0] for account in self.accounts()[:2])
        assert families.same_account(self.network(), first, first)
        assert not families.same_account(self.network(), first, other)
