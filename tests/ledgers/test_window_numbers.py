"""Windows are written down once: with a number that files keep, and one line adds one everywhere."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import x402_client
from tests.ledgers.older import brought_back
from tests.ledgers.redis.server import Server
from x402_client import Limit, Policy
from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance import order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger, migrations, sums
from x402_client.ledgers.sqlite.schema import SCHEMA
from x402_client.ledgers.sqlite.sums import Sums, give_back
from x402_client.ledgers.windows import BUCKETS
from x402_client.model.budgets import BUDGET_WINDOWS, WINDOWS, BudgetWindow, Cap, checked
from x402_client.model.holds import Attempt, Hold, Spending
from x402_client.policy.limits import LIMIT_KEYWORDS
from x402_client.policy.toml import LIMIT, POLICY

PRICE = 10_000


def test_the_numbers_in_files_do_not_change() -> None:
    """A number stands in every file: take it from another window, and that one's counts are gone."""
    assert [window[:2] for window in BUDGET_WINDOWS] == [
        ("minute", 0), ("hour", 1), ("day", 2), ("month", 3), ("total", 4),
    ]  # fmt: skip
    assert {window.name: window.seconds for window in BUDGET_WINDOWS} == WINDOWS


@pytest.mark.parametrize(
    "wrong",
    [
        BudgetWindow("week", 3, 604_800),
        BudgetWindow("hour", 5, 604_800),
        BudgetWindow("Week", 5, 604_800),
        BudgetWindow("two weeks", 5, 604_800),
        BudgetWindow("week", -1, 604_800),
        BudgetWindow("blink", 5, 30),
        BudgetWindow("blink", 5, 90),
        BudgetWindow("ever", 5, None),
    ],
)
def test_a_table_that_ledgers_cannot_keep_is_refused(wrong: BudgetWindow) -> None:
    with pytest.raises(ValueError, match=r"[.]$"):
        checked((*BUDGET_WINDOWS, wrong))


def test_a_table_without_a_total_is_refused() -> None:
    with pytest.raises(ValueError, match="total"):
        checked(BUDGET_WINDOWS[:-1])


@pytest.mark.parametrize("kind", [Limit, Policy])
def test_every_window_has_its_keyword_where_editors_look(kind: type) -> None:
    """A new window works without it, as ``**further``. Add it to the signature all the same."""
    explicit = [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    assert [name for name in explicit if name in LIMIT_KEYWORDS] == list(LIMIT_KEYWORDS)


def test_every_window_is_a_field_of_policy_files_and_in_the_documentation() -> None:
    root = Path(__file__).parents[2]
    text = "\n".join(file.read_text("utf-8") for file in (root / "README.md", *root.glob("x402_client/manual/**/*.md")))
    for window in BUDGET_WINDOWS:
        assert window.keyword in LIMIT
        assert window.keyword in POLICY
        assert window.keyword in text


def test_a_keyword_that_is_no_window_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'per_dya'; did you mean per_day"):
        Limit(per_dya="5")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'per_fortnight'"):
        Policy(per_day="5", per_fortnight="5")  # type: ignore[arg-type]


# A file of before, and windows that are new to it


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of the layout before, which lists no windows, with five payments in it."""
    path = tmp_path / "old.db"
    ledger, attempt = SqliteLedger(path), Attempt()
    for number in range(5):
        hold = ledger.reserve(order(purchase(f"{number}")), attempt)
        assert isinstance(hold, Hold)
        ledger.close(ledger.record(hold, signed()), "spent", None)
    ledger.close_ledger()
    return brought_back(path, 2)


def counts(ledger: SqliteLedger) -> dict[str, int]:
    return {window: ledger.spent(Spending("", window, "USD")) for window in WINDOWS}


def test_a_file_of_the_layout_before_keeps_its_counts(old: Path) -> None:
    for _ in range(2):
        ledger = SqliteLedger(old)
        assert counts(ledger) == dict.fromkeys(WINDOWS, 5 * PRICE)
        assert not ledger.fresh
        ledger.close_ledger()
    with sqlite3.connect(old) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (7,)
        assert set(db.execute("SELECT name, number, seconds FROM windows")) == set(BUDGET_WINDOWS)
    db.close()


def test_programs_that_have_an_older_layout_open_stop(old: Path) -> None:
    """They would leave payments out of windows that they do not know. The identity tells them."""
    with sqlite3.connect(old) as db:
        before = db.execute("SELECT identity FROM meta").fetchone()
    SqliteLedger(old).close_ledger()
    assert db.execute("SELECT identity FROM meta").fetchone() != before
    db.close()


def test_a_program_does_not_migrate_what_was_put_in_place_of_its_file(old: Path, tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "here.db")
    ledger.close_ledger()
    for name in ("here.db", "here.db-wal", "here.db-shm"):
        tmp_path.joinpath(name).unlink(missing_ok=True)
    shutil.copy(old, tmp_path / "here.db")
    with pytest.raises(LedgerUnavailable, match="replaced by another file"):
        ledger.spent(Spending("", "day", "USD"))
    assert tmp_path.joinpath("here.db").read_bytes() == old.read_bytes()


@pytest.mark.parametrize("change", ["seconds = 61 WHERE number = 0", "name = 'moment' WHERE number = 0"])
def test_a_file_whose_windows_are_others_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "ledger.db"
    SqliteLedger(path).close_ledger()
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE windows SET {change}")
    db.close()
    with pytest.raises(LedgerUnavailable, match=r"windows that this version .* does not know.*(minute|moment)"):
        SqliteLedger(path)


_SECONDS = st.sampled_from([0.0, 0.25, 1.0, 59.75, 61.0, 1_440.0, 3_661.0, 86_400.0, 31 * 86_400.0])
_STEPS = st.lists(st.tuples(_SECONDS, st.integers(-8, 3)), max_size=25)
_LENGTHS = st.sampled_from([60, 120, 600, 7 * 86_400, 365 * 86_400])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(_STEPS, _STEPS, _LENGTHS)
def test_a_window_that_is_new_to_a_file_never_counts_too_little(
    before: list[tuple[float, int]], after: list[tuple[float, int]], length: int
) -> None:
    db, new = sqlite3.connect(":memory:", isolation_level=None), BudgetWindow("new", 9, length)
    for statement in SCHEMA:
        db.execute(statement)
    counted: list[tuple[float, int]] = []
    ever: list[int] = []
    now = begun = 1_700_000_000.0

    def step(seconds: float, what: int) -> None:
        nonlocal now
        now += seconds
        if what >= 0:
            Sums(db, "purse", ("host",), now).add("purse", ("host",), "USD", what)
            counted.append((now, what))
            ever.append(what)
        elif counted:
            at, units = counted.pop(what % len(counted))
            give_back(db, [1], units, at)

    for each in before:
        step(*each)
    width, begun = length // BUCKETS, now
    with pytest.MonkeyPatch.context() as patch:
        for one in (BudgetWindow("other", 8, 600), new):  # two at once
            migrations._seed(db, one, BUDGET_WINDOWS)
        patch.setitem(sums._SPANS, "new", (new.number, length, width))
        for each in [*after, (0.0, 1), (float(length), 1), (float(2 * width), 0)]:
            step(*each)
            first = int((now - length) // width)
            due = [units for at, units in counted if at // width >= first]
            found = Sums(db, "purse", ("host",), now)
            units, payments = (found.counted("host", currency, "new") for currency in ("USD", None))
            assert sum(due) <= units <= sum(ever)
            assert len(due) <= payments <= len(ever)
            if now >= begun + length + 2 * width:
                assert (units, payments) == (sum(due), len(due))
    db.close()


# One line more in the table, in a copy of the package


_CHILD = """
import json, random, sys
from pathlib import Path

from x402_client import Buyer, Limit, Policy, Wallet, errors
from x402_client.ledgers.conformance import cap, expect, order, purchase, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite.clock import LedgerClock
from x402_client.ledgers.windows import BUCKETS
from x402_client.model.budgets import BUDGET_WINDOWS, WINDOWS
from x402_client.model.holds import Attempt, Spending

name, keyword, old, new, url, seed = sys.argv[1:]
draw, at = random.Random(int(seed)), [1_700_000_000.0]
place = Path(new)

# A file that was written before.
ledger = SqliteLedger(old)
counts = {window: ledger.spent(Spending("", window, "USD")) for window in WINDOWS}
ledger.close_ledger()

# All three ledgers, against a list of what was counted and not given back.
memory = MemoryLedger()
memory._now = lambda: at[0]
file = SqliteLedger(place / "new.db", clock=LedgerClock(lambda: at[0], lambda: at[0], lambda: "boot"))
redis = RedisLedger(url)
held = []

def model(window, payments):
    length = WINDOWS[window]
    width = length // BUCKETS if length else 1
    first = int((at[0] - length) // width) if length else 0
    found = [units for when, units, _ in held if int(when // width) >= first]
    return len(found) if payments else sum(found)

attempt = Attempt()
for turn in range(60):
    at[0] += draw.choice([0, 0.5, 30, 61, 3600, 90_000, 3_000_000]) * draw.random()
    if held and draw.random() < 0.3:
        _, _, holds = held.pop(draw.randrange(len(held)))
        for ledger, hold in zip((memory, file), holds):
            ledger.release(hold)
    else:
        units = draw.randrange(1, 9)
        asked = order(purchase(str(turn)), price="0.00000" + str(units))
        held.append((at[0], units, [ledger.reserve(asked, attempt) for ledger in (memory, file)]))
    for window in WINDOWS:
        for ledger in (memory, file):
            assert ledger.spent(Spending("", window, "USD")) == model(window, False), (turn, window, ledger)
for turn in range(6):
    hold = redis.reserve(order(purchase(str(turn))), attempt)
    if turn % 3 == 0:
        redis.release(hold)
assert {redis.spent(Spending("", window, "USD")) for window in WINDOWS} == {40_000}

# A budget in it is kept to the last millionth.
for ledger, counted in ((memory, model(name, False)), (file, model(name, False)), (redis, 40_000)):
    ledger.reserve(order(purchase("fits"), cap(counted + 10_000, name)), attempt)
    asked = order(purchase("not"), cap(counted + 19_999, name))
    refused = expect(errors.OverLimit, lambda: ledger.reserve(asked, attempt))
    assert f"per {name}" in str(refused), refused
    assert (refused.resets_at is None) == (WINDOWS[name] is None)

# All that is built on the table knows it.
assert Limit(**{keyword: "5"}).caps("", "USD")[0][1:] == (name, "USD", 5_000_000)
assert Limit(max_payments=f"30/{name}").caps("", "USD")[0][1:] == (name, None, 30)
written = place / "policy.toml"
written.write_text(f'{keyword} = "5"\\n[hosts."a.example"]\\n{keyword} = "1"\\n')
policy = Policy.from_file(written)
assert repr(policy.overall) == f"Limit({keyword}='5.00 USD')"
buyer = Buyer(Wallet(evm="0x" + "46" * 32), Policy(**{keyword: "5"}), ledger=file)
assert buyer.remaining(window=name).units == 5_000_000 - buyer.spent(window=name).units
file.close_ledger()
redis.close_ledger()
print(json.dumps(counts))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


def with_one_line_more(tree: Path, window: BudgetWindow, position: int) -> None:
    """Copy the package, and enter a window into its table."""
    shutil.copytree(
        Path(x402_client.__file__).parent, tree / "x402_client", ignore=shutil.ignore_patterns("__pycache__")
    )
    table = tree / "x402_client" / "model" / "budgets.py"
    text = table.read_text("utf-8")
    lines = [f"        BudgetWindow({w.name!r}, {w.number}, " for w in BUDGET_WINDOWS]
    starts = [text.index(line.replace("'", '"')) for line in lines]
    starts.append(text.index("\n    )\n", starts[-1]) + 1)
    at, line = starts[position], f"        BudgetWindow({window.name!r}, {window.number}, {window.seconds}),\n"
    table.write_text(text[:at] + line + text[at:], "utf-8")


def run(tree: Path, *command: str) -> str:
    ran = subprocess.run(
        [sys.executable, *command], cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


_FREE = max(window.number for window in BUDGET_WINDOWS) + 1
_NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12).filter(lambda name: name not in WINDOWS)


@pytest.mark.slow
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a child that fails is not tried again and again to make it smaller
    suppress_health_check=list(HealthCheck),
)
@given(
    st.builds(BudgetWindow, _NAMES, st.integers(_FREE, 2**31), st.integers(1, 600_000).map(lambda n: n * 60)),
    st.integers(0, len(BUDGET_WINDOWS)),
    st.integers(0, 10**6),
)
def test_one_line_adds_a_window_to_every_ledger(
    old: Path, server: Server, tmp_path_factory: pytest.TempPathFactory, window: BudgetWindow, position: int, seed: int
) -> None:
    tree = tmp_path_factory.mktemp("tree")
    with_one_line_more(tree, window, position)
    server.do("FLUSHALL")
    before = shutil.copy(old, tree / "old.db")
    child = (window.name, window.keyword, str(before), str(tree), server.url, str(seed))
    found = json.loads(run(tree, "-c", _CHILD, *child))
    assert found == dict.fromkeys([*WINDOWS, window.name], 5 * PRICE)
    told: Any = json.loads(run(tree, "-m", "x402_client", "ledger", "spent", "--ledger", str(before), "--json"))
    assert told["counted"][window.name] == ["0.05 USD"]
    with pytest.raises(LedgerUnavailable, match=window.name):
        SqliteLedger(before)


def test_a_cap_says_its_window() -> None:
    assert str(Cap("", "week", "USD", 1)) == "0.000001 USD per week"
    assert str(Cap("a.example", "total", None, 3)) == "3 payments in total for a.example"
