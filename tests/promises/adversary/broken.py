"""The oracles by name, and what is raised where one of them finds that a promise was broken."""

from __future__ import annotations

TWICE, OVER, WITHHELD, UNTRUE = "settled twice", "over a budget", "content withheld", "not true of the money"
#: Of allowances: a payment counts in others than it was made under; one that pays no more paid, or one place that it
#: does not pay; its name was opened with other terms.
MOVED, STOPPED, TERMS = "counted elsewhere", "paid under what pays no more", "other terms"
#: A payment came once more, and signed anew or with another permit.
SIGNED_ANEW = "not the same payment"
#: Of sign-ins: one that no sound challenge of the asked origin called for, or what pays beside one that opened.
SIGNED = "signed in where it must not"
#: Of permits: another one than of exactly the payment, or two at once; and what could be taken and is not shown so.
PERMITTED, HIDDEN = "a permit that must not be", "not shown as exposed"


class Broken(Exception):
    """A promise was broken. ``oracle`` names which."""

    def __init__(self, oracle: str, text: str) -> None:
        super().__init__(f"{oracle}: {text}")
        self.oracle = oracle
