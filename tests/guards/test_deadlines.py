"""Reads that have to end: each loses its connection when its own time is up, and none that ended in time does."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from x402_client.guards import deadlines as _deadlines
from x402_client.guards.deadlines import Cut, Deadline, shut

PATIENCE = 10.0


def test_a_blocked_read_ends() -> None:
    here, there = socket.socketpair()
    with here, there, Deadline(0.05, lambda: shut(here)) as deadline:
        assert here.recv(1) == b""
        assert deadline.passed


def test_the_nearer_one_is_not_kept_waiting_by_the_farther() -> None:
    near, far = threading.Event(), threading.Event()
    with Deadline(600, far.set), Deadline(0.02, near.set):
        assert near.wait(PATIENCE)
    assert not far.is_set()


def test_what_ended_in_time_is_left_alone() -> None:
    cut, later = threading.Event(), threading.Event()
    with Deadline(0.05, cut.set) as deadline:
        pass
    with Deadline(0.1, later.set):
        assert later.wait(PATIENCE)
    assert not cut.is_set()
    assert deadline.passed, "its time is up by now, but it was over before"


def test_one_that_cannot_be_cut_spoils_nothing() -> None:
    cut = threading.Event()
    with Deadline(0.02, lambda: 1 / 0), Deadline(0.04, cut.set):
        assert cut.wait(PATIENCE)


def test_the_thread_ends_when_nobody_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_deadlines, "_LINGER", 0.0)
    watch = _deadlines._Watch()
    monkeypatch.setattr(_deadlines, "_watch", watch)
    for _ in range(2):
        cut = threading.Event()
        with Deadline(0.02, cut.set):
            assert cut.wait(PATIENCE)
        until = time.monotonic() + PATIENCE
        while watch._looks is not None and time.monotonic() < until:
            time.sleep(0.01)
        assert watch._looks is None


def test_where_no_thread_can_be_had_the_clock_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_deadlines, "_watch", _deadlines._Watch())
    monkeypatch.setattr(threading, "Thread", no_thread)
    with Deadline(0.0, lambda: None) as deadline:
        assert deadline.passed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_a_watch_of_its_own() -> None:
    with Deadline(600, lambda: None):
        child = os.fork()
        if child == 0:
            cut = threading.Event()
            with Deadline(0.02, cut.set):
                os._exit(0 if cut.wait(PATIENCE) else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_only_sockets_are_shut() -> None:
    shut(None)
    shut(object())


class Stream:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def get_extra_info(self, name: str) -> socket.socket:
        return self.sock


@pytest.mark.parametrize("event", ["connection.connect_tcp.complete", "connection.start_tls.complete"])
def test_a_connection_that_is_made_when_the_time_is_up_is_cut_as_well(event: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        cut = Cut()
        cut()
        cut.note(event, {"return_value": Stream(ours)})
        assert theirs.recv(1) == b""


def test_a_read_that_begins_later_is_not_cut() -> None:
    (first, other), (second, theirs) = socket.socketpair(), socket.socketpair()
    with first, other, second, theirs:
        cut = Cut()
        cut.note("connection.connect_tcp.complete", {"return_value": Stream(first)})
        cut()
        cut.begin()
        cut.note("connection.connect_tcp.complete", {"return_value": Stream(second)})
        second.sendall(b"1")
        assert theirs.recv(1) == b"1"
        cut()
        assert theirs.recv(1) == b""
