"""What may happen: the events of a script, as plain data that prints as it is written."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeAlias


class Written:
    """Data that prints without what it leaves at its default, so that a script can be pasted back."""

    def __repr__(self) -> str:
        said = []
        for place in fields(self):  # type: ignore[arg-type]
            value = getattr(self, place.name)
            usual = place.default_factory() if place.default_factory is not MISSING else place.default
            if value != usual:
                said.append(f"{place.name}={value!r}")
        return f"{type(self).__name__}({', '.join(said)})"


@dataclass(frozen=True, repr=False)
class Plan(Written):
    """What the seller does to one call."""

    #: Redirects before the 402, each "status where": where is same, new, common, other.
    lead: tuple[str, ...] = ()
    #: What the 402 says: v2, v1, both (and another protocol), dear, drip; away: v2, and nobody listens for a while;
    #: permit2: v2 by Permit2; upto: a ceiling; sponsored: by Permit2, with a permit that the seller submits; sponsored
    #: upto: a ceiling so; sponsored choice: that, or the usual way for more; solana: v2 on Solana, with the
    #: blockhash of this moment, that no endpoint may have seen yet; solana own: without one.
    terms: str = "v2"
    #: The answer to each presentation of a payment; the last one for ever.
    pays: tuple[str, ...] = ("goods",)
    #: When a payment is settled: before the answer, after it, or never.
    settles: str = "before"
    #: The receipt: good, none, wrong, failed, false.
    receipt: str = "good"
    #: Answers to requests without payment, after a paid redirect.
    after: tuple[str, ...] = ("goods",)
    #: What is taken of a ceiling. Nothing is no transaction: it may be settled late, for all of it.
    charge: int = 3_000
    #: The challenges to sign in that its 402s have, by their kinds; the last one for ever. Without any, there are none.
    signs: tuple[str, ...] = ()
    #: A 402 with a challenge asks for no money.
    alone: bool = False
    #: The answer to each sign-in; the last one for ever.
    opens: tuple[str, ...] = ("goods",)
    #: What it asks of a permit that no honest seller does.
    asks: str = ""
    #: What becomes of a permit: it is submitted with the payment, alone (and the payment does not settle), or never.
    permit: str = "with"


@dataclass(frozen=True, repr=False)
class Call(Written):
    """One call of the application, and how it stops."""

    thing: int = 0
    client: str = "httpx"
    plan: Plan = field(default_factory=Plan)
    #: read, stream, break, deadline, handled, drop, timeout, cancel, interrupt, abandon.
    stop: str = "read"
    #: Pieces, milliseconds, awaits or moments before it stops.
    at: int = 0
    wallet: int = 0
    program: int = 0
    #: here; child: another program; fork: a child of this one; dies: another program that is killed at moment ``at``.
    where: str = "here"
    #: The allowance that it is made under, by its place in the setting's tree, counted from one. 0: none.
    under: int = 0
    #: The allowance that its client is wrapped with.
    around: int = 0


@dataclass(frozen=True, repr=False)
class Together(Written):
    """Calls that start at once, as purchases of their own."""

    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, repr=False)
class Wait(Written):
    """Time that passes, on every clock."""

    seconds: int = 60


@dataclass(frozen=True, repr=False)
class Skew(Written):
    """This machine's clock is set: by so many seconds from the chain's."""

    seconds: int = 0


@dataclass(frozen=True, repr=False)
class SettleLate(Written):
    """The seller settles each payment that it was handed and that the chain still takes.

    ``permit``: as in a plan. Alone, somebody submits each permit, and no payment settles.
    """

    permit: str = "with"


@dataclass(frozen=True, repr=False)
class Restart(Written):
    """A program ends in good order and starts anew."""

    program: int = 0


@dataclass(frozen=True, repr=False)
class Keep(Written):
    """Somebody makes a copy of the ledger."""


@dataclass(frozen=True, repr=False)
class PutBack(Written):
    """The copy is put back, while the programs live: an older file, a failover that lost a second."""


@dataclass(frozen=True, repr=False)
class GoOn(Written):
    """A program makes so many steps in the ledger, and none of them pays."""

    program: int = 0
    steps: int = 0


@dataclass(frozen=True, repr=False)
class Clone(Written):
    """The second program is from now on a copy of the first one's memory, as on a machine that was resumed twice."""


@dataclass(frozen=True, repr=False)
class LoseLog(Written):
    """A program makes a call and is killed, and the ledger's log is lost.

    ``folded``: it made the same call before, and then somebody moved the log into the file.
    """

    call: Call = field(default_factory=Call)
    folded: bool = False


@dataclass(frozen=True, repr=False)
class Evict(Written):
    """The store's policy changes, and it throws a key away."""

    which: int = 0


@dataclass(frozen=True, repr=False)
class Empty(Written):
    """The store loses all it had, while the programs live."""


@dataclass(frozen=True, repr=False)
class Endpoint(Written):
    """One of the chain's endpoints changes: true, silent, garbage, lies; little: it shows little taken of ceilings."""

    which: int = 0
    mood: str = "true"


@dataclass(frozen=True, repr=False)
class WriteOff(Written):
    """The user gives up each purchase that can be given up."""


@dataclass(frozen=True, repr=False)
class Mark(Written):
    """A program does something to an allowance of the tree: close, freeze, unfreeze."""

    place: int = 1
    how: str = "close"
    program: int = 0


@dataclass(frozen=True, repr=False)
class OpenOtherwise(Written):
    """A program opens an allowance by its name, and then with one other term: amount, minutes, hosts, parent, most."""

    place: int = 1
    term: str = "amount"
    program: int = 0


@dataclass(frozen=True, repr=False)
class LetGo(Written):
    """A program lets go of its allowances and of the clients that pay under them."""

    program: int = 0


@dataclass(frozen=True, repr=False)
class Reconcile(Written):
    """A program asks the chain what became of its payments."""

    program: int = 0


@dataclass(frozen=True, repr=False)
class Look(Written):
    """A program looks at what its wallet's permits and allowances could still take."""

    program: int = 0


_Taken: TypeAlias = Keep | PutBack | GoOn | Clone | LoseLog | Evict | Empty | Restart
_Allowing: TypeAlias = Mark | OpenOtherwise | LetGo
Event: TypeAlias = (
    Call | Together | Wait | Skew | SettleLate | Endpoint | WriteOff | Reconcile | Look | _Taken | _Allowing
)


@dataclass(frozen=True, repr=False)
class Allowed(Written):
    """The terms of one allowance of a tree."""

    #: The place of the one above, counted from one. 0: none.
    above: int = 0
    cents: int = 5
    minutes: int | None = None
    host: str | None = None
    #: Cents that one payment may cost.
    most: int | None = None
    #: It has a name, so that all programs share it. Else each has one of its own.
    lasts: bool = True


@dataclass(frozen=True, repr=False)
class Setting(Written):
    """What a script is played with. Budgets are in cents a day; None: there is no such budget."""

    ledger: str = "memory"
    budget: int = 5
    wildcard: int | None = None
    host: int | None = None
    #: An entry for one host that has no budget, below a wildcard that has one.
    exact: bool = False
    #: The second wallet's policy has no entry for the wildcard.
    lax: bool = False
    breaker: bool = False
    loss: str = "0"
    #: Remembered terms are paid in the first request; refusals come back as the 402.
    ahead: bool = False
    returns: bool = False
    #: Milliseconds: the clients' time-out for reading, and the one for a seller that settles.
    read: int = 400
    settle: int = 400
    #: The endpoints that are named are another chain's, from the start on.
    foreign: bool = False
    #: One endpoint alone is named; a program that starts once something was paid says that its ledger must exist.
    alone: bool = False
    must: bool = False
    #: The user's own reader tells what became of payments: it is a little early, and fails as the first endpoint does.
    reader: bool = False
    #: Allowances of the purse.
    tree: tuple[Allowed, ...] = ()
    #: Payments for one request a day.
    same: int | None = None
    #: Where challenges are signed, and where at one host; the policy pays, and signs in, on one chain.
    sign_in: str = "paid"
    sign_in_at: str = ""
    one_chain: bool = False
    #: What each account approved to Permit2, in the smallest units. None: far more than it needs.
    approved: int | None = None
    #: Permits are signed.
    permits: bool = True
    #: The wallets pay on Solana, too, and its endpoints are so many slots behind. None: they do not.
    behind: int | None = None

    def signs_in(self, host: str) -> str:
        """Return where challenges of a host are signed."""
        return self.sign_in_at if self.sign_in_at and host == "a.shop.test" else self.sign_in

    def path(self, under: int) -> tuple[int, ...]:
        """Return the places of an allowance and of all above it, from the root down."""
        return (*self.path(self.tree[under - 1].above), under) if under else ()


@dataclass(frozen=True, repr=False)
class Script(Written):
    """A whole case."""

    setting: Setting = field(default_factory=Setting)
    events: tuple[Event, ...] = ()

    def shown(self) -> str:
        """Return the script as Python, an event a line."""
        lines = "".join(f"        {event!r},\n" for event in self.events)
        return f"Script(\n    {self.setting!r},\n    (\n{lines}    ),\n)"


NAMES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Plan, Call, Together, Wait, Skew, SettleLate, Restart, Keep, PutBack, GoOn, Clone, LoseLog, Evict, Empty,
        Endpoint, WriteOff, Reconcile, Look, Mark, OpenOtherwise, LetGo, Allowed, Setting, Script,
    )
}  # fmt: skip
