"""``AdapterConformance`` notices adapters that are broken on purpose, each by the test that says what is broken."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from . import broken_adapters, broken_answers

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
_ROOT = HERE.parent.parent
REDIRECTED = "test_a_redirect_after_paying_never_carries_the_payment"
LOST = "test_an_answer_that_got_lost_is_asked_for_with_the_same_payment"
SECRET = "test_no_payment_and_no_key_shows_after"
ONE_MORE = "test_the_paid_request_is_the_first_one_with_one_header_more"
#: The broken adapter, and the tests that have to fail for it.
NOTICED = {
    "RebuildsTheRequest": [ONE_MORE],
    "ForgetsTheBody": ["test_a_body_in_memory_arrives_whole_with_the_payment[bytes]", ONE_MORE],
    "GivesThePaymentNoTime": ["test_a_payment_has_the_time_that_settling_takes"],
    "ForgetsTheTimeOut": [f"{LOST}[silent]"],
    "LeavesAMark": ["test_a_free_answer_shows_no_mark_of_ours"],
    "IntroducesItself": [
        "test_a_free_request_is_as_the_bare_client_sends_it",
        "test_the_first_request_is_as_the_bare_client_sends_it",
    ],
    "AsksFirst": ["test_a_free_request_is_as_the_bare_client_sends_it", "test_a_question_is_not_paid[HEAD]"],
    "ForgetsScopes": [
        "test_a_key_is_paid_once",
        "test_another_request_under_a_key_is_refused",
        "test_a_cap_of_a_scope_refuses_what_is_above_it",
        "test_every_allowance_around_a_call_counts",
        "test_frozen_terms_are_paid_and_dearer_ones_are_not",
    ],
    "SignsAnew": [
        f"{LOST}[dropped]",
        "test_a_paid_body_that_breaks_is_the_librarys_own_error[cut]",
        "test_four_calls_whose_paid_body_breaks_settle_once",
        "test_another_client_of_the_buyer_presents_the_same_payment",
    ],
    "SignsAnewWhenCancelled": ["test_cancelled_at_any_pause_the_same_call_presents_the_same_payment"],
    "LosesConnectionsWhenCancelled": ["test_cancelled_at_any_pause_the_same_call_presents_the_same_payment"],
    "NeverResolvesABrokenBody": [
        "test_a_paid_body_that_breaks_is_the_librarys_own_error[cut]",
        "test_four_calls_whose_paid_body_breaks_settle_once",
    ],
    "DeliversAtTheHeaders": [
        "test_a_paid_body_that_breaks_is_the_librarys_own_error[cut]",
        "test_the_first_half_is_here_before_the_second_is_sent",
        "test_what_is_dropped_unread_is_not_delivered",
    ],
    "ClosesWhatIsDropped": ["test_what_is_dropped_unread_is_not_delivered"],
    "ReadsTheBodyAway": [
        "test_a_refusal_can_be_handed_back_as_a_readable_402",
        "test_a_402_that_is_not_x402_comes_back_untouched[small-headers0]",
        "test_what_asks_for_payment_is_paid_once_and_delivered[GET]",
    ],
    "BuffersTheAnswer": ["test_a_close_before_the_body_is_a_delivery"],
    "LosesCookies": ["test_a_cookie_of_the_402_goes_with_the_payment_and_reaches_the_callers_jar"],
    "ClingsToTheConnection": ["test_a_pool_of_one_connection_is_enough"],
    "PaysOnTheCallersRequest": [f"{REDIRECTED}[here]", f"{REDIRECTED}[elsewhere]", f"{SECRET}[the content]"],
    "ShowsThePaidRequest": [f"{SECRET}[the content]", f"{SECRET}[an error page]"],
    "LogsThePayment": [f"{SECRET}[the content]"],
    "TellsThePayment": [f"{SECRET}[no answer]"],
    "ShowsThePaidRequestInErrors": [f"{SECRET}[no answer]", f"{SECRET}[a reset]"],
    "KeepsThePaymentInAFrame": [f"{SECRET}[no answer]", f"{SECRET}[a second 402]"],
}
_CASES = [(adapter, test) for adapter, tests in NOTICED.items() for test in tests]
#: The same tests, for an adapter that breaks nothing.
_SOUND = sorted({test for adapter, test in _CASES if "Cancelled" not in adapter})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """Run every broken adapter once, in a process of its own. By adapter and test: what became of it."""
    report = _shared(tmp_path_factory) / "notices.xml"
    if _claimed(report.with_suffix(".claimed")):
        _run(report)
    until = time.monotonic() + 300
    while not report.exists() and time.monotonic() < until:
        time.sleep(0.1)
    return {
        (case.attrib["classname"].rpartition(".")[2], case.attrib["name"]): next((part.tag for part in case), "passed")
        for case in ElementTree.parse(report).iter("testcase")
    }


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of this run, which the workers of pytest-xdist share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _claimed(mark: Path) -> bool:
    """Return whether this worker is the one that runs them."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _run(report: Path) -> None:
    asked = [f"{home(a)}::{a}::{t}" for a, t in [*_CASES, *(("Sound", t) for t in _SOUND)]]
    written = report.with_suffix(".tmp")
    options = ["-q", "-p", "no:cacheprovider", "-o", "python_classes=[A-Z]*", f"--junitxml={written}", "--timeout=60"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *asked], cwd=_ROOT, capture_output=True, text=True, timeout=300
    )
    assert written.exists(), ran.stdout + ran.stderr
    written.rename(report)


def home(adapter: str) -> str:
    """Return the file where an adapter is."""
    found = (getattr(module, adapter, None) for module in (broken_adapters, broken_answers))
    return str(HERE / next(one.__module__.rpartition(".")[2] for one in found if one is not None)) + ".py"


@pytest.mark.parametrize(("adapter", "test"), _CASES)
def test_it_notices(results: dict[tuple[str, str], str], adapter: str, test: str) -> None:
    assert results[adapter, test] in ("failure", "error")  # an error where it leaves something that cannot be closed


@pytest.mark.parametrize("test", _SOUND)
def test_it_finds_nothing_where_nothing_is_broken(results: dict[tuple[str, str], str], test: str) -> None:
    assert results["Sound", test] == "passed"
