"""Breaks one promise at a time, on a copy, and sees the tests fail: ``python -m tests.repo.mutations [name...]``.

Each mutation is an exact text of the code and what stands there instead; the tests named beside it have to notice.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = "x402_client"
#: Seconds that one killer may take, of which one of its tests takes half at the most.
LIMIT = 240.0
_OPEN = ExitStack()
atexit.register(_OPEN.close)


@dataclass(frozen=True, slots=True)
class Mutation:
    """One broken promise. ``more`` are further texts that have to change for it: file, old text, new text.

    ``unseen`` says why no seed of the adversary machine is among the killers.
    """

    name: str
    file: str
    old: str
    new: str
    killers: tuple[str, ...]
    more: tuple[tuple[str, str, str], ...] = ()
    unseen: str = ""

    @property
    def seeds(self) -> tuple[str, ...]:
        return tuple(killer for killer in self.killers if "test_found.py" in killer)

    @property
    def edits(self) -> Iterator[tuple[str, str, str]]:
        yield self.file, self.old, self.new
        yield from self.more


MEMORY, SQLITE, REDIS = "ledgers/memory.py", "ledgers/sqlite/ledger.py", "ledgers/redis/holds.lua"
REDIS_STEPS, REDIS_PROGRAMS = "ledgers/redis/steps.lua", "ledgers/redis/programs.lua"
REDIS_ALLOWANCES = "ledgers/redis/allowances.lua"
IN_MEMORY, IN_A_FILE = "tests/ledgers/test_conformance.py", "tests/ledgers/test_conformance.py"
IN_REDIS = "tests/ledgers/redis/test_conformance.py"
POSTGRES = "ledgers/postgres/sql/{}.sql"
POSTGRES_TESTS = "tests/ledgers/postgres"
IN_POSTGRES = f"{POSTGRES_TESTS}/test_conformance.py::TestSync"
POSTGRES_WINDOWS = f"{POSTGRES_TESTS}/test_windows.py"
POSTGRES_PROCESSES = f"{POSTGRES_TESTS}/test_processes.py"
KILLED = "tests/promises/test_killed.py::test_killed_at_any_moment"
AGAIN = "tests/promises/test_repeated_requests.py::test_the_same_request_presents_the_same_payment"
OVERDUE = "tests/promises/test_overdue_calls.py"
CANCELLED = "tests/promises/test_cancelled.py"
ENDS = "tests/core/test_present.py"
OWN_ERRORS = "tests/adapters/test_own_errors.py::TestOwnErrors"
MCP_1 = "tests/real/test_mcp.py"
REDIRECTS = "tests/adapters/test_redirects.py::TestRedirects"
LEADS = REDIRECTS + "::test_a_proven_settlement_that_leads_to_nothing_is_presented_again[{}-402]"
LED_ANYWHERE = "tests/adapters/test_first_request.py::TestLedAnywhere::test_a_wish_is_paid_once"
ALLOWED, TREES = "tests/buyer/test_allowance.py", "tests/ledgers/test_allowance_trees.py"
DAMPED = "tests/buyer/test_same_request.py"
SIGNING_IN, SIGNED_WORDS = "tests/core/test_signing_in.py", "tests/core/test_statements.py"
PERMITS = "tests/schemes/test_permits.py"
PAID_AHEAD = "tests/adapters/test_paid_ahead.py::test_each_product_has_its_own_price_and_free_ones_have_none[httpx]"
A_CLIENT = "tests/testing/test_adapter_conformance.py::TestHttpx"
MACHINE = "tests/promises/test_flow_machine.py::TestInMemory"


def seed(theme: str, ledger: str, number: int) -> str:
    """Return the test that plays a seed of the adversary machine, which finds this broken promise."""
    name = f"{theme}-{ledger}-{number}".replace(" ", "-")
    return f"tests/promises/adversary/test_found.py::test_a_seed_that_broke_a_promise_once_breaks_none[{name}]"


# Why the adversary machine cannot see a broken promise: it judges a few things, and its world is not everything.
CLOSED = (
    "tests/adapters/test_closed_clients.py"
    "::test_an_answer_that_ended_with_its_client_is_presented_again_by_the_same_request"
)
NO_SIGNALS = "No handler of a signal raises in it."
NO_END = "Its programs end by being killed, and no interpreter in the middle of an answer."
NO_CLOSING = "The machine closes no client amid an answer."
ONE_PAYMENT = "Two calls show one payment then. Nothing is paid twice, and its sellers deliver for each."
SHOWN_AGAIN = "A payment that was delivered is shown once more then. The buyer pays less, not more."
SETTINGS = "It is about settings that are refused while a buyer is built; the settings of its scripts are sound."
COMMANDS = "Its programs use the library, and no command."
WORDS = "Its oracles ask each end what became of the money, and nothing else of what is told or kept."
TIME = "Its oracles measure neither time nor threads."
NOT_IN_IT = "Its world has none of this: no proxy, other payee, quote, test money, scheme, vouched token or payment id."
NOBODY_ASKED = "Nobody is asked in it: its buyers have no approver."
GIVEN_AGAIN = "It takes a row whose number is given again, and a program that remembers the one before."
SHORT_HISTORY = "Its Solana shows all that landed, in one page, and each payment of ours has its memo."
HEALTHY = "Its endpoints of Solana are less than a minute behind, and answer in the same words before and after."
NO_STOPS = "Nobody freezes in it, and a breaker is no budget."
ONE_PRODUCT = "Its sellers sell one thing at each address, for one price, and speak no JSON-RPC."
ONE_KEY = "Each of its keys is of one request, written off or not."
NO_OLDER = "Its ledgers begin with this version, and no loss is accepted in them."
TOO_CAREFUL = "The buyer is more careful then than it has to be, and pays less."
HELD_ELSEWHERE = "Another rule holds it too; only a test of the one place shows this one."
EXPIRED = "What is in flight when it is concluded has expired, and cannot settle any more."
ACCEPTED = "The user accepts such losses; its oracles hold what expired to be lost, however silent the seller was."
ANY_2XX = "Any 2xx that was read is a delivery to its oracles, wherever a redirect led."
ANY_S = "Its chain takes such signatures."
MOMENT = "It takes two calls at one moment: its scripts have them, and meet it now and then only."
NOT_KEPT = "On PostgreSQL it plays new scripts for a time, and keeps none: its seeds are of memory, a file and Redis."
RARE = "It takes two purchases whose names begin alike, one of thousands of millions."


MUTATIONS = (
    # --- what is allowed
    Mutation(
        "a more exact entry of hosts escapes the wildcard's budget",
        "policy/policy.py",
        "for pattern, rule in self.rules(origin) if isinstance(rule, Limit)]",
        "for pattern, rule in self.rules(origin)[:1] if isinstance(rule, Limit)]",
        ("tests/policy/test_every_entry.py", seed("wildcard", "memory", 3)),
    ),
    Mutation(
        "a dollar does not limit test money",
        "policy/limits.py",
        "return next((most for one in amounts.values() if (most := one.as_limit_on(currency)) is not None), None)",
        "return None",
        ("tests/policy/test_test_money.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a number of smallest units is taken for dollars",
        "policy/limits.py",
        "filter(_is_suspect, amounts or ())",
        "()",
        ("tests/policy/test_whole_numbers.py",),
        unseen=SETTINGS,
    ),
    Mutation(
        "a command freezes a ledger that is not there",
        "cli/open_ledger.py",
        "raise Stop(Code.USAGE, _not_there(missing, done) + _other_file(missing))",
        "pass",
        ("tests/cli/test_ledger.py",),
        unseen=COMMANDS,
    ),
    Mutation(
        "a retry by hand presents a payment for another request",
        "cli/commands/ledger_retry.py",
        "if is_request_of(one.purchase, asked, digest):",
        "if True:",
        ("tests/cli/test_ledger_retry.py",),
        unseen=COMMANDS,
    ),
    Mutation(
        "a list says another thing of the money than the error did",
        "model/holds.py",
        'return self.but(money=self.last.money if self.last is not None else "unknown")',
        "return self",
        ("tests/core/test_last_answer.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a key of the sandbox signs for real networks",
        "buyer/schemes.py",
        "if not self.may_sign(offer.network):",
        "if False:",
        ("tests/signers/test_play_keys.py",),
        unseen=SETTINGS,
    ),
    Mutation(
        "an async approver that never times out",
        "buyer/answers.py",
        "with anyio.move_on_after(limit):",
        "with anyio.move_on_after(None):",
        ("tests/buyer/test_approval.py::test_a_coroutine_that_never_answers_means_no",),
        unseen=TIME,
    ),
    Mutation(
        "requests pays ahead over plain http through a proxy",
        "adapters/requests_adapter.py",
        """        if _proxies(*arguments) and not (request.url or "").lower().startswith("https:"):
            return None  # behind a proxy, only the answer shows whether plain http ends on this machine
""",
        "",
        ("tests/adapters/test_pay_ahead.py::test_behind_a_proxy_plain_http_is_never_paid_ahead[requests]",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a refusal that is returned says nothing",
        "errors.py",
        "return hung if isinstance(hung, X402Error) else None",
        "return None",
        ("tests/adapters/test_returned_refusals.py",),
        unseen=WORDS,
    ),
    # --- the journal
    Mutation(
        "what was signed never reaches the ledger",
        "buyer/answers.py",
        "asks.Record: lambda ledger, ask: ledger.record(ask.hold, ask.authorization),",
        'asks.Record: lambda ledger, ask: ask.hold.but(authorization=ask.authorization, state="signed"),',
        (f"{KILLED}[httpx]", seed("", "sqlite", 0)),
    ),
    Mutation(
        "what was signed is written a moment later",
        "buyer/answers.py",
        "asks.Record: lambda ledger, ask: ledger.record(ask.hold, ask.authorization),",
        "asks.Record: lambda ledger, ask: (\n"
        "        threading.Timer(0.1, ledger.record, (ask.hold, ask.authorization)).start()\n"
        '        or ask.hold.but(authorization=ask.authorization, state="signed")\n    ),',
        (f"{KILLED}[httpx]", seed("", "sqlite", 0)),
    ),
    # --- never twice
    Mutation(
        "a call whose caller gave up on its thread is paid for again",
        "buyer/running_calls.py",
        "late = self.overdue_at is not None and now > self.overdue_at",
        "late = False",
        (
            f"{OVERDUE}::test_while_it_still_runs_the_same_request_signs_nothing[httpx-memory]",
            seed("abandon", "memory", 8),
        ),
    ),
    Mutation(
        "a call that was overdue before its 402 pays after its repeat was delivered",
        "buyer/running_calls.py",
        "done = None if overdue else _delivered_instead_of(mine)",
        "done = None",
        ("tests/buyer/test_running_calls.py", seed("late", "memory", 5)),
    ),
    Mutation(
        "a repeat pays for what the call in whose place it came brought meanwhile",
        "buyer/running_calls.py",
        "done = _delivered_meanwhile(mine)",
        "done = None",
        ("tests/buyer/test_running_calls.py", seed("late+abandon", "memory", 113)),
    ),
    Mutation(
        "a failure in a paid body says nothing of the money",
        "core/delivery.py",
        "        tell_of_the_money(failure, self.outcome)",
        "        pass",
        ("tests/core/test_delivery.py", seed("tell", "memory", 1)),
    ),
    Mutation(
        "a refusal after an accepted loss says that nothing was paid",
        "core/flow.py",
        "hold, failure.money = lost.hold, lost.money",
        "hold = lost.hold",
        ("tests/core/test_present.py", seed("loss", "memory", 3)),
    ),
    Mutation(
        "a key whose payment never settled says that it was spent",
        "ledgers/refusals.py",
        "    error.money = paid.money\n",
        "",
        ("tests/ledgers/test_conformance.py", seed("already", "memory", 26)),
    ),
    Mutation(
        "a body that breaks off under one who joined says nothing of the money",
        "adapters/exchange.py",
        "return reply, delivery.that_only_tells()",
        "return reply, None",
        (f"{OVERDUE}", seed("joined", "memory", 11)),
    ),
    Mutation(
        "a server's eviction policy is looked at once: Redis",
        "ledgers/served/trust.py",
        "        facts = yield from protocol.ServerInfo()\n        self.store.check(facts, self._looked_at is None)",
        "        facts = (yield from protocol.ServerInfo()) if self._looked_at is None else None\n"
        "        if facts:\n            self.store.check(facts, self._looked_at is None)",
        ("tests/ledgers/redis/test_layouts.py::test_a_server_that_begins_to_evict", seed("evict", "redis", 39)),
    ),
    Mutation(
        "a purchase has another name in another library's spelling of its URL",
        "core/call.py",
        "self._told(one_spelling(self.target))",
        "self._told(self.target)",
        ("tests/core/test_spelling.py", seed("spelling", "memory", 1)),
    ),
    Mutation(
        "all joiners present a payment at once",
        "buyer/running_calls.py",
        "my_turn = first.followers[0] is mine",
        "my_turn = True",
        (f"{OVERDUE}::test_one_joiner_after_the_other[httpx-memory]",),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "a header outlives those who joined",
        "buyer/running_calls.py",
        "if (self.over or delivered) and not (delivered and self.followers):",
        "if self.over and not delivered:",
        ("tests/buyer/test_running_calls.py",),
        unseen=WORDS,
    ),
    Mutation(
        "an unresolved payment is signed anew",
        "core/flow.py",
        "if call.is_new(found):",
        "if True:",
        (
            "tests/core/test_flow_answers.py",
            f"{KILLED}[httpx]",
            seed("abandon", "memory", 1),
            seed("permits", "memory", 1),
        ),
        (
            (
                MEMORY,
                'if row is None or row.hold.state != "reserved":\n                raise',
                "if row is None:\n                raise",
            ),
            ("core/authorizing.py", "    if hold.authorization is not None:\n", "    if False:\n"),
        ),
    ),
    Mutation(
        "an unresolved payment is not asked for where the order is signed",
        MEMORY,
        "            found = self._claim(order.purchase, attempt)\n",
        "            found = None if order.signed else self._claim(order.purchase, attempt)\n",
        ("tests/core/test_one_step.py", seed("", "memory", 1)),
    ),
    Mutation(
        "what has to be approved is signed and sent without a question",
        "core/authorizing.py",
        "if rules.approve_all or call.repeats or rules.policy.needs_approval(offer.price) or call.waited",
        "if call.waited",
        ("tests/core/test_one_step.py",),
        unseen=NOBODY_ASKED,
    ),
    Mutation(
        "a seller that is left alone is paid by a key in this process",
        "core/authorizing.py",
        "    if (yield from LeftAlone(call.origin)) is not None:\n        return None\n",
        "",
        ("tests/core/test_one_step.py",),
        unseen=NO_STOPS,
    ),
    Mutation(
        "what a ledger left to be recorded leaves this machine unrecorded",
        "core/authorizing.py",
        "    if hold.authorization is not None:\n        return hold\n    try:\n",
        "    if True:\n        return hold.but(authorization=signed)\n    try:\n",
        ("tests/core/test_one_step.py",),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "what a ledger may have counted without an answer passes for untouched",
        "core/lost_answers.py",
        '    failure.money = "held"\n',
        "    pass\n",
        ("tests/core/test_one_step.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a payment by Permit2 that can still be taken keeps no other one waiting",
        "schemes/by_permit2.py",
        "        if not _is_taken(rpc, hold):\n",
        "        if False:\n",
        ("tests/sandbox/test_permits.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "what no program has seen of a signed order stays counted: Redis",
        REDIS,
        'or (unheard and row.tries == "0") then',
        "then",
        ("tests/ledgers/redis/test_failures.py",),
        unseen=TOO_CAREFUL,
    ),
    Mutation(
        "a ledger hands an unresolved payment over as a new hold",
        MEMORY,
        "            found = self._claim(order.purchase, attempt)\n            if found is not None:",
        "            found = self._claim(order.purchase, attempt)\n            if False:",
        (
            MACHINE,
            f"{CANCELLED}::test_interrupted_at_any_moment[memory-Httpx-KeyboardInterrupt]",
            seed("", "memory", 1),
        ),
    ),
    Mutation(
        "a file hands an unresolved payment over as a new hold",
        SQLITE,
        "        found = self._claim(db, meta, order.purchase, attempt)\n        if found is not None:",
        "        found = self._claim(db, meta, order.purchase, attempt)\n        if False:",
        (f"{KILLED}[httpx]", seed("", "sqlite", 0)),
    ),
    Mutation(
        "a 402 after a payment gives it back",
        "core/present.py",
        "    raise (yield from noted(rejected(call, tries, seen, short, stops), *tries.last, short, seen.settled))\n",
        "    yield from Conclude(tries.hold, False)\n"
        "    raise (yield from noted(rejected(call, tries, seen, short, stops), *tries.last, short, seen.settled))\n",
        ("tests/core/test_flow_answers.py", seed("", "memory", 9)),
    ),
    Mutation(
        "a 402 after a payment resolves it",
        "core/present.py",
        "    raise (yield from noted(rejected(call, tries, seen, short, stops), *tries.last, short, seen.settled))\n",
        "    from .asks import Close\n\n    yield from Close(tries.hold, 'held', None, call.attempt)\n"
        "    raise (yield from noted(rejected(call, tries, seen, short, stops), *tries.last, short, seen.settled))\n",
        (f"{AGAIN}[402, the same terms-by_a_loop]", seed("", "memory", 22)),
    ),
    Mutation(
        "headers resolve a purchase: httpx",
        "adapters/httpx_courier.py",
        "        elif delivery is not None:\n            response.stream = self.library.watched",
        "        if delivery is not None:\n            delivery.done()\n"
        "            response.stream = self.library.watched",
        (f"{KILLED}[httpx]", seed("deadline", "memory", 22)),
    ),
    Mutation(
        "headers resolve a purchase: aiohttp",
        "adapters/aiohttp_courier.py",
        "    if response.content.at_eof():  #",
        "    if True:  #",
        (
            "tests/adapters/test_aiohttp_content.py::TestNotDelivered",
            f"{KILLED}[aiohttp]",
            seed("deadline", "memory", 21),
        ),
    ),
    Mutation(
        "a call through aiohttp forgets what its earlier hops paid",
        "adapters/aiohttp_middleware.py",
        "return _led_on.get(id(request._traces)) or cls()",
        "return cls()",
        ("tests/adapters/test_aiohttp.py::TestOneCall", seed("paid lead", "memory", 1)),
    ),
    Mutation(
        "an answer through aiohttp shows the payment of its request",
        "adapters/aiohttp_courier.py",
        "            clone.headers.popall(name, None)\n",
        "",
        ("tests/adapters/test_aiohttp.py::TestSession",),
        unseen=WORDS,
    ),
    Mutation(
        "a tool's own error resolves its purchase",
        "adapters/mcp_courier.py",
        "        return self._made(500, result, terms, result.meta, structured)",
        "        return self._made(200, result, terms, result.meta, structured)",
        ("tests/adapters/test_mcp.py", "tests/promises/test_mcp.py"),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a result that is no error is paid if it has terms in it",
        "adapters/mcp_courier.py",
        "        if not is_error:\n",
        "        if False:\n",
        ("tests/adapters/test_mcp.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a tool call that carries its payment is paid by HTTP once more",
        "core/purchase_name.py",
        "    if here.hands_off:",
        "    if False:",
        ("tests/adapters/test_mcp_over_http.py", "tests/core/test_flow_rows.py"),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a tool that was paid by HTTP is paid for its result, too",
        "adapters/mcp_calls.py",
        "                raise _asked_twice(call.paid, first)\n",
        "                pass\n",
        ("tests/adapters/test_mcp_over_http.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "the error of a tool that was paid by HTTP is a delivery",
        "core/delivery.py",
        "not self._resolution.resolved and self.answer.failed()",
        "False",
        ("tests/core/test_delivery.py", "tests/adapters/test_mcp_over_http.py"),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a tool call over HTTP is delivered though its session returned nothing",
        "core/delivery.py",
        "        if self.over or self.left:\n",
        "        if self.over:\n",
        ("tests/core/test_delivery.py", "tests/adapters/test_mcp_over_http.py"),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "what an HTTP client paid for a session's call is delivered though its caller gave up",
        "adapters/session_calls.py",
        "self._below.deliver() if delivered else self._below.stop(failure)",
        "self._below.deliver()",
        ("tests/adapters/test_mcp_given_up.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "what an HTTP client pays for a session's call goes on though its caller gave up",
        "adapters/session_calls.py",
        "self._below.deliver() if delivered else self._below.stop(failure)",
        "self._below.deliver() if delivered else None",
        ("tests/adapters/test_mcp_given_up.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "an HTTP client pays for a session's call whose caller is gone",
        "adapters/session_calls.py",
        'if self.is_over or self.payer == "session":',
        'if self.payer == "session":',
        ("tests/adapters/test_mcp_given_up.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "an HTTP client pays for a call that its session pays for",
        "adapters/session_calls.py",
        'if self.is_over or self.payer == "session":',
        "if self.is_over:",
        ("tests/adapters/test_mcp_given_up.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a session's call goes on below while mcp tells its server of the cancellation",
        "adapters/session_calls.py",
        "                call.end(failure)\n",
        "                pass\n",
        ("tests/adapters/test_mcp_given_up.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a session pays for a call that its HTTP client is about to pay for, too",
        "adapters/session_calls.py",
        "            self._below.stop()\n        return True\n\n    def client_pays",
        "            pass\n        return True\n\n    def client_pays",
        ("tests/adapters/test_mcp_given_up.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a payment below a session has the session's read time-out",
        "adapters/session_calls.py",
        "self.scope.deadline = max(self.scope.deadline, current_time() + self._settle)",
        "pass",
        ("tests/adapters/test_mcp_given_up.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a result before the answer to its payment is no delivery",
        "adapters/session_calls.py",
        "            self.deliver() if self.above.is_delivered else self.stop()",
        "            self.stop()",
        ("tests/adapters/test_mcp_given_up.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "no HTTP client finds a call that a session of mcp 1.x sends",
        "adapters/session_calls.py",
        "        if call is not None and message is not None:\n",
        "        if False:\n",
        (MCP_1 + "::test_what_a_caller_left_is_presented_again[mcp 1.30, http-paid]",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a 402 to a session's own payment ends no call",
        "adapters/session_calls.py",
        "        return self.above.answer(self.number, accepts, UNPAID)\n",
        '        return b""\n',
        ("tests/adapters/test_mcp_answered_402.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a 402 to an earlier message of a call ends the waiting for its payment",
        "adapters/session_calls.py",
        "return not self.is_over and message == self._waited_for",
        "return not self.is_over",
        ("tests/adapters/test_mcp_answered_402.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a 402 to the question for terms anew is taken for the end of its call",
        "adapters/session_calls.py",
        "            if call.unpaid is None and isinstance(",
        "            if isinstance(",
        ("tests/adapters/test_mcp_answered_402.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a quote of a session goes on to its HTTP client's own payment",
        "adapters/session_calls.py",
        "return not self._hands_off and self.above.client_pays(self)",
        "return self.above.client_pays(self)",
        ("tests/adapters/test_mcp_answered_402.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a message of JSON-RPC is paid ahead by the terms of another where prices go by no body",
        "core/purchase_name.py",
        "if not here.is_message and rules",
        "if rules",
        ("tests/adapters/test_any_body_ahead.py",),
        unseen=ONE_PRODUCT,
    ),
    Mutation(
        "a host's price goes by no body though nobody said so",
        "policy/policy.py",
        "if one.pay_ahead), None)",
        'if one.pay_ahead), "any body")',
        ("tests/policy/test_ahead.py",),
        unseen=ONE_PRODUCT,
    ),
    Mutation(
        "the rest of an answer that was paid for is paid for again",
        "adapters/exchange.py",
        "return any(name in headers for name in _TRANSPORT_HEADERS)",
        "return False",
        ("tests/adapters/test_mcp_own_requests.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "the word that a call was cancelled is paid for",
        "adapters/session_calls.py",
        "if call.is_over and body.wants_no_answer and",
        "if False and",
        ("tests/adapters/test_mcp_own_requests.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a server that cannot read a payment gets no other encoding of it",
        "adapters/mcp_courier.py",
        "            if not self._may_be_unread(reply):\n",
        "            if True:\n",
        ("tests/adapters/test_mcp.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "mcp's log shows payments",
        "adapters/mcp_calls.py",
        "    hide_payments()\n",
        "",
        ("tests/adapters/test_mcp.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "headers resolve a purchase: requests",
        "adapters/requests_bodies.py",
        "    if consumed(response):\n        content: Any",
        "    if True:\n        content: Any",
        (f"{KILLED}[requests]", seed("deadline", "memory", 3)),
    ),
    Mutation(
        "while a redirect's content is read its payment may be presented",
        "core/delivery.py",
        "        if not isinstance(found, Hold) or found.id != hold.id:\n            self.call.attempt.end()\n",
        "        self.call.attempt.end()\n",
        (f"{REDIRECTS}::test_while_the_content_is_read_others_buy_their_own[httpx]",),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "a redirect that proves its settlement is a delivery wherever it leads",
        "adapters/exchange.py",
        "                if not leads_on:",
        "                if True:",
        (LEADS.format("httpx"), LEADS.format("requests"), seed("paid lead", "memory", 5)),
    ),
    Mutation(
        "a body that broke off is a delivery",
        "core/delivery.py",
        "        interruptions.note(self._resolution.outcome.hold, failure)\n        self.dropped()",
        "        pass",
        (f"{CANCELLED}::test_interrupted_at_any_moment[memory-Httpx-KeyboardInterrupt]", seed("", "memory", 1)),
    ),
    Mutation(
        "an answer outlives its client: httpx",
        "adapters/httpx_bodies.py",
        "            self._delivery.client_closed()",
        "            pass",
        (f"{CLOSED}[small-httpx]", f"{CLOSED}[large-async-httpx]"),
        unseen=NO_CLOSING,
    ),
    Mutation(
        "an answer outlives its client: aiohttp",
        "adapters/aiohttp_middleware.py",
        "        return connector is None or connector.closed or ",
        "        return connector is None or ",
        (f"{CLOSED}[small-aiohttp]", f"{CLOSED}[large-aiohttp]"),
        (("adapters/aiohttp_middleware.py", "            if connector.closed:\n", "            if False:\n"),),
        unseen=NO_CLOSING,
    ),
    Mutation(
        "a cancelled call keeps its claim",
        "core/flow.py",
        "    except BaseException:\n        call.attempt.end()\n        raise",
        "    except BaseException:\n        Call.kept = (*getattr(Call, 'kept', ()), call.attempt)\n        raise",
        ("tests/core/test_flow_rows.py", seed("await", "memory", 17)),
        (
            (
                "adapters/exchange.py",
                "        except BaseException as failure:\n            call.attempt.end()\n",
                "        except BaseException as failure:\n",
            ),
        ),
    ),
    Mutation(
        "a later hop of a call pays again",
        "core/flow.py",
        "        if call.paid is not None:\n",
        "        if False:\n",
        ("tests/core/test_flow_answers.py", seed("paid lead", "memory", 28)),
    ),
    Mutation(
        "a purchase is named by the hop that asks for money",
        "adapters/exchange.py",
        "identity, former = asked.identity(names)",
        "identity, former = request.identity(names)",
        (f"{LED_ANYWHERE}[httpx-0]", f"{LED_ANYWHERE}[requests-0]", seed("lead", "memory", 3)),
    ),
    Mutation(
        "a body that a redirect drops is no part of the purchase",
        "adapters/exchange.py",
        "body=None if first is None else first.body,",
        "body=None,",
        (
            "tests/adapters/test_first_request.py::TestRetries::test_another_body_is_another_purchase",
            seed("bodies+lead", "memory", 3),
        ),
    ),
    Mutation(
        "another origin than the payee is shown its payment",
        "core/flow.py",
        "            led = hold.purchase.origin != call.origin\n",
        "            led = False\n",
        ("tests/core/test_first_request.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a form under another boundary is another purchase",
        "core/digests.py",
        "        return _Multipart(boundary) if boundary else _Bytes()\n",
        "        return _Bytes()\n",
        ("tests/core/test_digests.py", seed("multipart", "memory", 1)),
    ),
    Mutation(
        "another challenge is another purchase",
        "core/reserving.py",
        "    return Order(purchase, offer, offer.price, caps,",
        "    import hashlib, dataclasses\n"
        "    name = hashlib.sha256(f'{purchase.id}{offer.version}'.encode()).hexdigest()\n"
        "    purchase = dataclasses.replace(purchase, id=name)\n"
        "    return Order(purchase, offer, offer.price, caps,",
        ("tests/core/test_flow_answers.py", seed("both", "memory", 0)),
    ),
    Mutation(
        "a boundary is left out wherever it stands",
        "core/digests.py",
        "return BodyDigest(found, self._former.value(), product=found)",
        "return BodyDigest(self._former.value(), b'')",
        ("tests/core/test_digests.py", seed("bodies", "memory", 64)),
    ),
    Mutation(
        "a JSON-RPC retry is another purchase",
        "core/digests.py",
        'if name != "id"}]',
        "}]",
        ("tests/core/test_digests.py", seed("bodies", "memory", 10)),
    ),
    Mutation(
        "a tool that is called again under another id is another purchase",
        "core/digests.py",
        'if document.get("method") == "tools/call" and',
        "if False and",
        ("tests/core/test_digests.py", seed("jsonrpc", "memory", 1)),
        (("core/digests.py", 'if name != "id"}]', "}]"),),
    ),
    Mutation(
        "frozen terms pay another request",
        "core/flow.py",
        "        raise quote\n    check_quoted(call)\n",
        "        raise quote\n",
        ("tests/core/test_first_request.py",),
        unseen=NOT_IN_IT,
    ),
    # --- claims
    Mutation(
        "claims are ignored: memory",
        "ledgers/memory_rows.py",
        "        return attempt is not None and attempt.alive\n",
        "        return False\n",
        (MACHINE, "tests/ledgers/test_memory.py"),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "claims are ignored: a file",
        SQLITE,
        "        return in_flight(self._locks_directory, row.owner, row.number)\n",
        "        return False\n",
        (IN_A_FILE,),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "claims of other programs are ignored: a file",
        "ledgers/sqlite/claimable.py",
        "        if marked is None:\n",
        "        if True:\n",
        ("tests/ledgers/test_sqlite_processes.py",),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "the dead keep their claims: a file",
        "ledgers/sqlite/claimable.py",
        "        if marked is None:\n",
        "        if False:\n",
        (f"{KILLED}[httpx]", seed("", "sqlite", 23)),
    ),
    Mutation(
        "claims are ignored: Redis",
        REDIS,
        '  if owner == asked.owner then return "busy" end\n',
        '  if owner == asked.owner then return "free" end\n',
        (IN_REDIS,),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "claims of other programs are ignored: Redis",
        REDIS,
        '  return asked.since > 0 and proof >= asked.since and "busy" or "doubt"\n',
        '  return "free"\n',
        ("tests/ledgers/redis/test_processes.py",),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "a payment is presented once more without a claim",
        "core/present.py",
        "        found = yield from Claim(tries.hold.purchase, call.attempt)\n",
        "        found = tries.hold\n",
        (ENDS, "tests/core/test_flow_random.py"),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "a POST is presented once more",
        "core/present.py",
        '    safe = call.method in rules.repeat or (signed is not None and "payment_id" in signed.evidence)\n',
        "    safe = True\n",
        (ENDS,),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "a payment is presented more often than is safe",
        "core/present.py",
        "not call.is_over and tries.again < tries.most",
        "not call.is_over and tries.again < 2",
        (ENDS,),
        unseen=ONE_PAYMENT,
    ),
    # --- budgets
    Mutation(
        "a reservation counts nothing: memory",
        MEMORY,
        "        step.count()\n",
        "        pass\n",
        (IN_MEMORY, seed("", "memory", 2)),
    ),
    Mutation(
        "a reservation counts nothing: a file",
        SQLITE,
        "order.price.currency, order.price.units)\n",
        "order.price.currency, 0)\n",
        (IN_A_FILE, seed("", "sqlite", 1)),
    ),
    Mutation(
        "a reservation counts nothing: Redis",
        REDIS,
        "    windows.add(key, length, windows.units_of(stem, row.units), tonumber(row.created))\n",
        "",
        (IN_REDIS, seed("", "redis", 0)),
    ),
    Mutation(
        "a budget is looked at before it is locked: memory",
        MEMORY,
        "                return found\n            return self._reserve(order, attempt)\n",
        "                return found\n        return self._reserve(order, attempt)\n",
        (IN_MEMORY, seed("crowd", "memory", 8)),
        ((MEMORY, "        path, hold = order.path", "        time.sleep(0.001)\n        path, hold = order.path"),),
    ),
    Mutation(
        "a 402 takes longer than its time: async",
        "adapters/httpx_bodies.py",
        "    if pause < patience.left:\n",
        "    if pause < 99:\n",
        ("tests/promises/test_bounds.py::test_a_402_that_drips_and_then_stops",),
        unseen=TIME,
    ),
    Mutation(
        "the head of a chunk drips for ever: async",
        "adapters/httpx_courier.py",
        'if "transfer-encoding" in headers or "content-length" not in headers:\n',
        "if False:\n",
        ("tests/promises/test_bounds.py::test_a_402_that_drips_on_a_client_of_less_patience",),
        unseen=TIME,
    ),
    Mutation(
        "a transport of somebody else's is trusted with the time: async",
        "adapters/httpx_courier.py",
        " or type(self.inner) is not self.library.async_transport",
        "",
        ("tests/adapters/test_async_clients.py",),
        unseen=TIME,
    ),
    Mutation(
        "a signature has the high s: pure Python",
        "signers/evm_pure_python.py",
        "        if 2 * s > order:\n",
        "        if 2 * s < order:\n",
        ("tests/signers/test_evm_pure_python.py",),
        unseen=ANY_S,
    ),
    Mutation(
        "a signed payment is given back",
        MEMORY,
        '            if row is not None and row.hold.state == "reserved":\n                self._drop(row)\n',
        "            if row is not None:\n                self._drop(row)\n",
        (IN_MEMORY,),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "what is given back late takes from younger payments: a file",
        "ledgers/sqlite/sums.py",
        "        for span, _, width in _SPANS.values():\n            db.execute(_TAKE_BACK_SINCE",
        "        for span, _, width in ():\n            db.execute(_TAKE_BACK_SINCE",
        ("tests/ledgers/test_sqlite_sums.py", seed("old", "sqlite", 5)),
    ),
    Mutation(
        "what is given back stays counted: a file",
        "ledgers/sqlite/sums.py",
        "payments = payments - 1 WHERE account = ? AND span = ? AND number > ?",
        "payments = payments - 1 WHERE account = ? AND span = ? AND number >= ?",
        (IN_A_FILE, "tests/ledgers/test_sqlite_sums.py"),
        unseen=TOO_CAREFUL,
    ),
    Mutation(
        "holds that lie together are mixed up: a file",
        "ledgers/sqlite/holds.py",
        '_OF_PURCHASE = "id BETWEEN ? AND ? AND purchase = ?"',
        '_OF_PURCHASE = "id BETWEEN ? AND ? AND ? IS NOT NULL"',
        ("tests/ledgers/test_sqlite_sums.py",),
        unseen=RARE,
    ),
    # --- what the chain tells
    Mutation(
        "a reader's silence means not settled",
        "buyer/settlement_reader.py",
        '    if answer not in ("settled", "not_settled", "live"):\n        return "unknown"\n',
        '    if answer not in ("settled", "not_settled", "live"):\n        return "not_settled"\n',
        ("tests/promises/test_release_of_holds.py", seed("endpoint", "memory", 1)),
    ),
    Mutation(
        "a reader's failure means not settled",
        "buyer/settlement_reader.py",
        '    log.warning("The settlement reader failed", exc_info=failure)\n    return "unknown"\n',
        '    log.warning("The settlement reader failed", exc_info=failure)\n    return "not_settled"\n',
        ("tests/promises/test_release_of_holds.py", seed("reader", "memory", 1)),
    ),
    Mutation(
        "a reader is believed too early",
        "buyer/settlement_reader.py",
        'if answer == "not_settled" and expired_recently(hold) and not _goes_by_the_chain(reader, hold):',
        "if False:",
        ("tests/promises/test_release_of_holds.py", seed("reader", "memory", 5)),
    ),
    Mutation(
        "what lives by the chain's own clock is lost",
        "chains/evm_settlement.py",
        '    if number(head, "timestamp") < signed.expires:\n',
        "    if False:\n",
        ("tests/chains/test_settlement.py", "tests/promises/test_chain_answers.py", seed("skew", "memory", 304)),
    ),
    Mutation(
        "the Solana search stops after one page",
        "chains/solana_settlement.py",
        "        if not page or _before(page[-1], signed):\n",
        "        if True:\n",
        ("tests/chains/test_solana_search.py",),
        unseen=SHORT_HISTORY,
    ),
    Mutation(
        "a slot that an endpoint told hides what landed",
        "chains/solana_settlement.py",
        " and at < signed.expires - LIFE_SECONDS - _MARGIN",
        "",
        ("tests/chains/test_solana_search.py",),
        unseen=HEALTHY,
    ),
    Mutation(
        "what landed in its last slots is not waited for",
        "chains/solana_settlement.py",
        '    if type(last) is int and _is_valid(rpc, signed, "finalized", slot):\n',
        "    if False:\n",
        ("tests/chains/test_solana_bounds.py",),
        unseen=HEALTHY,
    ),
    Mutation(
        "any transaction with the payment's memo is the payment",
        "chains/solana_settlement.py",
        "if _carries(rpc, entry, own, memo is not None):",
        "if memo is not None or _carries(rpc, entry, own, False):",
        ("tests/chains/test_solana_search.py",),
        unseen=SHORT_HISTORY,
    ),
    Mutation(
        "a hint's end without a margin",
        "chains/solana_settlement.py",
        "at > signed.expires + _MARGIN",
        "at > signed.expires",
        ("tests/chains/test_solana_search.py",),
        unseen=HEALTHY,
    ),
    Mutation(
        "a hint's end by the clocks alone",
        "chains/solana_settlement.py",
        '        if standing != "past":\n',
        '        if standing != "past" and type(last) is int:\n',
        (
            "tests/chains/test_solana_bounds.py",
            "tests/promises/test_set_clocks_on_solana.py",
            seed("solana", "memory", 2),
        ),
    ),
    Mutation(
        "a hint without a bound ends by the clocks",
        "chains/solana_settlement.py",
        '"past" if bounded and at > ',
        '"past" if at > ',
        ("tests/chains/test_solana_search.py", "tests/promises/test_set_clocks_on_solana.py"),
        unseen=HEALTHY,
    ),
    Mutation(
        "a node that has the blockhash of a hint is not heard",
        "chains/solana_settlement.py",
        '    if _is_valid(rpc, signed, "processed", slot):\n',
        "    if False:\n",
        ("tests/chains/test_solana_search.py",),
        unseen=HEALTHY,
    ),
    Mutation(
        "a hint's bound takes the chain to stand still",
        "chains/solana.py",
        "math.ceil(max(0.0, steady() - latest.seen) * _SLOTS_A_SECOND)",
        "0",
        ("tests/chains/test_solana_bounds.py", "tests/chains/test_solana.py"),
        unseen=HEALTHY,
    ),
    Mutation(
        "a hint's bound takes no endpoint to be behind",
        "chains/solana.py",
        "+ passed + _BEHIND",
        "+ passed",
        ("tests/chains/test_solana_bounds.py", "tests/chains/test_solana.py"),
        unseen=HEALTHY,
    ),
    Mutation(
        "a hint's bound stands still while the machine sleeps",
        "guards/steady_clock.py",
        "time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)",
        "time.monotonic()",
        ("tests/chains/test_solana.py",),
        unseen=TIME,
    ),
    Mutation(
        "another chain's endpoint is believed",
        "chains/rpc.py",
        "        if found != self.network:\n",
        "        if False:\n",
        ("tests/chains/test_identity.py", seed("foreign", "memory", 4)),
    ),
    Mutation(
        "one witness gives back all",
        "core/reclaim.py",
        "    except X402Error:  # over the limit, frozen, or the ledger cannot count it\n        return False\n",
        "    except X402Error:  # over the limit, frozen, or the ledger cannot count it\n        return True\n",
        ("tests/core/test_reclaim.py", seed("witness", "memory", 2)),
    ),
    Mutation(
        "a silent endpoint piles up threads",
        "buyer/looks.py",
        ">= MOST:\n",
        ">= 10**9:\n",
        ("tests/buyer/test_looks.py",),
        unseen=TIME,
    ),
    Mutation(
        "a seller that says no after it was paid is believed about the money",
        "core/present.py",
        '(outcome.money == "spent" and not outcome.hold.is_open_ceiling)',
        'outcome.money != "unknown"',
        ("tests/core/test_look_now.py",),
        unseen="Held is true of what is counted: its oracles do not ask who could have known more.",
    ),
    Mutation(
        "a file that took the place of an open one is not judged anew",
        "ledgers/sqlite/file.py",
        "        self._disconnect()\n        return False\n",
        "        raise self._replaced()\n",
        ("tests/ledgers/test_sqlite_failures.py",),
        unseen="It exchanges a file only while no program has it open.",
    ),
    Mutation(
        "wrong decimals of a vouched token are signed",
        "schemes/exact_evm.py",
        "            if found != token.decimals:\n",
        "            if False:\n",
        ("tests/buyer/test_endpoints.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a signature that a contract refuses is sent",
        "schemes/evm_payer.py",
        '                return SignatureGiven(plain) if takes(rpc, self.address, digest, plain, left) else "no"\n',
        "                return SignatureGiven(plain)\n",
        ("tests/schemes/test_evm_payer.py", "tests/sandbox/test_safes.py"),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a contract's signature by Permit2 is wrapped, as no facilitator takes it",
        "schemes/exact_evm.py",
        "may_deploy=not offer.by_permit2)",
        "may_deploy=True)",
        ("tests/schemes/test_evm_payer.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a contract's answer is half read",
        "chains/contract_accounts.py",
        "[:32] == _YES\n",
        "[:4] == _MAGIC\n",
        ("tests/chains/test_contract_accounts.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a delegated key signs payments that its code refuses",
        "schemes/evm_payer.py",
        "        if found is not None and found.takes_key is False:\n",
        "        if False:\n",
        ("tests/schemes/test_evm_payer.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "any payment flow is paid",
        "schemes/payment_flow.py",
        "    return None if flow in PAID else objection_to(flow)\n",
        "    return None\n",
        ("tests/promises/test_hostile_solana_offers.py", "tests/policy/test_refusals.py"),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "at one price, an offer that is paid before delivery is chosen",
        "policy/choice.py",
        "            offer.upfront,\n",
        "",
        ("tests/policy/test_choice.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a quote of an ordinary offer pays one upfront",
        "policy/choice.py",
        " or offer.upfront > agreed.upfront:\n",
        ":\n",
        ("tests/policy/test_choice.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a no after an upfront payment passes for money that is still there",
        "core/receipt_check.py",
        " and (status == 402 or not hold.offer.upfront) else",
        " else",
        ("tests/core/test_receipt_check.py", "tests/promises/test_upfront.py"),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "an unknown family of chains is Solana",
        "chains/families.py",
        "return self._by_name.get(family_of(network))",
        "return self._by_name.get(family_of(network), SOLANA)",
        ("tests/chains/test_families.py", "tests/buyer/test_schemes.py"),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a token is asked about the payments of any scheme",
        "chains/families.py",
        "        from .evm_settlement import look\n\n"
        '        return look(rpc, hold, signed) if hold.offer.scheme in _LOOKED_UP else "unknown"\n',
        "        from .evm_settlement import look\n\n        return look(rpc, hold, signed)\n",
        ("tests/chains/test_families.py",),
        (("chains/evm_settlement.py", "if not _NONCE.fullmatch(signed.nonce):", "if False:"),),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a user's scheme takes the place of one that ships",
        "buyer/schemes.py",
        "        if place in SHIPPED:\n            raise ConfigurationError(",
        "        if False:\n            raise ConfigurationError(",
        ("tests/buyer/test_schemes.py",),
        unseen=SETTINGS,
    ),
    Mutation(
        "the chain is believed before the expiry",
        "buyer/settlement_reader.py",
        'hold.state == "signed" and hold.money != "spent" and has_expired(hold)',
        'hold.state == "signed" and hold.money != "spent" and hold.authorization is not None',
        ("tests/promises/test_release_of_holds.py",),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "the flow reads unknown as not settled",
        "core/flow.py",
        '    if fate != "not_settled":\n',
        '    if fate not in ("not_settled", "unknown"):\n',
        (ENDS, seed("endpoint", "memory", 1)),
    ),
    Mutation(
        "a payment in flight is concluded: memory",
        MEMORY,
        '            if row.hold.state != "signed" or row.in_flight:\n                return False\n',
        '            if row.hold.state != "signed":\n                return False\n',
        (IN_MEMORY,),
        unseen=EXPIRED,
    ),
    Mutation(
        "a payment in flight is concluded: a file",
        SQLITE,
        '        if row is None or row.hold.state != "signed" or self._in_flight(row):\n',
        '        if row is None or row.hold.state != "signed":\n',
        (IN_A_FILE,),
        unseen=EXPIRED,
    ),
    Mutation(
        "a payment in flight is concluded: Redis",
        REDIS_STEPS,
        '  if row.state ~= "signed" or holds.standing(row.owner) ~= "free" then return { "ok", seq, "" } end\n',
        '  if row.state ~= "signed" then return { "ok", seq, "" } end\n',
        (IN_REDIS,),
        unseen=EXPIRED,
    ),
    Mutation(
        "a loss is written off before the payment expired",
        "core/present.py",
        "    if call.is_over:\n        return (yield from _expired(call, tries, rules))",
        "    if call.is_over or rules.policy.accepts_loss(tries.hold.price):\n"
        "        return (yield from _expired(call, tries, rules))",
        (ENDS, seed("loss", "memory", 2)),
    ),
    Mutation(
        "silence of the seller is written off",
        "core/present.py",
        "    accepted = accepts and not call.expired_recently and tries.terms is not None\n",
        "    tries.terms = tries.terms or Quote(call.url)\n    accepted = accepts and not call.expired_recently\n",
        (ENDS,),
        unseen=ACCEPTED,
    ),
    Mutation(
        "a loss is accepted before anybody can know",
        "core/present.py",
        "accepts and not call.expired_recently and tries.terms",
        "accepts and tries.terms",
        (ENDS, seed("early", "memory", 18)),
    ),
    Mutation(
        "a later hop of the same call pays ahead",
        "core/paying_ahead.py",
        "hold = None if call.paid is not None else (yield from _held(call, rules))",
        "hold = yield from _held(call, rules)",
        ("tests/adapters/test_pay_ahead.py", seed("ahead", "memory", 63)),
        (
            (
                "core/call.py",
                "            self.memory = None  # a redirect may still deliver; it teaches nothing\n",
                "",
            ),
            ("adapters/exchange.py", "            or hops.paid is not None\n", ""),
            ("adapters/exchange.py", "call.came_from is not None or ", ""),
        ),
    ),
    Mutation(
        "a close that fails keeps its claim",
        "adapters/httpx_bodies.py",
        "            self._close()\n        except BaseException:\n            self._delivery.dropped()\n",
        "            self._close()\n        except BaseException:\n            pass\n",
        ("tests/core/test_delivery.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a redirect without the seller's proof delivers",
        "core/delivery.py",
        "leads_on and proven",
        'leads_on and outcome.money == "spent"',
        ("tests/core/test_delivery.py",),
        unseen=ANY_2XX,
    ),
    Mutation(
        "time that is up in a pause is told by nobody",
        "core/present.py",
        "    except Exception as failure:  # the caller's own time for the whole call is up\n",
        "    except ZeroDivisionError as failure:\n",
        ("tests/core/test_present.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a redirect that leads nowhere delivers",
        "core/delivery.py",
        "leads_on and proven",
        "300 <= status < 400 and proven",
        ("tests/core/test_delivery.py", seed("nowhere", "memory", 8)),
    ),
    Mutation(
        "a receipt of nothing frees a ceiling",
        "core/receipt_check.py",
        'return "held" if _took_nothing(found, hold) else "spent"',
        'return "spent"',
        ("tests/core/test_ceilings.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a delivered ceiling is forgotten with its purchase",
        "ledgers/owed.py",
        "if row.hold.is_open_ceiling:",
        "if False:",
        ("tests/ledgers/test_conformance.py", "tests/core/test_ceilings.py"),
        unseen=TOO_CAREFUL,
    ),
    Mutation(
        "one endpoint alone may show small charges of ceilings without end",
        "core/reclaim.py",
        'if fate == "one_says_charge" and (yield from may_give_back(hold, policy)):',
        'if fate == "one_says_charge":',
        ("tests/core/test_ceilings.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a ceiling whose charge is known is lost before its deadline",
        "core/flow.py",
        'call.is_over = fate not in ("open", "live")',
        'call.is_over = hold.money == "spent" or fate not in ("open", "live")',
        ("tests/core/test_ceilings.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a lost ceiling counts whole until its deadline",
        "buyer/settlement_reader.py",
        "not is_in_flight(hold) and (due(hold) or _is_open_ceiling(reader, hold))]",
        "not is_in_flight(hold) and due(hold)]",
        ("tests/cli/test_ceilings.py",),
        unseen=TOO_CAREFUL,
    ),
    Mutation(
        "a block that an endpoint told hides a transfer",
        "chains/permit2_settlement.py",
        '"timestamp") < known_at:',
        '"timestamp") >= 0:',
        ("tests/chains/test_permit2_witnesses.py",),
        unseen="Its endpoints lie about what became of a payment, and not before it.",
    ),
    Mutation(
        "any small transfer to the seller frees a ceiling",
        "chains/permit2_settlement.py",
        "return max(value for value, _ in found) if named else None",
        "return min(value for value, _ in found) if found else None",
        ("tests/chains/test_permit2_settlement.py", seed("ceilings", "memory", 109)),
    ),
    Mutation(
        "a ceiling is signed for the zero address",
        "schemes/by_permit2.py",
        "if named.lower() == ZERO:",
        "if False:",
        ("tests/schemes/test_permit2.py",),
        unseen=NOT_IN_IT,
    ),
    # --- growth
    Mutation(
        "an attempt whose loop was closed keeps its claim",
        "ledgers/live_attempts.py",
        "            for gone in [gone for gone in self._stranded if gone()]:\n",
        "            for gone in ():\n",
        ("tests/ledgers/test_open_holds.py",),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "a process is not listed in a file",
        "ledgers/sqlite/ledger.py",
        "        claimable.register(db, owner, self._locks_directory)\n",
        "",
        (f"{KILLED}[httpx]",),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "a store of the layout before keeps its lists: Redis",
        REDIS_PROGRAMS,
        '    call("HSET", META, "layout", limits.layout)\n    claims.place_all()\n',
        '    call("HSET", META, "layout", limits.layout)\n',
        ("tests/ledgers/redis/test_layouts.py",),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "each hold of a purchase is read: Redis",
        REDIS,
        'how ~= "busy" and claims.oldest',
        "claims.oldest",
        ("tests/ledgers/redis/test_open_holds.py",),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "a busy loop accuses a seller",
        "guards/patience.py",
        "        self._shown += min(now - self._ticked, self._step)\n",
        "        self._shown += now - self._ticked\n",
        ("tests/guards/test_patience.py",),
        unseen=TIME,
    ),
    Mutation(
        "an entry of a host and a port is overlooked",
        "model/hosts.py",
        "for known in (port, None))",
        "for known in (None,))",
        ("tests/policy/test_every_entry.py", "tests/model/test_hosts.py"),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "long terms are kept without a bound",
        "guards/remembered.py",
        "                while self._size > self._most:\n",
        "                while False:\n",
        ("tests/guards/test_remembered.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a permit is of more than the price",
        "schemes/permits.py",
        "message = _message(owner, offer.amount, wanted.nonce, deadline)",
        "message = _message(owner, 2**256 - 1, wanted.nonce, deadline)",
        (PERMITS, seed("permits", "memory", 1)),
    ),
    Mutation(
        "a permit outlives its payment",
        "schemes/exact_evm.py",
        "data = permits.typed_data(offer, wanted, self.payer, expires)",
        "data = permits.typed_data(offer, wanted, self.payer, expires + 86_400)",
        (PERMITS, seed("permits", "memory", 1)),
    ),
    Mutation(
        "a seller's unlimited ask is passed over",
        "schemes/permits.py",
        "if found is not None and str(found).lower() != right.lower():",
        "if False:",
        (PERMITS, seed("permits", "memory", 23)),
    ),
    Mutation(
        "two permits of one nonce are signed",
        "schemes/permit_places.py",
        'place = f"permit {offer.network} {offer.token.address.lower()} {owner.lower()} {nonce}"',
        'place = f"permit {Attempt()!r} {offer.network} {offer.token.address.lower()} {owner.lower()} {nonce}"',
        (PERMITS, seed("permits", "memory", 1)),
    ),
    Mutation(
        "a permit is signed although the policy has permits=False",
        "schemes/by_permit2.py",
        "    if not permits:\n",
        "    if False:\n",
        (PERMITS, seed("permits", "memory", 49)),
    ),
    Mutation(
        "a permit leaves before the ledger has it",
        "schemes/permit_places.py",
        "        yield from Record(place.hold, record)\n",
        "        record.nonce\n",
        (PERMITS, seed("permits", "memory", 9)),
    ),
    Mutation(
        "a permit is under the domain that the seller names",
        "schemes/permits.py",
        "    name, version = ours if all(ours) else said\n",
        "    name, version = said\n",
        (PERMITS, seed("permits", "memory", 3795)),
        more=(
            (
                "schemes/permits.py",
                "    if all(ours) and any(theirs",
                "    if False and any(theirs",
            ),
            (
                "schemes/permits.py",
                "    if separator(name, version, _chain_id(offer.network), token.address) != found:\n",
                "    if False:\n",
            ),
        ),
    ),
    Mutation(
        "an allowance that another program left is not looked for",
        "buyer/exposures.py",
        "    tokens = tokens_on(networks, policy) if payer is not None else []\n",
        "    tokens = tokens_on([], policy)\n",
        ("tests/promises/test_permits.py", seed("permits", "memory", 11)),
    ),
    Mutation(
        "what is left of a permit is not shown",
        "buyer/exposures.py",
        "if told.allowance if one.since is None else told.allowance != 0:",
        "if False:",
        ("tests/sandbox/test_permits.py", seed("permits", "memory", 1)),
    ),
    # --- the rest of the promises
    Mutation(
        "a refusal names the first thing that stops a payment alone",
        "core/flow.py",
        "refusal = yield from with_all_stops(call, found, rules)\n        yield from tell",
        "refusal = found\n        yield from tell",
        ("tests/core/test_unresolved.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a freeze is to be lifted before a chain is asked",
        "core/next_step.py",
        'frozenset({"open", "short", "owed"})',
        'frozenset({"open", "short", "owed", "expired"})',
        ("tests/core/test_next_step.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a chain that is silent is told to show a payment now",
        "core/flow.py",
        '        call.is_silent = fate != "settled"\n',
        "",
        ("tests/core/test_last_answer.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a freeze lets unresolved payments pass: memory",
        MEMORY,
        "        refusals.check_frozen(self._frozen, purchase)\n        if",
        "        if",
        (IN_MEMORY, "tests/ledgers/test_memory_ends.py"),
        unseen=NO_STOPS,
    ),
    Mutation(
        "a freeze lets unresolved payments pass: a file",
        SQLITE,
        "        refusals.check_frozen(_patterns(meta), purchase)\n",
        "",
        (IN_A_FILE,),
        unseen=NO_STOPS,
    ),
    Mutation(
        "a freeze lets unresolved payments pass: Redis",
        REDIS,
        "  return holds.frozen() or holds.meet()\n",
        "  return holds.meet()\n",
        (IN_REDIS,),
        unseen=NO_STOPS,
    ),
    Mutation(
        "a receipt that disagrees is believed",
        "core/receipt_check.py",
        "    if found is not None and found.success and not mismatches and status != 402:\n",
        "    if found is not None and found.success and status != 402:\n",
        ("tests/core/test_receipt_check.py", seed("", "memory", 44)),
    ),
    Mutation(
        "a payment that may have left before is given back where nobody listens any more",
        "core/present.py",
        "    if hold.tries > 0:\n        return\n    call.attempt.end()  # a ledger gives back",
        "    call.attempt.end()  # a ledger gives back",
        (f"{OWN_ERRORS}::test_a_second_time_that_cannot_connect_stays_unresolved[httpx]", seed("away", "memory", 20)),
    ),
    Mutation(
        "a lost answer is no error of the library",
        "adapters/exchange.py",
        "            own = self._own_errors.of(failure) if self._own_errors is not None else failure\n"
        "            if own is not failure:\n                raise own  # noqa: B904 - it has its cause\n"
        "            raise\n\n    async def arun",
        "            raise\n\n    async def arun",
        (f"{OWN_ERRORS}::test_a_loop_that_knows_the_library_alone_buys_once[httpx-GET]",),
        unseen=WORDS,
    ),
    Mutation(
        "what another transport says of its connection is believed",
        "adapters/httpx_courier.py",
        "if isinstance(failure, self.library.not_sent) and type(self.inner) in self.library.own_transports:",
        "if isinstance(failure, self.library.not_sent):",
        ("tests/adapters/test_couriers.py::test_what_another_transport_says_of_its_connection_proves_nothing[httpx]",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a copy of a ledger in memory has the whole budget again",
        "ledgers/memory_copies.py",
        "        ledger._lock = CopiedLock()",
        "        pass",
        (
            "tests/ledgers/test_memory_growth.py::test_a_copy_made_by_a_fork_refuses_and_the_parent_goes_on",
            seed("fork", "memory", 5),
        ),
        (("ledgers/memory.py", "            self._lock = CopiedLock()", "            pass"),),
    ),
    Mutation(
        "memory hands over another wallet's payment",
        "ledgers/memory_rows.py",
        "            elif purchase.is_paid_by(row.hold.payer):",
        "            elif True:",
        (
            "tests/ledgers/test_conformance.py::TestMemory::test_a_hold_of_another_wallet_is_not_claimed",
            seed("wallets", "memory", 8),
        ),
    ),
    Mutation(
        "memory begins a pattern's budget at zero",
        "ledgers/memory_sums.py",
        "Account.sum_of([] if name in order.path else self._of_hosts(purse, name, currency))",
        "Account()",
        (
            "tests/ledgers/test_memory_growth.py::test_an_account_first_seen_late_knows_what_its_hosts_spent",
            seed("patterns", "memory", 2),
        ),
    ),
    Mutation(
        "the breaker never opens",
        "buyer/breaker.py",
        "                if len(record.holds) >= self._after:\n",
        "                if len(record.holds) > self._after:\n",
        ("tests/promises/test_failing_seller.py",),
        unseen=NO_STOPS,
    ),
    Mutation(
        "the breaker stops payments that were made",
        "core/flow.py",
        "        hold = yield from _alive(call, found, rules)\n",
        "        yield from _check_rest(call)\n        hold = yield from _alive(call, found, rules)\n",
        ("tests/promises/test_failing_seller.py",),
        unseen=NO_STOPS,
    ),
    Mutation(
        "a payment's id differs with every try",
        "core/present.py",
        "        reply = yield from Send(hold.authorization.header)\n",
        "        reply = yield from Send(_renamed(hold) if tries.again else hold.authorization.header)\n",
        (ENDS,),
        (
            (
                "core/present.py",
                "def _written(",
                "def _renamed(hold: Hold) -> tuple[str, str]:\n    import base64\n\n"
                "    name, value = hold.authorization.header\n"
                '    return name, base64.b64encode(base64.b64decode(value).replace(b"pay_", b"yap_")).decode()\n\n\n'
                "def _written(",
            ),
        ),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "two purchases share a payment's id",
        "core/authorizing.py",
        'hashlib.sha256(f"{signed.payer} {signed.nonce}".encode()).hexdigest()[:32]',
        "hashlib.sha256(signed.payer.encode()).hexdigest()[:32]",
        (ENDS,),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a key may be paid twice: memory",
        "ledgers/memory_rows.py",
        '    if ended is not None and ended.state == "delivered":\n',
        "    if False:\n",
        (IN_MEMORY, seed("", "memory", 0)),
    ),
    Mutation(
        "a key may be paid twice: Redis",
        REDIS,
        '    if past and past.state == "delivered" then return { "paid", seq, entry } end\n',
        "",
        (IN_REDIS, seed("", "redis", 8)),
    ),
    Mutation(
        "a delivery that could not be written is forgotten",
        "buyer/ends.py",
        "        except LedgerBusy:\n            self._later(said, tell)\n",
        "        except LedgerBusy:\n            said.attempt.end()\n",
        ("tests/buyer/test_ends.py",),
        unseen=SHOWN_AGAIN,
    ),
    Mutation(
        "an answer waits until its delivery is written: Redis",
        "ledgers/extras.py",
        '    if getattr(ledger, "asynchronous", None) is not None or iscoroutinefunction(ledger.close):\n',
        "    if iscoroutinefunction(ledger.close):\n",
        ("tests/buyer/test_ends.py", seed("busy", "redis", 0)),
    ),
    Mutation(
        "an answer waits until its delivery is written: a file",
        "ledgers/extras.py",
        '    return cast(Ledger, getattr(ledger, "impatient", None) or ledger)\n\n\ndef send_close',
        "    return ledger\n\n\ndef send_close",
        ("tests/buyer/test_ends.py", seed("busy", "sqlite", 3)),
    ),
    Mutation(
        "an end is sent to Redis after its caller has the answer",
        "buyer/ends.py",
        "                self._later(said, tell, guarded(_send, self._ledger, said))\n",
        "                self._later(said, tell)\n",
        ("tests/promises/test_killed.py::test_an_end_is_sent_to_redis_before_the_caller_has_its_answer",),
        unseen=SHOWN_AGAIN,
    ),
    Mutation(
        "a program takes an old token for the newer: PostgreSQL",
        "ledgers/postgres/sql/programs.sql",
        "AND lease THEN RETURN ''; END IF;",
        "AND lease THEN RETURN (SELECT p.life FROM programs p WHERE p.purse = t.purse AND p.owner = t.owner); END IF;",
        ("tests/ledgers/postgres/test_one_step.py",),
        unseen=TIME,
    ),
    Mutation(
        "two steps of a purse count at once: PostgreSQL",
        POSTGRES.format("programs"),
        "    SELECT * INTO p FROM purses WHERE purse = in_purse FOR UPDATE;\n  ELSE",
        "    SELECT * INTO p FROM purses WHERE purse = in_purse;\n  ELSE",
        (
            f"{IN_POSTGRES}::test_threads_under_one_key_pay_once",
            f"{IN_POSTGRES}::test_threads_spend_a_budget_exactly",
        ),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a budget's last millionth cannot be spent: PostgreSQL",
        POSTGRES.format("steps"),
        "t.now) > (cap ->> 2)::numeric OR",
        "t.now) >= (cap ->> 2)::numeric OR",
        (f"{IN_POSTGRES}::test_a_budget_is_spent_to_the_last_millionth_and_not_beyond",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a budget is spent beyond its last millionth: PostgreSQL",
        POSTGRES.format("steps"),
        "t.now) > (cap ->> 2)::numeric OR",
        "t.now) > (cap ->> 2)::numeric + 1 OR",
        (f"{IN_POSTGRES}::test_a_budget_that_is_a_millionth_too_small_refuses_in_every_window",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a window forgets its oldest bucket: PostgreSQL",
        POSTGRES.format("sums"),
        "        AND number >= (now - w.length) / (w.length / 60) ORDER BY number LIMIT 1\n",
        "        AND number > (now - w.length) / (w.length / 60) ORDER BY number LIMIT 1\n",
        (POSTGRES_WINDOWS,),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a window is pruned to its latest bucket: PostgreSQL",
        POSTGRES.format("sums"),
        "      AND s.number < (now - w.length) / (w.length / 60);\n  END IF;",
        "      AND s.number < now / (w.length / 60);\n  END IF;",
        (POSTGRES_WINDOWS,),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a server's clock that goes back empties a window: PostgreSQL",
        POSTGRES.format("programs"),
        "  SELECT greatest(clock, max(latest)) FROM",
        "  SELECT greatest(clock, 0 * max(latest)) FROM",
        (POSTGRES_WINDOWS,),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "what is given back stays in the sums of later buckets: PostgreSQL",
        POSTGRES.format("sums"),
        "> at / (w.length / 60);\nEND $$;\n\n-- The rule: ",
        "> at / (w.length / 60) AND false;\nEND $$;\n\n-- The rule: ",
        (POSTGRES_WINDOWS,),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "another wallet's payment is presented: PostgreSQL",
        POSTGRES.format("holds"),
        "  SELECT in_payer = '' OR asked",
        "  SELECT true OR in_payer = '' OR asked",
        (f"{IN_POSTGRES}::test_a_key_of_another_wallet_is_neither_presented_nor_paid_again",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a program that may have died is taken for alive: PostgreSQL",
        POSTGRES.format("holds"),
        "  IF t.since <= 0 THEN RETURN 'doubt'; END IF;",
        "  IF t.since <= 0 THEN RETURN 'busy'; END IF;",
        (POSTGRES_PROCESSES,),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "what another program presents is taken from it: PostgreSQL",
        POSTGRES.format("holds"),
        "THEN 'busy' ELSE 'doubt' END;",
        "THEN 'busy' ELSE 'free' END;",
        (POSTGRES_PROCESSES,),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a lease never ends: PostgreSQL",
        POSTGRES.format("holds"),
        "  IF coalesce(ends, 0) <= t.clock THEN RETURN 'free'; END IF;\n",
        "",
        (POSTGRES_PROCESSES,),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "unsigned holds of living programs are given back: PostgreSQL",
        POSTGRES.format("holds"),
        "AND asleep IS NULL AND lease_until <= t.clock AND owner <> t.owner\n",
        "AND asleep IS NULL AND owner <> t.owner\n",
        (
            POSTGRES_PROCESSES,
            f"{IN_POSTGRES}::test_a_hold_counts_from_the_start_in_every_window",
        ),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "what is in flight is given back: PostgreSQL",
        POSTGRES.format("steps"),
        "  IF h.state <> 'signed' OR standing(t, h.owner) <> 'free' THEN RETURN",
        "  IF h.state <> 'signed' THEN RETURN",
        (f"{IN_POSTGRES}::test_nothing_is_concluded_while_it_is_in_flight",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "what was shown paid is taken back by a later answer",
        "core/last_answer.py",
        'return "spent" if is_known_paid(hold) else money',
        "return money",
        ("tests/core/test_last_answer.py", "tests/core/test_flow_random.py"),
        unseen=WORDS,
    ),
    Mutation(
        "an answer after the call before knew it as paid says less",
        "core/present.py",
        '        return replace(outcome, money="spent")\n',
        "        return outcome\n",
        ("tests/core/test_last_answer.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a late note takes back that a payment was paid",
        "model/last_answers.py",
        'if before is None or before.money != "spent":',
        "if True:",
        ("tests/ledgers/test_conformance.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a late note takes back that a payment was paid: PostgreSQL",
        POSTGRES.format("steps"),
        "last_after(asked ->> 'last', last)",
        "asked ->> 'last'",
        (f"{IN_POSTGRES}::test_no_later_note_takes_back_that_a_payment_was_paid",),
        unseen=WORDS,
    ),
    Mutation(
        "a late note takes back that a payment was paid: Redis",
        REDIS_STEPS,
        'if not known or known[1] ~= "spent" then return last end',
        "if true then return last end",
        ("tests/ledgers/redis/test_conformance.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a paid key is said to buy anew",
        "core/next_step.py",
        "_KEYED.get(case, _ANEW) if hold.purchase.keyed else _ANEW",
        "_ANEW",
        ("tests/cli/test_after_a_key.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a charge is taken off twice before a delivery: PostgreSQL",
        POSTGRES.format("steps"),
        "asked ->> 'units' <> '' AND h.units::text = asked ->> 'before' THEN",
        "asked ->> 'units' <> '' THEN",
        (f"{IN_POSTGRES}::test_a_charge_that_two_programs_see_before_the_delivery_is_taken_off_once",),
        ((POSTGRES.format("steps"), "AND NOT h.charged AND asked", "AND asked"),),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a charge is taken off twice after a delivery: PostgreSQL",
        POSTGRES.format("steps"),
        " OR e.units::text <> asked ->> 'before' THEN",
        " THEN",
        (f"{IN_POSTGRES}::test_a_charge_is_taken_off_once",),
        ((POSTGRES.format("steps"), "  IF e.owed IS NOT TRUE OR", "  IF e.id IS NULL OR"),),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a hold is given back in one account only: PostgreSQL",
        POSTGRES.format("holds"),
        "take_back(h.accounts, h.units, 1, h.created)",
        "take_back(h.accounts[1:1], h.units, 1, h.created)",
        (f"{IN_POSTGRES}::test_a_payment_counts_in_each_of_its_accounts_and_in_no_other",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a charge frees the rest in one account only: PostgreSQL",
        POSTGRES.format("steps"),
        "take_back(e.accounts, (asked ->> 'rest')",
        "take_back(e.accounts[1:1], (asked ->> 'rest')",
        (f"{IN_POSTGRES}::test_a_charge_frees_the_rest_in_every_account_and_window",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a freeze stops no signature: PostgreSQL",
        POSTGRES.format("steps"),
        "coalesce(frozen_for(t, asked), allowance_refusal(t, texts(h.path::jsonb)))",
        "allowance_refusal(t, texts(h.path::jsonb))",
        (f"{IN_POSTGRES}::test_freezing_stops_all_payments",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a freeze stops no reservation: PostgreSQL",
        POSTGRES.format("holds"),
        "  RETURN coalesce(frozen_for(t, asked), meet(t, asked));",
        "  RETURN meet(t, asked);",
        (f"{IN_POSTGRES}::test_freezing_stops_all_payments",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a key that was delivered buys again: PostgreSQL",
        POSTGRES.format("holds"),
        "    AND (state = 'delivered' OR NOT asked",
        "    AND (false OR NOT asked",
        (f"{IN_POSTGRES}::test_a_key_that_was_paid_tells_its_allowance",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a key is any request's: PostgreSQL",
        POSTGRES.format("holds"),
        "  IF is_keyed AND NOT asked -> 'requests' ? h.request THEN",
        "  IF false THEN",
        (f"{IN_POSTGRES}::test_a_key_names_one_request",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a reservation that is sent twice counts twice: PostgreSQL",
        POSTGRES.format("holds"),
        "    IF h.purchase = name THEN RETURN take(t, h); END IF;\n    answer",
        "    answer",
        (f"{POSTGRES_TESTS}/test_failures.py",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a step whose answer was lost wrote nothing: PostgreSQL",
        "ledgers/postgres/connections.py",
        "                note_lost(ask, failure)\n                self.drop(line, turn)",
        "                self.drop(line, turn)",
        ("tests/promises/test_lost_ledger_answers.py",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "others go on once a loss is known: PostgreSQL",
        POSTGRES.format("programs"),
        "  IF judged = 'older' THEN UPDATE purses SET older = true WHERE purse = p.purse AND NOT older; END IF;\n",
        "",
        (
            f"{POSTGRES_TESTS}/test_rollback.py",
            f"{POSTGRES_TESTS}/test_failover.py",
        ),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a program goes on from an older state: PostgreSQL",
        POSTGRES.format("programs"),
        "  RETURN CASE WHEN newest < known THEN 'older' ELSE 'twin' END;",
        "  RETURN 'fine';",
        (f"{POSTGRES_TESTS}/test_rollback.py",),
        (
            (
                POSTGRES.format("programs"),
                "    IF known > deleted THEN RETURN 'older'; END IF;",
                "    IF known > deleted THEN RETURN 'fine'; END IF;",
            ),
        ),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "another ledger in its place is believed: PostgreSQL",
        POSTGRES.format("programs"),
        "    PERFORM report_loss(p.purse, asked);\n    RETURN '[\"other\"]';",
        "    RETURN NULL;",
        (f"{POSTGRES_TESTS}/test_rollback.py::test_an_emptied_server_is_refused",),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a frozen parent stops no child: PostgreSQL",
        POSTGRES.format("allowances"),
        "  FOREACH each IN ARRAY path LOOP",
        "  FOREACH each IN ARRAY path[cardinality(path):] LOOP",
        (IN_POSTGRES,),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "an account that is new starts at zero: PostgreSQL",
        POSTGRES.format("sums"),
        "      PERFORM start_from_hosts(in_purse, each, pattern, now);",
        "      NULL;",
        (IN_POSTGRES,),
        unseen=NOT_KEPT,
    ),
    Mutation(
        "a single hold is looked for among all of its purse: PostgreSQL",
        POSTGRES.format("steps"),
        "AND (purse = t.purse) IS TRUE FOR UPDATE;\n  IF h.id IS NULL THEN RETURN conclude_owed",
        "AND purse = t.purse FOR UPDATE;\n  IF h.id IS NULL THEN RETURN conclude_owed",
        (f"{POSTGRES_TESTS}/test_growth.py",),
        unseen=TIME,
    ),
    Mutation(
        "a beat that deletes waits for a step that waits for it: PostgreSQL",
        POSTGRES.format("programs"),
        " OR has_old_steps(in_purse, asked ->> 'owner', clock)",
        "",
        (f"{POSTGRES_TESTS}/test_retention.py",),
        ((POSTGRES.format("steps"), "  IF locked THEN\n", "  IF true THEN\n"),),
        unseen=TIME,
    ),
    Mutation(
        "what a signal interrupts in the ledger in memory stays half done",
        MEMORY,
        "        if step is None:\n            return\n",
        "        self._open.amid = None\n        return\n",
        ("tests/ledgers/test_memory_signals.py",),
        unseen=NO_SIGNALS,
    ),
    Mutation(
        "what was not taken of a ceiling counts for good after a write-off",
        MEMORY,
        "        self._owed.keep(row, past)\n",
        '        if past[5] == "delivered":\n            self._owed.keep(row, past)\n',
        (f"{IN_MEMORY}::TestMemory::test_what_is_written_off_counts_whole_until_the_chain_tells",),
        unseen="It writes off no ceiling.",
    ),
    Mutation(
        "a look opens the accounts of an order",
        "ledgers/memory_sums.py",
        "        counted = [self._accounts.get(name) or self._seeded(*name, order) for name in names]\n",
        "        counted = [self._account(*name, order) for name in names]\n",
        (f"{IN_MEMORY}::TestMemory::test_a_look_starts_no_account",),
        unseen="It asks for no quote.",
    ),
    Mutation(
        "a look counts what an ended attempt had reserved: memory",
        MEMORY,
        "                self._reap(self._open.lapsed())\n                exceeded = self._over_seeded",
        "                exceeded = self._over_seeded",
        (f"{IN_MEMORY}::TestMemory::test_a_reservation_whose_attempt_ended_takes_no_budget",),
        unseen="It asks for no quote.",
    ),
    Mutation(
        "a look counts what a dead program had reserved: a file",
        "ledgers/sqlite/claimable.py",
        "            file.write(lambda db, meta: free_ended(db, directory), patience)\n",
        "            pass\n",
        ("tests/ledgers/test_sqlite_processes.py",),
        unseen="It asks for no quote.",
    ),
    Mutation(
        "statements are planned as for small tables: PostgreSQL",
        POSTGRES.format("steps"),
        "SET enable_seqscan = off SET enable_bitmapscan = off\n",
        "\n",
        (f"{POSTGRES_TESTS}/test_cost.py", f"{POSTGRES_TESTS}/test_growth.py"),
        unseen=TIME,
    ),
    Mutation(
        "the latest call gets a connection first: PostgreSQL",
        "ledgers/fair_lock.py",
        "self._places or turn in list(self._turns)[: self._places]",
        "self._places or turn in list(self._turns)[-self._places :]",
        (
            "tests/ledgers/test_fair_lock.py",
            f"{POSTGRES_TESTS}/test_connections.py",
        ),
        unseen=TIME,
    ),
    Mutation(
        "the answer to one end is taken for another's",
        "ledgers/redis/ends_connection.py",
        "                    first = self._unanswered[0]\n",
        "                    first = self._unanswered[-1]\n",
        ("tests/ledgers/redis/test_ends_connection.py",),
        unseen=SHOWN_AGAIN,
    ),
    Mutation(
        "what was rejected first and accepted later is presented again",
        "buyer/ends.py",
        "        return bool(self._loose)\n",
        "        return False\n",
        ("tests/buyer/test_accepted_late.py",),
        unseen=SHOWN_AGAIN,
    ),
    Mutation(
        "a key whose delivery is yet to be written is in flight",
        "buyer/pending_ends.py",
        "        if delivered is not None:\n            raise already_paid(delivered)\n",
        "",
        ("tests/buyer/test_ends.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a forked child writes what is its parent's",
        "buyer/ends.py",
        "        writer._reset()\n",
        "        pass\n",
        ("tests/buyer/test_ends.py",),
        unseen=SHOWN_AGAIN,
    ),
    Mutation(
        "a close while an exception is under way is a delivery",
        "core/delivery.py",
        "        if cause is not None:\n            self.broke(cause)\n        elif self.has_let_go",
        "        if False:\n            self.broke(cause)\n        elif self.has_let_go",
        ("tests/core/test_delivery.py", "tests/adapters/test_under_way.py", seed("deadline", "memory", 3)),
    ),
    Mutation(
        "a close after the client's own is a delivery",
        "core/delivery.py",
        "        elif self.has_let_go and not whole:\n            self.dropped()\n",
        "",
        ("tests/core/test_delivery.py", "tests/adapters/test_closed_clients.py"),
        unseen=NO_CLOSING,
    ),
    Mutation(
        "the end of a connection that the client closed is that of a body: aiohttp",
        "adapters/aiohttp_content.py",
        "        if self._delivery.has_let_go and not self._shows_its_end:\n",
        "        if False:\n",
        ("tests/adapters/test_closed_clients.py",),
        unseen=NO_CLOSING,
    ),
    Mutation(
        "a signal handler's exception is a failure for the flow",
        "core/drive.py",
        "from ..guards.handlers import Stopped, as_stop\n",
        "from ..guards.handlers import Stopped\n\nas_stop = lambda failure: failure\n",
        ("tests/core/test_drive.py",),
        unseen=NO_SIGNALS,
    ),
    Mutation(
        "a thread is started while the interpreter ends",
        "guards/threads.py",
        "    return sys.is_finalizing()\n",
        "    return False\n",
        ("tests/adapters/test_unfinished_at_exit.py",),
        unseen=NO_END,
    ),
    Mutation(
        "an outcome that is kept keeps a claim alive",
        "core/delivery.py",
        "        self._call, self._generation = call.ending, generation()\n",
        "        self._call, self._generation = call, generation()\n",
        ("tests/core/test_delivery.py", seed("tell", "memory", 1)),
    ),
    Mutation(
        "another ledger in its place is believed: Redis",
        REDIS_PROGRAMS,
        '  if asked.identity ~= "" and store.identity ~= asked.identity then\n',
        "  if false then\n",
        ("tests/ledgers/redis/test_failures.py",),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "an empty ledger in its place is believed: Redis",
        REDIS_PROGRAMS,
        """  if asked.identity ~= "" then return nil, programs.report_loss("lost") end\n  if op ~= "join" then""",
        "  if false then",
        ("tests/promises/test_redis_failures.py", seed("empty", "redis", 164)),
        (
            (
                REDIS_PROGRAMS,
                '  if asked.identity ~= "" and store.identity ~= asked.identity then\n',
                "  if false then\n",
            ),
            (REDIS_PROGRAMS, "  if asked.seen == 0 then", "  if true then"),
        ),
    ),
    Mutation(
        "a lost step is covered by those of others: Redis",
        REDIS_PROGRAMS,
        '  return newest < asked.seen and "older" or "twin"\n',
        '  return "fine"\n',
        ("tests/ledgers/redis/test_rollback.py", seed("keep long", "redis", 9)),
    ),
    Mutation(
        "a program that joined after the copy stops no other: Redis",
        REDIS_PROGRAMS,
        'call("HEXISTS", META, "forgets") == 1 and "forgotten" or "older" end\n',
        '"forgotten" end\n',
        ("tests/ledgers/redis/test_rollback.py", seed("keep long", "redis", 175)),
    ),
    Mutation(
        "a payment goes on whose claim was given up before the server's answer came",
        "ledgers/served/claims.py",
        "            if claim.unheard or claim.token not in self._claims:\n",
        "            if False:\n",
        ("tests/ledgers/redis/test_late_answers.py", "tests/ledgers/postgres/test_late_answers.py"),
        unseen="Its servers answer at once.",
    ),
    Mutation(
        "a ledger that is closed gives up the claims of calls that go on: SQLite",
        "ledgers/sqlite/claimable.py",
        "    if owner is None or claims.some_live:\n",
        "    if owner is None:\n",
        ("tests/promises/test_closed_buyers.py",),
        unseen="No call of its goes on while its buyer is closed.",
    ),
    Mutation(
        "an end that a busy file does not take is shown nowhere: SQLite",
        "ledgers/sqlite/ended_claims.py",
        "        found._claims.mark_ended()\n",
        "",
        (
            "tests/ledgers/test_sqlite_processes.py"
            "::test_an_attempt_that_ended_while_the_file_was_busy_is_known_as_soon_as_it_is_free",
        ),
        unseen="No program of its holds the file for longer than a step waits.",
    ),
    Mutation(
        "a claim anew leaves the mark of its end: SQLite",
        "ledgers/sqlite/process_locks.py",
        "        owner.attempts.take(number, attempt)\n        owner.unmark(number)\n",
        "        owner.attempts.take(number, attempt)\n",
        ("tests/ledgers/test_sqlite_processes.py::test_a_claim_anew_takes_the_mark_of_its_end_back",),
        unseen="A mark is there for as long as the file is busy alone.",
    ),
    Mutation(
        "a copy of an outcome in a forked child has a word",
        "core/delivery.py",
        "        if self._generation != generation():\n",
        "        if False:\n",
        ("tests/core/test_delivery.py::test_a_copy_in_a_forked_child_has_no_word",),
        unseen="No child of its keeps an outcome of its parent.",
    ),
    Mutation(
        "a reject comes between the look at an end and the end",
        "core/delivery.py",
        "        if self._resolution.ends(_DELIVERED):\n",
        "        if True:\n",
        ("tests/core/test_delivery.py::test_a_word_at_the_very_moment_of_the_end_is_true_or_too_late",),
        unseen="Its callers say their words in the thread that reads.",
    ),
    Mutation(
        "a ledger file that was closed stays open after the call that went on",
        "ledgers/sqlite/ended_claims.py",
        "            if found._claims.left and not found._claims.some_live:\n",
        "            if False:\n",
        ("tests/ledgers/test_sqlite_closing.py",),
        unseen="It looks at no file.",
    ),
    Mutation(
        "a program under a new name takes its own first steps for a copy's: Redis",
        REDIS_PROGRAMS,
        '  if asked.heard_as ~= asked.owner then return "fine" end\n',
        '  if not program and asked.heard_as ~= asked.owner then return "fine" end\n',
        ("tests/ledgers/redis/test_names.py",),
        unseen="No program of its closes its ledger and goes on at once.",
    ),
    Mutation(
        "a program under a new name takes its own first steps for a copy's: PostgreSQL",
        POSTGRES.format("programs"),
        "  IF newest IS NULL OR renamed THEN\n",
        "  IF newest IS NULL THEN\n",
        ("tests/ledgers/postgres/test_names.py",),
        unseen="No program of its closes its ledger and goes on at once.",
    ),
    Mutation(
        "the ring confirms any step: Redis",
        REDIS_PROGRAMS,
        ' == asked.heard and "fine" or "older"\n',
        ' == asked.heard and "fine" or "fine"\n',
        ("tests/ledgers/redis/test_rollback.py", seed("keep", "redis", 9)),
    ),
    Mutation(
        "others go on once a loss is known: Redis",
        REDIS_PROGRAMS,
        """  if judged == "older" then call("HSET", META, "older", "1") end\n""",
        "",
        ("tests/ledgers/redis/test_rollback.py", seed("keep", "redis", 105)),
    ),
    Mutation(
        "a copy of a memory keeps its name: Redis",
        REDIS_PROGRAMS,
        """    if not programs.is_alone(program) then return { "twin" } end\n""",
        "",
        ("tests/ledgers/redis/test_clones.py",),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "a sweep removes owners of living programs: Redis",
        REDIS,
        """call("ZRANGEBYSCORE", OWNERS, "-inf", text(clock))) do\n    holds.give_back""",
        """call("ZRANGEBYSCORE", OWNERS, "-inf", "+inf")) do\n    holds.give_back""",
        ("tests/ledgers/redis/test_clones.py",),
        unseen=ONE_PAYMENT,
    ),
    Mutation(
        "another wallet's payment is presented: Redis",
        REDIS,
        "  return not row.payer or",
        "  return true or not row.payer or",
        ("tests/ledgers/redis/test_purchases.py", seed("wallets", "redis", 12)),
    ),
    Mutation(
        "an account that is new starts at zero: Redis",
        "ledgers/redis/windows.lua",
        "        accounts[#accounts + 1] = { before, name, pattern }\n",
        "",
        ("tests/ledgers/redis/test_purchases.py", seed("policies", "redis", 0)),
    ),
    Mutation(
        "a purse that must exist begins: Redis",
        "ledgers/served/trust.py",
        "self.must_exist: bool = must_exist\n",
        "self.must_exist: bool = False\n",
        ("tests/ledgers/redis/test_layouts.py", seed("must", "redis", 0)),
    ),
    Mutation(
        "a ledger that is collected in a fork waits for the lock of the fork: SQLite",
        "ledgers/sqlite/ended_claims.py",
        "        file.close(patience=0)\n",
        "        file.close()\n",
        ("tests/ledgers/test_sqlite_processes.py",),
        unseen="a fork that hangs breaks no rule of the machine, which waits for it",
    ),
    Mutation(
        "a child that collects its parent's ledger ends its parent's claims: SQLite",
        "ledgers/sqlite/ended_claims.py",
        "    if process == os.getpid():\n",
        "    if process:\n",
        ("tests/ledgers/test_sqlite_processes.py",),
        unseen="the collector runs too rarely between a fork and its hooks",
    ),
    Mutation(
        "a file that must exist is made",
        "ledgers/sqlite/file.py",
        "        if self.must_exist and not self.path.exists():\n",
        "        if False:\n",
        ("tests/buyer/test_must_exist.py", seed("must", "sqlite", 3)),
        (
            (
                "ledgers/sqlite/file.py",
                "        if self._identity is None and not self.must_exist:\n",
                "        if self._identity is None:\n",
            ),
            ("ledgers/sqlite/file.py", "            if self.must_exist:\n", "            if False:\n"),
        ),
    ),
    Mutation(
        "a ledger object begins anew where it must exist",
        "buyer/settings.py",
        "    if may_begin(found):\n",
        "    if False:\n",
        ("tests/buyer/test_must_exist.py",),
        unseen=SETTINGS,
    ),
    Mutation(
        "threads on a file take turns in any order",
        "ledgers/sqlite/file.py",
        "        self._lock = FairLock()\n        #:",
        "        self._lock = FairLock(2)\n        #:",
        ("tests/ledgers/test_fair_lock.py",),
        unseen=TIME,
    ),
    Mutation(
        "an interrupt as a lock is given back leaves it taken",
        "ledgers/fair_lock.py",
        "            self.give_back(turn, None)\n            self.wake_next()\n        return",
        "            self.wake_next()\n            self.give_back(turn, None)\n        return",
        ("tests/ledgers/test_fair_lock.py",),
        unseen=NO_SIGNALS,
    ),
    Mutation(
        "a queue of threads is taken for another program",
        "ledgers/sqlite/file.py",
        "        timeout = _QUEUE_PATIENCE if patience and not is_ending() else 0\n",
        "        timeout = patience\n",
        ("tests/ledgers/test_fair_lock.py",),
        unseen=TIME,
    ),
    Mutation(
        "a lost log is not noticed: a file",
        "ledgers/sqlite/log_mark.py",
        "        if face == _BACK:\n",
        "        if face in (_BACK, _NEEDED):\n",
        ("tests/ledgers/test_sqlite_log.py", seed("lose log", "sqlite", 1)),
    ),
    Mutation(
        "an older copy of a file is not noticed behind another program's steps",
        "ledgers/sqlite/lineage.py",
        "            return len(found) > 1 and bool(found[1][1] >= self._step)\n",
        "            return True\n",
        ("tests/ledgers/test_sqlite_lineage.py", seed("keep", "sqlite", 27)),
    ),
    Mutation(
        "the mark in a file is set once and for all",
        "ledgers/sqlite/log_mark.py",
        "        if changed == self._known:\n",
        "        if self._known != -1:\n",
        ("tests/ledgers/test_sqlite_log.py", seed("fold", "sqlite", 1)),
    ),
    Mutation(
        "a death in the middle of setting the mark is a lost log",
        "ledgers/sqlite/log_mark.py",
        "            self._marker(token).touch(0o600)\n",
        "",
        ("tests/ledgers/test_sqlite_log.py",),
        unseen=TOO_CAREFUL,
    ),
    Mutation(
        "a hold of another wallet is claimed: a file",
        "ledgers/sqlite/claimable.py",
        'if payers else "")\n',
        'if False else "")\n    payers = ()\n',
        ("tests/ledgers/test_sqlite_migration.py", IN_A_FILE, seed("wallets", "sqlite", 42)),
    ),
    Mutation(
        "a purchase is looked for under its new name alone: a file",
        "ledgers/sqlite/holds.py",
        "for name in purchase.names for value in _span",
        "for name in purchase.names[:1] for value in _span",
        ("tests/ledgers/test_sqlite_migration.py",),
        unseen=NO_OLDER,
    ),
    Mutation(
        "a new pattern starts at zero: a file",
        "ledgers/sqlite/seeds.py",
        "            _start_from_hosts(db, purse, name, now)\n",
        "",
        ("tests/ledgers/test_sqlite_growth.py", seed("policies", "sqlite", 3)),
    ),
    # --- windows, accounts, and where a ledger is
    Mutation(
        "windows are numbered by their order: a file",
        "ledgers/sqlite/sums.py",
        "_SPANS = {w.name: (w.number, w.seconds, w.seconds // BUCKETS) for w in BUDGET_WINDOWS if w.seconds}",
        "_SPANS = {w.name: (n, w.seconds, w.seconds // BUCKETS) for n, w in enumerate(BUDGET_WINDOWS) if w.seconds}",
        ("tests/ledgers/test_window_numbers.py",),
        unseen=NO_OLDER,
    ),
    Mutation(
        "a window that is new to a file starts at nothing",
        "ledgers/sqlite/migrations.py",
        "        _seed(db, window, kept)\n",
        "",
        ("tests/ledgers/test_window_numbers.py",),
        unseen=NO_OLDER,
    ),
    Mutation(
        "a program writes to a file whose windows it does not know",
        "ledgers/sqlite/migrations.py",
        "    if unknown:\n",
        "    if False:\n",
        ("tests/ledgers/test_window_numbers.py",),
        unseen=NO_OLDER,
    ),
    Mutation(
        "a pattern counts only what its own policy pays: memory, a file",
        "ledgers/accounts.py",
        "    return (*named, *others)\n",
        "    return named\n",
        (
            IN_MEMORY,
            seed("policies", "memory", 5),
            seed("policies", "sqlite", 46),
        ),
    ),
    Mutation(
        "a pattern counts only what its own policy pays: Redis",
        "ledgers/redis/windows.lua",
        "    if named or known[name] then\n",
        "    if named then\n",
        (
            IN_REDIS,
            seed("patterns", "redis", 3),
        ),
    ),
    Mutation(
        "memory does not hear of a pattern that is opened later",
        "ledgers/memory_sums.py",
        "                self._counted_in.clear()\n",
        "                pass\n",
        (IN_MEMORY, seed("patterns", "memory", 44)),
    ),
    Mutation(
        "a file does not hear of a pattern that is opened later",
        "ledgers/sqlite/seeds.py",
        "        if latest != self._latest or db is not self._db",
        "        if db is not self._db",
        (IN_A_FILE, seed("patterns", "sqlite", 12)),
    ),
    Mutation(
        "a payment that is written back leaves out patterns that were begun since",
        "ledgers/redis/holds.lua",
        "    windows.start_accounts(windows.count_in_patterns(row, given))\n",
        "",
        ("tests/ledgers/redis/test_rollback.py",),
        unseen=NO_OLDER,
    ),
    Mutation(
        "a program forgets in which patterns of others its payment counts",
        "ledgers/served/steps.py",
        ', "stems": str(answer[3])}',
        "}",
        ("tests/ledgers/redis/test_rollback.py",),
        unseen=NO_OLDER,
    ),
    Mutation(
        "a budget's account is not counted",
        "ledgers/accounts.py",
        "    names += [cap.account for cap in caps]\n",
        "",
        ("tests/ledgers/test_accounts.py", IN_MEMORY, seed("", "memory", 4)),
    ),
    Mutation(
        "a URL that is not understood is a path",
        "ledgers/urls.py",
        "    return scheme if found[2] or scheme in SERVERS else None\n",
        "    return scheme if scheme in SERVERS else None\n",
        ("tests/ledgers/test_urls.py",),
        unseen=SETTINGS,
    ),
    Mutation(
        "a traceback shows the URL of a ledger",
        "buyer/settings.py",
        "        given = None  # a URL may hold a password, and tools print the variables of a traceback\n",
        "        pass\n",
        ("tests/ledgers/test_urls.py",),
        unseen=WORDS,
    ),
    Mutation(
        "a key may be paid twice: a file",
        "ledgers/sqlite/holds.py",
        '    if ended is not None and ended.state == "delivered":\n        raise refusals.already_paid(ended)\n',
        "",
        (IN_A_FILE, f"{KILLED}[httpx, under a key]", seed("", "sqlite", 3)),
    ),
    Mutation(
        "a key that was written off buys another request: memory",
        MEMORY,
        "        if row.hold.purchase.keyed:\n            self._keys[",
        '        if row.hold.purchase.keyed and past[5] == "delivered":\n            self._keys[',
        (IN_MEMORY,),
        unseen=ONE_KEY,
    ),
    Mutation(
        "a key that was written off buys another request: a file",
        "ledgers/sqlite/holds.py",
        "    if row.hold.purchase.keyed:\n        db.execute(_REMEMBER, (latest,))\n",
        "",
        (IN_A_FILE,),
        unseen=ONE_KEY,
    ),
    Mutation(
        "a key that was written off buys another request: Redis",
        REDIS,
        '  if row.keyed == "1" then call("HSET", PAID',
        '  if row.keyed == "1" and state == "delivered" then call("HSET", PAID',
        (IN_REDIS,),
        unseen=ONE_KEY,
    ),
    # --- allowances
    Mutation(
        "a child exceeds its parent",
        "core/reserving.py",
        "path = tuple(allowance.account for allowance in allowances)",
        "path = tuple(allowance.account for allowance in allowances[-1:])",
        (ALLOWED, seed("allowances", "memory", 31)),
    ),
    Mutation(
        "the amount of an allowance is not looked at",
        "core/reserving.py",
        "        caps += allowance.caps(currency)\n",
        "        pass\n",
        (ALLOWED, seed("allowances", "memory", 41), seed("allowances", "sqlite", 12), seed("allowances", "redis", 23)),
    ),
    Mutation(
        "a closed or frozen parent leaves its children open",
        "ledgers/refusals.py",
        "    for account in path:\n        found = find(account)\n",
        "    for account in tuple(path)[-1:]:\n        found = find(account)\n",
        (IN_MEMORY, TREES, seed("allowances", "memory", 34)),
    ),
    Mutation(
        "a closed or frozen parent leaves its children open: Redis",
        REDIS_ALLOWANCES,
        "  for _, account in ipairs(path) do\n    local kept = allowances.find(account)\n    local state",
        "  for _, account in ipairs({ path[#path] }) do\n    local kept = allowances.find(account)\n    local state",
        (IN_REDIS + "::TestSync", seed("allowances", "redis", 69)),
    ),
    Mutation(
        "an allowance is looked at before it is reserved and not in the same step: memory",
        MEMORY,
        "        self._check_allowances(order.purchase.purse, order.path)\n",
        "",
        (IN_MEMORY, TREES),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "an allowance is looked at before it is reserved and not in the same step: a file",
        SQLITE,
        "            allowed.check(db, order.purchase.purse, order.path, stamp.at)\n",
        "            pass\n",
        (IN_A_FILE, TREES),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "an allowance is looked at before it is reserved and not in the same step: Redis",
        REDIS_STEPS,
        "  local answer = holds.found() or allowances.refused(asked.path)\n",
        "  local answer = holds.found()\n",
        (IN_REDIS + "::TestSync",),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "a payment of a closed allowance is signed: memory",
        MEMORY,
        "            self._check_allowances(hold.purchase.purse, row.hold.path)\n",
        "",
        (IN_MEMORY, TREES),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "a payment of a closed allowance is signed: a file",
        SQLITE,
        "            if hold.path:\n                allowed.check(",
        "            if False:\n                allowed.check(",
        (IN_A_FILE, TREES, ALLOWED),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "a payment of a closed allowance is signed: Redis",
        REDIS_STEPS,
        'holds.frozen() or allowances.refused(cjson.decode(row.path or "[]"))',
        "holds.frozen()",
        (IN_REDIS + "::TestSync",),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "an allowance ends by the machine's clock",
        SQLITE,
        "            allowed.check(db, order.purchase.purse, order.path, stamp.at)\n",
        "            allowed.check(db, order.purchase.purse, order.path, self._clock.wall())\n",
        (ALLOWED,),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "the end of an allowance is fixed by the machine's clock",
        SQLITE,
        "            return allowed.open_allowance(db, terms, meta.stamp.at)\n",
        "            return allowed.open_allowance(db, terms, self._clock.wall())\n",
        (ALLOWED, seed("allowances", "sqlite", 49)),
    ),
    Mutation(
        "an allowance ends anew each time that it is opened",
        "ledgers/allowances.py",
        "        return _at(self._records.setdefault(place, AllowanceRecord(terms, now, until)), now)\n",
        "        self._records[place] = kept = AllowanceRecord(terms, now, until)\n        return _at(kept, now)\n",
        (IN_MEMORY, TREES, seed("allowances", "memory", 8)),
    ),
    Mutation(
        "an allowance ends anew each time that it is opened: a file",
        "ledgers/sqlite/allowances.py",
        "    INSERT OR IGNORE INTO accounts\n",
        "    INSERT OR REPLACE INTO accounts\n",
        (IN_A_FILE, TREES, seed("allowances", "sqlite", 30)),
    ),
    Mutation(
        "a name is free again once it was closed: Redis",
        REDIS_ALLOWANCES,
        "  if not kept then\n    local over",
        '  if not kept or kept.state == "closed" then\n    local over',
        (IN_REDIS + "::TestSync", seed("allowances", "redis", 0)),
    ),
    Mutation(
        "a name is free again once none uses it",
        "ledgers/sqlite/allowances.py",
        '    if how == "forgotten" and not found.terms.lasts:\n',
        '    if how == "forgotten":\n',
        (IN_A_FILE, TREES),
        unseen=HELD_ELSEWHERE,
    ),
    Mutation(
        "what was closed is opened again",
        "ledgers/allowances.py",
        '    if kept == "closed" or mark in ("closed", "forgotten"):\n',
        '    if mark in ("closed", "forgotten"):\n',
        (IN_MEMORY, TREES, seed("allowances", "memory", 34)),
    ),
    Mutation(
        "what was closed is opened again: Redis",
        REDIS_ALLOWANCES,
        '  elseif kept.state ~= "closed" then\n',
        "  else\n",
        (IN_REDIS + "::TestSync", seed("allowances", "redis", 0)),
    ),
    Mutation(
        "what is given back stays counted at an ancestor: memory",
        "ledgers/memory_rows.py",
        "        self._counted = [None] * (2 * len(self.row.accounts))\n",
        "        self._counted = [None] * (2 * len(self.row.accounts) - 2)\n",
        (IN_MEMORY, TREES),
        unseen=TOO_CAREFUL,
    ),
    Mutation(
        "what is given back stays counted at an ancestor: a file",
        SQLITE,
        "        hold = rows.insert(db, order, stamp.at, accounts, ",
        "        hold = rows.insert(db, order, stamp.at, accounts[:-1], ",
        (IN_A_FILE, TREES),
        unseen=TOO_CAREFUL,
    ),
    Mutation(
        "what is given back stays counted at an ancestor: Redis",
        REDIS,
        "  windows.each_window(row.stems, function(key, length, stem)\n    windows.subtract(",
        "  windows.each_window(row.stems, function(key, length, stem)\n"
        '    if string.find(stem, "allowance step", 1, true) then return end\n    windows.subtract(',
        (IN_REDIS + "::TestSync",),
        unseen=TOO_CAREFUL,
    ),
    Mutation(
        "other terms under a name are taken",
        "policy/allowances.py",
        "    if asked != kept:\n",
        "    if False:\n",
        (ALLOWED, seed("allowances", "memory", 46)),
    ),
    Mutation(
        "another parent is no other term",
        "policy/allowances.py",
        "        None if parent is None else parent.account,\n",
        "        None,\n",
        (ALLOWED, seed("allowances", "memory", 46)),
    ),
    Mutation(
        "the hosts of a child widen its parent's",
        "policy/allowances.py",
        "    for one in allowances:\n        if not one.in_reach:\n",
        "    for one in tuple(allowances)[-1:]:\n        if not one.in_reach:\n",
        (A_CLIENT, seed("allowances", "memory", 44)),
    ),
    Mutation(
        "a limit per request of an allowance is not looked at",
        "policy/choice.py",
        "        limits += allowed.per_request(mandate.allowances, currency)\n",
        "        pass\n",
        (A_CLIENT, seed("allowances", "memory", 8)),
    ),
    Mutation(
        "an allowance pays in a currency that it has nothing of",
        "policy/choice.py",
        "        if poor is not None:\n",
        "        if False:\n",
        ("tests/adapters/test_allowances.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "what another allowance may pay is paid ahead",
        "core/paying_ahead.py",
        "    return terms if fits(call.mandate.allowances, call.origin, price) else None",
        "    return terms",
        (ALLOWED, seed("ahead+allowances", "memory", 1024)),
    ),
    Mutation(
        "another product of the same address is paid ahead",
        "core/known_terms.py",
        "        return None if known is None or product is None else known.get(product)\n",
        "        return None if known is None else next(iter(known.values()))\n",
        (PAID_AHEAD, "tests/core/test_known_terms.py"),
        unseen=ONE_PRODUCT,
    ),
    Mutation(
        "a tool is paid ahead by the terms of another",
        "core/digests.py",
        'return str(meant[1]) if meant[0] == "tools/call" else digest',
        'return "" if meant[0] == "tools/call" else digest',
        (PAID_AHEAD, "tests/core/test_digests.py"),
        unseen=ONE_PRODUCT,
    ),
    Mutation(
        "a message that wants no answer is paid ahead",
        "core/digests.py",
        'if meant[0] == "batch" or document.get("id") is None or not',
        'if meant[0] == "batch" or not',
        (PAID_AHEAD, "tests/core/test_digests.py"),
        unseen=ONE_PRODUCT,
    ),
    Mutation(
        "a batch of messages is paid ahead",
        "core/digests.py",
        """    if meant[0] == "batch" or document""",
        """    if meant[0] == "batch":
        return digest
    if document""",
        ("tests/core/test_digests.py",),
        unseen=ONE_PRODUCT,
    ),
    Mutation(
        "a place with ever new bodies fills the memory of terms",
        "core/known_terms.py",
        "_put(known, product, terms, _PRODUCTS)",
        "_put(known, product, terms, 10**9)",
        ("tests/core/test_known_terms.py",),
        unseen=TIME,
    ),
    Mutation(
        "a client that is wrapped again loses a limit",
        "adapters/exchange.py",
        "        self.payers = tuple(dict.fromkeys((*payers, *self.payers)))\n",
        "",
        ("tests/adapters/test_allowances.py", seed("allowances", "memory", 31)),
    ),
    Mutation(
        "a session of MCP that is wrapped again loses a limit",
        "adapters/mcp_calls.py",
        '        added.exchange.pays_too(self.exchange.payers, "session")\n',
        "",
        ("tests/adapters/test_mcp_allowances.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "what is found is not judged by the hosts of an allowance",
        "discovery/judging.py",
        "        admit_under(mandate.allowances, origin)\n",
        "",
        ("tests/discovery/test_search.py",),
        unseen="the machine searches for nothing",
    ),
    Mutation(
        "the allowance of a client does not count inside another one's block",
        "buyer/scopes.py",
        "            found = joined(found, scope.allowances if counts else",
        "            found = joined((), scope.allowances if counts else",
        (A_CLIENT, seed("allowances", "memory", 31)),
    ),
    Mutation(
        "a block of an allowance lets pay from another ledger, uncounted",
        "policy/allowances.py",
        "        if not one.in_reach:\n",
        "        if False:\n",
        (ALLOWED,),
        unseen="All buyers of its programs have one ledger and one purse.",
    ),
    Mutation(
        "a scope is entered in a step of a generator that ends with it",
        "buyer/scopes.py",
        "    if lost := lost_block(frame):\n",
        "    if (lost := lost_block(frame)) and False:\n",
        ("tests/buyer/test_scopes_in_generators.py",),
        unseen="Its programs have no scope around a yield.",
    ),
    Mutation(
        "a scope is refused for a yield that comes after its block",
        "guards/lost_blocks.py",
        "    return any(_is_inside(code, offset, home) for offset in _yields(code))\n",
        "    return bool(_yields(code))\n",
        ("tests/buyer/test_scopes_in_generators.py",),
        unseen="Its programs have no scope around a yield.",
    ),
    Mutation(
        "nothing tells of an allowance that is left in another context",
        "buyer/allowance.py",
        "        if not leave(self):\n",
        "        if not leave(self) and False:\n",
        ("tests/buyer/test_scopes_in_generators.py",),
        unseen="Its programs have no scope around a yield.",
    ),
    Mutation(
        "large whole numbers of a tool's arguments become their neighbours",
        "core/digests.py",
        "    return int(Decimal(float.__repr__(value))) if",
        "    return int(value) if",
        ("tests/core/test_digests.py",),
        unseen="the machine calls no tools of MCP servers",
    ),
    Mutation(
        "a scope of another ledger's buyer is passed over, with its cap",
        "policy/choice.py",
        "    if not mandate.in_reach:\n",
        "    if False:\n",
        ("tests/adapters/test_scopes_of_others.py",),
        unseen="All buyers of its programs have one ledger and one purse.",
    ),
    Mutation(
        "a scope of another buyer of the purse is passed over, with its cap",
        "buyer/scopes.py",
        "    found = own or next((scope for scope in around if _counts(scope, root)), None)\n",
        "    found = own\n",
        ("tests/adapters/test_scopes_of_others.py",),
        unseen="The buyers of its programs have no scopes of one another.",
    ),
    Mutation(
        "a scope lets go of the allowance that it was made of",
        "buyer/allowance.py",
        "        return Scope(self._root, mandate(key, per_request, quote), self.path, self)\n",
        "        return Scope(self._root, mandate(key, per_request, quote), self.path)\n",
        (ALLOWED,),
        unseen=TOO_CAREFUL,
    ),
    Mutation(
        "a forked child lets go of its parent's allowances",
        "buyer/opening.py",
        "    if os.getpid() == process:\n",
        "    if True:\n",
        (ALLOWED,),
        unseen=TOO_CAREFUL,
    ),
    Mutation(
        "a number of an account is given twice",
        "ledgers/sqlite/allowances.py",
        '_DELETE = "DELETE FROM accounts WHERE id = ? AND id < (SELECT max(id) FROM accounts)"\n',
        '_DELETE = "DELETE FROM accounts WHERE id = ?"\n',
        ("tests/ledgers/test_sqlite_growth.py",),
        unseen=GIVEN_AGAIN,
    ),
    Mutation(
        "a level of an allowance is told by each payment after it",
        "core/levels.py",
        "            if one.left.units * 100 <= rest < before.units * 100:\n",
        "            if one.left.units * 100 <= rest:\n",
        (ALLOWED,),
        unseen=WORDS,
    ),
    Mutation(
        "a loop of one request is not damped",
        "core/reserving.py",
        "        caps += tuple(_same_request(call, purchase, rules))\n",
        "        pass\n",
        (DAMPED, seed("loop", "memory", 1)),
    ),
    Mutation(
        "an approver that is asked about a loop is not asked",
        "core/flow.py",
        "if rules.approve_all or call.repeats or rules.policy.needs_approval(hold.price):",
        "if rules.approve_all or rules.policy.needs_approval(hold.price):",
        (DAMPED,),
        unseen=NOBODY_ASKED,
    ),
    Mutation(
        "--yes pays for a loop",
        "cli/approving.py",
        "        if approval.repeats and not (self.asks and interactive()):\n",
        "        if False:\n",
        ("tests/cli/test_allowances.py",),
        unseen=COMMANDS,
    ),
    # --- signing in
    Mutation(
        "a sign-in is signed for another host",
        "policy/sign_in.py",
        '    if challenge.domain.lower() not in (host, f"{host}:{origin.port}"):\n',
        "    if False:\n",
        (SIGNING_IN, seed("sign in", "memory", 1)),
    ),
    Mutation(
        "further lines hide in the words of a sign-in",
        "wire/sign_in.py",
        "    if not value.isprintable():\n",
        "    if False:\n",
        (SIGNING_IN, seed("sign in", "memory", 13)),
    ),
    Mutation(
        "a challenge is signed twice",
        "schemes/sign_in.py",
        "        if self._key(challenge) in self._signed:\n            return _USED\n",
        "",
        (SIGNING_IN, seed("sign in", "memory", 1)),
        more=(
            (
                "schemes/sign_in.py",
                "            if self._key(challenge) in self._signed:\n                return False\n",
                "",
            ),
        ),
    ),
    Mutation(
        "a payment stays open although a sign-in brought the content",
        "core/signing_in.py",
        "    hold = (yield from _unresolved(call, rules)) if opened else None\n",
        "    hold = None\n",
        (SIGNING_IN, seed("sign in", "memory", 33)),
    ),
    Mutation(
        "a sign-in leads to another place than the host that it names",
        "policy/sign_in.py",
        "        if _origin(url) != origin:\n",
        "        if False:\n",
        (SIGNING_IN, seed("sign in", "memory", 16)),
    ),
    Mutation(
        "an old challenge is signed",
        "policy/sign_in.py",
        "    if now - issued > _AGE:\n",
        "    if False:\n",
        (SIGNING_IN, seed("sign in", "memory", 23)),
    ),
    Mutation(
        "a challenge is signed that is from the future",
        "policy/sign_in.py",
        "    if issued - now > _SKEW:\n",
        "    if False:\n",
        ("tests/policy/test_sign_in.py", seed("sign in", "memory", 36)),
    ),
    Mutation(
        "a challenge is signed on a chain that the policy does not pay on",
        "core/signing_in.py",
        "    able = [network for network in able if allowed is None or network in allowed]\n",
        "    allowed = None\n",
        (SIGNING_IN, seed("sign in", "memory", 29)),
    ),
    Mutation(
        "a seller is signed in to at which nothing was bought",
        "core/signing_in.py",
        '    if mode == "paid" and quote.offers:\n',
        "    if False:\n",
        (SIGNING_IN, seed("sign in", "memory", 28)),
    ),
    Mutation(
        "a challenge is signed although the policy says never",
        "core/signing_in.py",
        '    if mode == "never":\n',
        "    if False:\n",
        (SIGNING_IN, seed("sign in", "memory", 4)),
    ),
    Mutation(
        "two calls at once sign one challenge",
        "schemes/sign_in.py",
        "            if self._key(challenge) in self._signed:\n                return False\n",
        "",
        (SIGNING_IN,),
        unseen=MOMENT,
    ),
    # --- what sellers sign
    Mutation(
        "a 402 is paid that its own signed offer contradicts",
        "policy/choice.py",
        "            self.changed\n            or self._network_reason(offer)\n",
        "            self._network_reason(offer)\n",
        (SIGNED_WORDS,),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "an offer with a forged signature is paid",
        "core/statements.py",
        '        if statement.signed_by == "forged":\n',
        "        if False:\n",
        (SIGNED_WORDS,),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a signed offer may name another payee",
        "wire/statements.py",
        '_AGREE = ("scheme", "network", "asset", "payTo", "amount")\n',
        '_AGREE = ("scheme", "network", "asset", "amount")\n',
        ("tests/wire/test_statements.py",),
        more=(
            ("wire/statements.py", '        "payTo": payer_name(offer.pay_to),\n', ""),
            ("wire/statements.py", ', "payTo": payer_name(said["payTo"])}', "}"),
        ),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "any key counts as one that the policy trusts",
        "schemes/offer_receipt.py",
        '        return statement.judged("trusted" if name in self._trusted else "stranger", signer)\n',
        '        return statement.judged("trusted", signer)\n',
        ("tests/schemes/test_offer_receipt.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "the document of a did:web is fetched that no policy lists",
        "schemes/offer_receipt.py",
        "        if did not in self._trusted:\n",
        "        if False:\n",
        ("tests/schemes/test_offer_receipt.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "the document of a did:web is read at a private address",
        "schemes/did_web.py",
        "    if peer is None or not may_reach(str(peer[0])):\n",
        "    if peer is None:\n",
        ("tests/schemes/test_did_web.py",),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a bad signed receipt is told to nobody",
        "core/statements.py",
        '        if checked.problems or checked.signed_by == "forged":\n',
        "        if False:\n",
        (SIGNED_WORDS,),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "a signed receipt that repeats the payment is kept",
        "core/receipt_check.py",
        "    if found.signed is not None and any(repeated(_said(found.signed), signed.header[1])):\n",
        "    if False:\n",
        (SIGNED_WORDS,),
        unseen=NOT_IN_IT,
    ),
    Mutation(
        "what a seller signed is not kept",
        "ledgers/rows.py",
        "    return text if signed is None else",
        "    return text if True else",
        (IN_A_FILE,),
        unseen=WORDS,
    ),
)


def main(names: list[str]) -> int:
    """Return 0 if all of them were noticed."""
    chosen = [one for one in MUTATIONS if not names or one.name in names]
    unknown = set(names) - {one.name for one in chosen}
    if unknown:
        print(f"No such mutation: {', '.join(sorted(unknown))}")
        return 2
    survivors = 0
    for one in chosen:
        killed = is_killed(one)
        survivors += not killed
        print(f"{'killed  ' if killed else 'SURVIVED'}  {one.name}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} were noticed.")
    return 1 if survivors else 0


def is_killed(mutation: Mutation) -> bool:
    """Return whether a test fails that passes on the unbroken code."""
    with broken(mutation) as tree:
        failures = (failing(tree, killer) for killer in mutation.killers)
        return any(failed is not None and passes_unbroken(failed) for failed in failures)


@contextmanager
def broken(mutation: Mutation) -> Iterator[Path]:
    """A copy in which the promise is broken."""
    with copied() as tree:
        for file, old, new in mutation.edits:
            path = tree / CODE / file
            text = path.read_text("utf-8")
            assert text.count(old) == 1, f"{file} has this {text.count(old)} times: {old}"
            path.write_text(text.replace(old, new), "utf-8")
        yield tree


@cache
def passes_unbroken(test: str) -> bool:
    """Return whether a test passes on a copy as it is: tried once in a process."""
    return failing(_unbroken(), test) is None


@cache
def _unbroken() -> Path:
    return _OPEN.enter_context(copied())


def failing(tree: Path, killer: str) -> str | None:
    """Return the first test of a killer that fails there. One that hangs fails; the killer itself stands for it.

    Anything but tests that pass or fail is an error.
    """
    cache_dir = tree / ".mutations"
    shutil.rmtree(cache_dir, ignore_errors=True)
    settings = ["-o", f"cache_dir={cache_dir}", "--timeout", str(LIMIT / 2), "--hypothesis-seed=0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-x", "-q", "-m", "", *settings, killer],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return killer
    if process.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {process.returncode}:\n{said[-3000:]}")
    if process.returncode == 0:
        return None
    failed: dict[str, bool] = json.loads((cache_dir / "v/cache/lastfailed").read_text("utf-8"))
    return next(iter(failed))


@contextmanager
def copied() -> Iterator[Path]:
    """Everything that is or could be under version control, in a directory of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory)
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, tree / name)
        if (environments := ROOT / ".environments").is_dir():  # a new one takes longer than a killer may
            (tree / ".environments").symlink_to(environments.resolve())
        yield tree


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
