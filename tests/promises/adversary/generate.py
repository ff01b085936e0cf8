"""Draws scripts from seeds. A seed with an alphabet gives one script, wherever it is drawn."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from .challenges import HOSTILE
from .events import Allowed, Call, Event, Plan, Restart, Script, Setting, SettleLate, Together, Wait
from .machines import MACHINES
from .scenes import SCENES
from .terms import ASKS

#: What scripts may be about besides the plain life of sellers and callers, and what it is.
THEMES = {
    "lead": "redirects before the 402",
    "paid lead": "redirects after the payment",
    "both": "two challenges in one 402",
    "await": "a cancellation at any await",
    "deadline": "a failure of the caller's own in the middle of a body",
    "abandon": "a thread that its caller gave up on",
    "late": "a thread that its caller gave up on before its 402 was here",
    "busy": "a ledger that is busy when the content arrives",
    "keep": "an older ledger in the place of the one that programs use",
    "keep long": "an older ledger behind many steps of another program",
    "lose log": "a ledger file without its log",
    "fold": "a log that somebody moved into the file, and that is lost later",
    "old": "payments that are given back when their day is over",
    "clone": "a memory that exists twice",
    "wallets": "two wallets on one ledger and purse",
    "fork": "a forked child with its parent's buyer",
    "evict": "a store that throws keys away",
    "empty": "a store that loses all it had",
    "must": "programs that say that their ledger must exist",
    "jsonrpc": "a call of a tool that is the same but for its id",
    "spelling": "an address that libraries spell in two ways",
    "multipart": "a form whose boundary is drawn anew",
    "bodies": "bodies at one address that say different things",
    "skew": "a machine's clock that is set, and losses that the policy accepts",
    "early": "a clock that is a little fast, where no endpoint speaks",
    "loss": "a refusal after a loss that the policy accepts",
    "endpoint": "endpoints that are silent, make no sense, or lie",
    "witness": "one endpoint alone, which lies",
    "reader": "a reader of the user's own that fails, or is early",
    "foreign": "endpoints of another chain",
    "wildcard": "an exact entry below a wildcard that has a budget",
    "policies": "two policies on one ledger and purse, one without the wildcard of the other",
    "patterns": "one of two policies begins a wildcard after the other one paid",
    "give up": "a user who gives purchases up",
    "tell": "failures of the library's own say what became of the money",
    "nowhere": "a redirect after the payment that names no place",
    "ahead": "terms that are remembered, and paid in the first request",
    "return": "refusals that come back as the 402",
    "crowd": "many calls at once, of two programs",
    "joined": "what joined an overdue call says of the money when it fails",
    "already": "keys of what was delivered and never settled",
    "drip": "a 402 that comes in drops",
    "away": "a seller that listens no more",
    "allowances": "budgets within the budget, in a tree, and purchases that go on under another one",
    "ceilings": "Permit2, and ceilings of which a part is taken, or nothing, or all of it later",
    "lost ceilings": "ceilings whose answers are lost, looks before their deadline, and an endpoint that shows little",
    "loop": "a policy that pays for one request only so often",
    "sign in": "challenges to sign in, sound and hostile, beside a price and instead of one",
    "permits": "Permit2 with permits that sellers submit, and that nobody but Permit2 and the payment may use",
    "solana": "blockhashes of the seller's that no endpoint has seen yet, and a clock that is put right",
}
#: What a machine has to know for a theme.
_NEEDS = {theme: theme for theme in ("keep", "keep long", "clone", "lose log", "busy", "evict", "empty")}
_NEEDS |= {"must": "empty", "fold": "lose log"}
CLIENTS = ("httpx", "requests", "ahttpx", "aiohttp", "trio")
_PAYS = (
    ("goods", 30), ("pieces", 16), ("drop", 12), ("cut", 8), ("402", 8), ("reset", 5), ("cut head", 4), ("500", 4),
    ("503", 3), ("404", 3), ("401", 2), ("407", 1), ("402 dear", 2), ("402 garbage", 1), ("402 v1", 2), ("garbage", 2),
    ("empty", 1), ("hang", 1), ("goods late", 1), ("pieces drip", 1),
)  # fmt: skip
_RECEIPTS = (("good", 12), ("none", 3), ("wrong", 1), ("failed", 1), ("false", 2))
_SETTLES = (("before", 6), ("after", 2), ("never", 3))
#: Answers to a sign-in, and challenges; the hostile ones are drawn from all of their kinds.
_OPENS = (
    ("goods", 16), ("pieces", 5), ("402", 7), ("402 dear", 2), ("402 bare", 2), ("402 garbage", 1), ("402 v1", 1),
    ("500", 2), ("503", 1), ("404", 1), ("401", 2), ("403", 1), ("400", 1), ("431", 1), ("drop", 2), ("cut", 2),
    ("reset", 1), ("empty", 1), ("garbage", 1), ("to 302 new", 1), ("to 307 other", 1), ("to 303 common", 1),
)  # fmt: skip
_SIGNS = (("plain", 12), ("words", 2), ("no port", 2), ("draft", 2), ("two chains", 1), ("again", 4), ("", 12))
_SPONSORED = (("sponsored", 6), ("sponsored upto", 3), ("sponsored choice", 3), ("permit2", 2), ("upto", 1), ("v2", 1))
_LEAD = ("302 new", "307 new", "303 new", "307 same", "302 common", "307 common", "302 other", "307 other")
_AFTER = (("goods", 5), ("402", 2), ("404", 1), ("drop", 1), ("cut", 1), ("pieces", 2), ("to 302 new", 1))


def themes(ledger: str) -> frozenset[str]:
    """Return the themes that mean something on a machine."""
    knows = MACHINES[ledger].knows  # type: ignore[attr-defined]
    return frozenset(theme for theme in THEMES if theme not in _NEEDS or _NEEDS[theme] in knows)


def script(seed: int, ledger: str, alphabet: frozenset[str]) -> Script:
    """Return the script of a seed."""
    return Drawing(Random(f"{seed} {ledger}"), ledger, alphabet).script()


def _weighted(rng: Random, choices: tuple[tuple[Any, int], ...]) -> Any:
    return rng.choices([one for one, _ in choices], [weight for _, weight in choices])[0]


class Drawing:
    """One script while it is drawn. It is about a few themes, or each would be too rare."""

    def __init__(self, rng: Random, ledger: str, alphabet: frozenset[str]) -> None:
        self.rng, self.ledger = rng, ledger
        possible = sorted(alphabet & themes(ledger))
        self.about = set(rng.sample(possible, min(len(possible), rng.choice((0, 1, 1, 2, 3)))))
        self.shared = ledger != "memory"
        things = [0, 1, 2, 3, *([4] if "multipart" in self.about else []), *([5] if "jsonrpc" in self.about else [])]
        things += [6] if "spelling" in self.about else []
        self.things = rng.sample(things, rng.choice((1, 1, 2, 3)))
        self.things += [thing for thing in (4, 5, 6) if thing in things and rng.random() < 0.7]
        if "bodies" in self.about:
            self.things = [*rng.choice(((7, 8), (2, 10), (9,))), *self.things[:1]]
        self.thing = self.things[0]
        self.tree: tuple[Allowed, ...] = ()
        if "allowances" in self.about:
            for _ in range(rng.randint(1, 4)):
                self.tree += (self.allowed(),)

    def allowed(self) -> Allowed:
        """Draw one more allowance of the tree. A named one is in a named one."""
        rng, above = self.rng, self.rng.randrange(len(self.tree) + 1)
        lasts = (not above or self.tree[above - 1].lasts) and rng.random() < 0.75
        return Allowed(
            above, rng.choice((1, 2, 3, 5, 20)), rng.choice((None, None, 2, 60)),
            rng.choice((None,) * 5 + ("*.shop.test", "a.shop.test")), rng.choice((None, None, None, 1)), lasts,
        )  # fmt: skip

    def under(self) -> int:
        """Draw the allowance of a call."""
        return self.rng.randrange(len(self.tree) + 1) if self.tree else 0

    def around(self) -> int:
        """Draw the allowance of a client."""
        return self.under() if self.tree and self.rng.random() < 0.3 else 0

    def chance(self, theme: str, odds: float) -> bool:
        """Return True if it happens, in a script that is about the theme."""
        return theme in self.about and self.rng.random() < odds

    def script(self) -> Script:
        """Draw it all."""
        events: list[Event] = []
        for _ in range(self.rng.randint(3, 11)):
            events += self.next()
        if self.rng.random() < 0.5:
            events.append(self.again())
        return Script(self.setting(), tuple(events))

    def setting(self) -> Setting:
        """Draw the policy."""
        rng = self.rng
        abandons = bool(self.about & {"abandon", "late", "joined"})
        wildcard, host = rng.choice((None, None, 2, 4)), None
        if self.about & {"wildcard", "policies", "patterns"}:
            wildcard, host = rng.choice((1, 2, 3)), rng.choice((None, 3))
        return Setting(
            ledger=self.ledger,
            budget=rng.choice((1, 2, 3) if "witness" in self.about else (2, 3, 5, 9, 20)),
            wildcard=wildcard,
            host=host,
            exact="wildcard" in self.about,
            lax=bool(self.about & {"policies", "patterns"}),
            breaker=rng.random() < 0.2,
            loss=rng.choice(("0", "0.02")) if self.about & {"skew", "early", "loss"} else "0",
            ahead="ahead" in self.about,
            returns="return" in self.about,
            read=60 if abandons else 400,
            settle=8_000 if abandons else 400,
            foreign="foreign" in self.about,
            alone="witness" in self.about or self.chance("lost ceilings", 0.4),
            reader="reader" in self.about and not self.about & {"skew", "early"},
            must="must" in self.about,
            tree=self.tree,
            same=rng.choice((1, 2, 3)) if "loop" in self.about else None,
            **(self.signing() if "sign in" in self.about else {}),
            **(self.approving() if "permits" in self.about else {}),
            behind=rng.choice((0, 3, 3, 20, 100)) if "solana" in self.about else None,
        )

    def signing(self) -> dict[str, Any]:
        """Draw what a policy says of challenges."""
        rng = self.rng
        at = rng.choice(("", "", "", "paid", "always", "never"))
        mode = rng.choice(("paid", "paid", "paid", "always", "always", "never"))
        return {"sign_in": mode, "sign_in_at": at, "one_chain": rng.random() < 0.6}

    def approving(self) -> dict[str, Any]:
        """Draw what is approved to Permit2 before, and what the policy says of permits."""
        return {"approved": self.rng.choice((0, 0, 0, 0, 4_000, 10_000, 25_000)), "permits": self.rng.random() < 0.9}

    def next(self) -> list[Event]:
        """Draw what happens next."""
        rng = self.rng
        special = self.special()
        if special is not None:
            return special
        kind = rng.random()
        if kind < 0.74:
            return [self.call()]
        if kind < 0.80:
            return [Together(tuple(self.call(crowd=True) for _ in range(rng.choice((2, 3)))))]
        if kind < 0.87:
            return [Wait(rng.choice((5, 61, 200, 700, 4_000, 90_000)))]
        if kind < 0.93 or not self.shared:
            return [SettleLate()]
        return [Restart(rng.randrange(2))]

    def special(self) -> list[Event] | None:
        """Draw the scene of a theme, if one comes up."""
        return next((scene(self) for theme, odds, scene in SCENES if self.chance(theme, odds)), None)

    def again(self) -> Call:
        """Draw the last request once more, as a caller who wants the content."""
        client, plan = self.rng.choice(CLIENTS), Plan(terms=self.terms())
        return Call(self.thing, client, self.beside(plan), under=self.under(), around=self.around())

    def buys(self, wallet: int) -> Call:
        """Draw a call below the wildcard that brings the content."""
        program = wallet if self.shared else 0
        return Call(self.rng.choice((0, 2)), self.rng.choice(CLIENTS), wallet=wallet, program=program)

    def terms(self) -> str:
        """Draw what a 402 says."""
        if self.chance("solana", 0.85):
            return self.rng.choice(("solana", "solana", "solana", "solana own"))
        if self.chance("permits", 0.8):
            return str(_weighted(self.rng, _SPONSORED))
        if self.chance("lost ceilings", 0.85):
            return "upto"
        if self.chance("ceilings", 0.7):
            return self.rng.choice(("upto", "upto", "permit2"))
        if self.chance("both", 0.5):
            return "both"
        if self.chance("away", 0.3):
            return "away"
        if self.chance("drip", 0.3) and "abandon" not in self.about:
            return "drip"
        return str(_weighted(self.rng, (("v2", 12), ("v1", 3), ("dear", 2))))

    def call(self, crowd: bool = False, failing: bool = False, program: int | None = None, other: bool = False) -> Call:
        """Draw a call."""
        rng = self.rng
        if other or rng.random() < 0.3:
            self.thing, thing = rng.choice(self.things), self.thing
            if other:
                self.thing, thing = thing, rng.choice((0, 1, 2))
        if not other:
            thing = self.thing
        client = rng.choice(CLIENTS)
        stop, at = self.stop(client, crowd)
        where, at = ("here", at) if crowd or failing or other else self.where(stop, at)
        return Call(
            thing, client, self.plan(stop, at, failing), stop if where == "here" else "read", at,
            wallet=rng.randrange(2) if self.about & {"wallets", "policies", "patterns"} else 0,
            program=(rng.randrange(2) if self.shared else 0) if program is None else program,
            where=where, under=self.under(), around=self.around(),
        )  # fmt: skip

    def stop(self, client: str, crowd: bool) -> tuple[str, int]:
        """Draw how the caller stops."""
        rng = self.rng
        waits = client in ("ahttpx", "aiohttp", "trio")
        if (self.chance("abandon", 0.5) or self.chance("joined", 0.5)) and not waits:
            return "abandon", 200
        if self.chance("late", 0.5) and not waits:
            return "abandon", 130
        if self.chance("busy", 0.6) and waits:
            return "timeout", 300
        if self.chance("deadline", 0.5):
            return rng.choice(("deadline", "deadline", "handled")), rng.randrange(3)
        if self.chance("await", 0.6) and waits:
            return "cancel", rng.randint(1, 24)
        kind = rng.random()
        if kind < 0.6 or crowd:
            return "read", 0
        if kind < 0.76:
            return "stream", 0
        if kind < 0.82:
            return "break", rng.randrange(2)
        if kind < 0.86:
            return "drop", 0
        return ("interrupt", rng.randint(1, 34)) if not waits else ("read", 0)

    def where(self, stop: str, at: int) -> tuple[str, int]:
        """Draw the process that calls."""
        rng = self.rng
        if self.chance("fork", 0.4):
            return "fork", 0
        if self.shared and stop in ("read", "stream") and rng.random() < 0.12:
            return rng.choice((("child", 0), ("dies", rng.randint(1, 34)), ("dies", rng.randint(1, 34))))
        return "here", at

    def plan(self, stop: str, at: int, failing: bool) -> Plan:
        """Draw what the seller does."""
        rng = self.rng
        pays = tuple(_weighted(rng, _PAYS) for _ in range(rng.choice((1, 1, 2, 3))))
        if failing:
            pays = (rng.choice(("drop", "cut", "402", "500")),)
        if at == 130:
            return Plan(terms="drip", settles=_weighted(rng, _SETTLES))
        if stop == "abandon":
            pays = (rng.choice(("hang", "hang goods", "hang goods", "hang 402", "hang cut")),)
        elif self.chance("busy", 0.7):
            pays = (rng.choice(("goods busy", "pieces busy")),)
        elif stop in ("deadline", "handled", "break") and rng.random() < 0.7:
            pays = ("pieces",)
        lead: tuple[str, ...] = ()
        if self.chance("lead", 0.6):
            lead = tuple(rng.choice(_LEAD) for _ in range(rng.choice((1, 1, 2))))
        if self.chance("paid lead", 0.6):
            pays = (*pays[:-1], "to " + rng.choice(_LEAD))
        if self.chance("nowhere", 0.5):
            pays = (*pays[:-1], "302")
        settles, receipt = _weighted(rng, _SETTLES), _weighted(rng, _RECEIPTS)
        after = tuple(_weighted(rng, _AFTER) for _ in range(rng.choice((1, 2)))) if "paid lead" in self.about else ()
        charge = rng.choice((0, 1, 3_000, 10_000)) if self.about & {"ceilings", "lost ceilings"} else 3_000
        return self.beside(Plan(lead, self.terms(), pays, settles, receipt, after or ("goods",), charge))

    def beside(self, plan: Plan) -> Plan:
        """Draw what stands beside the terms of a plan: challenges to sign in, and what is asked of permits."""
        rng = self.rng
        if self.chance("sign in", 0.75):
            signs = tuple(self.sign() for _ in range(rng.choice((1, 1, 2))))
            opens = tuple(_weighted(rng, _OPENS) for _ in range(rng.choice((1, 1, 2))))
            plan = replace(plan, signs=signs, opens=opens, alone=rng.random() < 0.25)
        if self.chance("permits", 0.9):
            charge, permit = rng.choice((0, 1, 3_000, 10_000)), rng.choice(("with",) * 5 + ("alone", "alone", "never"))
            plan = replace(plan, charge=charge, permit=permit, asks=rng.choice(ASKS) if rng.random() < 0.2 else "")
        return plan

    def sign(self) -> str:
        """Draw the kind of a challenge."""
        return str(_weighted(self.rng, _SIGNS)) or self.rng.choice(HOSTILE)
