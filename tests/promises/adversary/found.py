"""Scripts and seeds that the machine found, by the theme whose rule they broke. Each is played as a test of its own."""

from __future__ import annotations

from typing import NamedTuple

from .events import Call, Evict, Keep, Look, LoseLog, Plan, PutBack, Script, Setting, Skew, Together, Wait
from .generate import CLIENTS, themes

#: Themes, or themes on a ledger, that no script of the suite is about yet, and the rule that is not kept yet.
PENDING: dict[str, str] = {}


def pending(theme: str, ledger: str) -> str | None:
    """Return the rule that is not kept yet on a ledger, if a theme is about one."""
    return PENDING.get(theme) or PENDING.get(f"{theme} on {ledger}")


def kept(ledger: str) -> frozenset[str]:
    """Return the themes whose rules are kept."""
    return frozenset(theme for theme in themes(ledger) if pending(theme, ledger) is None)


#: By theme, or themes joined by a plus, and ledger: seeds whose scripts broke a promise while the rule was not kept, or
#: break it on a copy of ``tests.repo.mutations``. The themes are the whole alphabet, ``finds(seed, ledger, {theme})``.
SEEDS: dict[tuple[str, str], tuple[int, ...]] = {
    ("abandon", "memory"): (8,),
    ("already", "memory"): (26,),
    ("await", "memory"): (256,),
    ("ceilings", "memory"): (109,),
    ("deadline", "memory"): (3,),
    ("foreign", "memory"): (4,),
    ("fork", "memory"): (5,),
    ("joined", "memory"): (11,),
    ("jsonrpc", "memory"): (1,),
    ("late", "memory"): (5,),
    ("late+abandon", "memory"): (113,),
    ("lead", "memory"): (3,),
    ("loss", "memory"): (3,),
    ("paid lead", "memory"): (1, 28),
    ("policies", "memory"): (5,),
    ("skew", "memory"): (4,),
    ("solana", "memory"): (2, 20, 22),
    ("spelling", "memory"): (1,),
    ("tell", "memory"): (1,),
    ("wallets", "memory"): (8,),
    ("wildcard", "memory"): (3,),
    ("busy", "sqlite"): (3,),
    ("keep", "sqlite"): (27,),
    ("lose log", "sqlite"): (1,),
    ("policies", "sqlite"): (46,),
    ("wallets", "sqlite"): (42,),
    ("busy", "redis"): (0,),
    ("evict", "redis"): (46,),
    ("keep", "redis"): (9,),
    ("patterns", "redis"): (3,),
    ("wallets", "redis"): (12,),
}

#: Further ones, which break it on such a copy alone. Both are played in the second stage of the suite. Without a theme
#: a script is about the plain life of sellers and callers.
MORE_SEEDS: dict[tuple[str, str], tuple[int, ...]] = {
    ("", "memory"): (0, 1, 2, 4, 9, 22, 44),
    ("abandon", "memory"): (1,),
    ("ahead", "memory"): (63,),
    ("ahead+allowances", "memory"): (1024,),
    ("allowances", "memory"): (8, 31, 34, 41, 44, 46),
    ("await", "memory"): (17,),
    ("away", "memory"): (20,),
    ("bodies", "memory"): (10, 64),
    ("bodies+lead", "memory"): (3,),
    ("both", "memory"): (0,),
    ("crowd", "memory"): (8,),
    ("deadline", "memory"): (21, 22),
    ("endpoint", "memory"): (1,),
    ("early", "memory"): (18,),
    ("loop", "memory"): (1,),
    ("loss", "memory"): (2,),
    ("multipart", "memory"): (1,),
    ("nowhere", "memory"): (8,),
    ("paid lead", "memory"): (5,),
    ("patterns", "memory"): (2, 44),
    ("permits", "memory"): (1, 9, 11, 23, 49, 3795),
    ("reader", "memory"): (1, 5),
    ("sign in", "memory"): (1, 4, 13, 16, 23, 28, 29, 33, 36),
    ("skew", "memory"): (304,),
    ("witness", "memory"): (2,),
    ("", "sqlite"): (0, 1, 3, 23),
    ("allowances", "sqlite"): (12, 30, 49),
    ("fold", "sqlite"): (1,),
    ("must", "sqlite"): (3,),
    ("old", "sqlite"): (5,),
    ("patterns", "sqlite"): (12,),
    ("policies", "sqlite"): (3,),
    ("", "redis"): (0, 8),
    ("allowances", "redis"): (0, 23, 69),
    ("empty", "redis"): (164,),
    ("evict", "redis"): (39,),
    ("keep", "redis"): (105,),
    ("keep long", "redis"): (9, 175),
    ("must", "redis"): (0,),
    ("policies", "redis"): (0,),
}


class Found(NamedTuple):
    """One script."""

    theme: str
    script: Script


_FAIL = Plan(pays=("drop",))
_LOST = Plan(pays=("cut",))
_ON_FILE, _IN_REDIS = Setting(ledger="sqlite", budget=20), Setting(ledger="redis", budget=20)
_HUNG = Setting(budget=20, read=60, settle=8_000)

FOUND: dict[str, Found] = {
    "a new address on every retry": Found(
        "lead", Script(Setting(budget=20), (Call(plan=Plan(lead=("302 new",), pays=("drop",))), Call()))
    ),
    "another port before the 402": Found(
        "lead",
        Script(Setting(budget=20), (Call(thing=1, plan=Plan(lead=("302 other",), pays=("drop",))), Call(thing=1))),
    ),
    "a paid redirect to an answer that is dropped": Found(
        "paid lead",
        Script(Setting(budget=20), (Call(1, plan=Plan(pays=("to 302 common",)), stop="drop"), Call(1))),
    ),
    "a paid redirect to a body that breaks off": Found(
        "paid lead",
        Script(Setting(budget=20), (Call(plan=Plan(pays=("to 302 common",), receipt="none", after=("cut",))),)),
    ),
    "a paid redirect to no answer": Found(
        "paid lead", Script(Setting(budget=20), (Call(plan=Plan(pays=("to 303 new",), after=("drop",))),))
    ),
    "a paid redirect in circles": Found(
        "paid lead",
        Script(Setting(budget=20), (Call(plan=Plan(pays=("to 307 new",), after=("to 302 new",))),)),
    ),
    "a deadline in the body: httpx": Found(
        "deadline",
        Script(Setting(budget=20), (Call(thing=2, plan=Plan(pays=("pieces",)), stop="deadline"), Call(thing=2))),
    ),
    "a deadline in the body: requests": Found(
        "deadline", Script(Setting(budget=20), (Call(client="requests", stop="deadline"), Call()))
    ),
    "cancelled between the last byte and the caller": Found(
        "await", Script(Setting(budget=20), (Call(client="ahttpx", stop="cancel", at=14), Call()))
    ),
    "a thread that hangs": Found(
        "abandon", Script(_HUNG, (Call(plan=Plan(pays=("hang",)), stop="abandon", at=200), Call()))
    ),
    "a thread that is refused later": Found(
        "abandon",
        Script(_HUNG, (Call(thing=2, plan=Plan(pays=("hang 402",)), stop="abandon", at=200), Call(thing=2))),
    ),
    "a thread that hangs before its 402": Found(
        "late", Script(_HUNG, (Call(plan=Plan(terms="drip"), stop="abandon", at=130), Call()))
    ),
    "a thread brings the content while its repeat waits for its 402": Found(
        "late",
        Script(
            Setting(ledger="sqlite", budget=20, read=60),
            (Call(plan=Plan(terms="drip"), stop="abandon", at=130), Call(plan=Plan(terms="drip"))),
        ),
    ),
    "a joiner's body breaks off": Found(
        "joined",
        Script(
            Setting(budget=20, read=400, settle=8_000),
            (Call(plan=Plan(pays=("hang goods",)), stop="abandon", at=900), Call(client="aiohttp", plan=_LOST)),
        ),
    ),
    "a busy file: trio": Found(
        "busy", Script(_ON_FILE, (Call(client="trio", plan=Plan(pays=("goods busy",)), stop="timeout", at=300),))
    ),
    "a busy file: aiohttp": Found(
        "busy", Script(_ON_FILE, (Call(client="aiohttp", plan=Plan(pays=("goods busy",)), stop="timeout", at=300),))
    ),
    "a busy server: trio": Found(
        "busy", Script(_IN_REDIS, (Call(client="trio", plan=Plan(pays=("pieces busy",)), stop="timeout", at=300),))
    ),
    "a failover behind another program's steps": Found(
        "keep",
        Script(
            _IN_REDIS,
            (
                Call(),
                Keep(),
                Call(thing=1, plan=_LOST),
                PutBack(),
                *(Call(program=1),) * 4,
                Call(thing=1),
            ),
        ),
    ),
    "an older file behind another program's steps": Found(
        "keep", Script(_ON_FILE, (Call(), Keep(), Call(3), PutBack(), Call(program=1), Call(3)))
    ),
    "a file without its log": Found("lose log", Script(_ON_FILE, (LoseLog(Call(1, plan=_LOST)), Call(1)))),
    "another wallet takes a payment over: memory": Found(
        "wallets", Script(Setting(budget=20), (Call(2, plan=_FAIL), Call(2, wallet=1), Call(2)))
    ),
    "another wallet takes a payment over: a file": Found(
        "wallets", Script(_ON_FILE, (Call(1, plan=_LOST), Call(1, wallet=1), Call(1)))
    ),
    "another wallet takes a payment over: Redis": Found(
        "wallets", Script(_IN_REDIS, (Call(1, stop="drop", wallet=1), Call(1), Call(1, wallet=1)))
    ),
    "a child has the whole budget": Found(
        "fork", Script(Setting(budget=20, wildcard=2), (Call(), Call(where="fork"), Call()))
    ),
    "a child's payment is not its parent's": Found(
        "fork", Script(Setting(budget=20), (Call(2, plan=_FAIL, where="fork"), Call(2)))
    ),
    "a purchase is thrown away": Found("evict", Script(_IN_REDIS, (Call(stop="drop"), Evict(), Call()))),
    "a sum is thrown away": Found(
        "evict",
        Script(Setting(ledger="redis", budget=3), (Call(plan=Plan(terms="dear")), Evict(6), Call(), Call())),
    ),
    "a tool is called again under another id": Found(
        "jsonrpc", Script(Setting(budget=20), (Call(5, plan=_FAIL), Call(5)))
    ),
    "an address in another library's spelling": Found(
        "spelling", Script(Setting(budget=20), (Call(6, plan=_FAIL), Call(6, "requests")))
    ),
    "no budget is left after an accepted loss": Found(
        "loss",
        Script(Setting(budget=1, loss="0.02"), (Call(2, plan=_FAIL), Wait(700), Call(2, plan=Plan(pays=("402",))))),
    ),
    "a clock that is fast": Found(
        "skew",
        Script(
            Setting(budget=20, loss="0.02"),
            (
                Call(2, plan=Plan(pays=("402",), settles="never")),
                Skew(4_000),
                Call(2, plan=Plan(pays=("402", "goods"), settles="never")),
            ),
        ),
    ),
    "endpoints of another chain": Found(
        "foreign", Script(Setting(budget=20, foreign=True), (Call(stop="drop"), Wait(700), Call()))
    ),
    "an exact entry without a budget": Found(
        "wildcard", Script(Setting(budget=20, wildcard=1, exact=True), (Call(plan=Plan(terms="dear")),))
    ),
    "an exact entry with a larger budget": Found(
        "wildcard", Script(Setting(budget=20, wildcard=2, host=3), (Call(), Call(plan=Plan(terms="dear"))))
    ),
    "two at once below a wildcard": Found(
        "wildcard", Script(Setting(budget=20, wildcard=1, exact=True), (Together((Call(), Call(client="aiohttp"))),))
    ),
    "a policy without the wildcard: memory": Found(
        "policies", Script(Setting(budget=20, wildcard=2, lax=True), (Call(), Call(wallet=1), Call()))
    ),
    "a policy without the wildcard: a file": Found(
        "policies",
        Script(Setting(ledger="sqlite", budget=20, wildcard=2, lax=True), (Call(), Call(wallet=1, program=1), Call(2))),
    ),
    "a policy without the wildcard: Redis": Found(
        "policies",
        Script(
            Setting(ledger="redis", budget=20, wildcard=2, lax=True),
            (Call(), Call(2, wallet=1, program=1), Call(wallet=1, where="child"), Call()),
        ),
    ),
    "one challenge for several calls at once": Found(
        "sign in",
        Script(
            _ON_FILE,
            (Together(tuple(Call(client=name, plan=Plan(signs=("again",), alone=True)) for name in CLIENTS * 2)),),
        ),
    ),
    "an allowance that is left when its payment was given back": Found(
        "permits",
        Script(
            Setting(budget=20, approved=4_000),
            (
                Call(plan=Plan(terms="sponsored upto", pays=("500",), settles="never")),
                Wait(61),
                Call(),
                Look(),
            ),
        ),
    ),
    "a body that breaks off": Found("tell", Script(Setting(budget=20), (Call(plan=_LOST),))),
    "a key that was delivered and never settled": Found(
        "already", Script(Setting(budget=20), (Call(3, plan=Plan(settles="never")), Call(3)))
    ),
}
