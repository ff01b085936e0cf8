"""Workers: each contender lives in a process of its own, and answers one line of JSON with another.

The parent asks them in turn, round by round, so that all else the machine does falls on each of them. Nothing but
the standard library: workers run in several environments.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[3]


class Worker:
    """A process that answers questions: a module of this folder, or any ``command``."""

    def __init__(
        self,
        module: str,
        *words: str,
        python: str | os.PathLike[str] = sys.executable,
        command: Sequence[str] = (),
    ) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        ours = [os.fspath(python), "-W", "ignore::FutureWarning", "-m", f"tests.soak.benchmarks.{module}"]
        self.process = subprocess.Popen(
            [*(command or ours), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=clean,
        )

    def begin(self, name: str, *values: Any) -> None:
        """Ask, without waiting for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, *values]) + "\n")
        self.process.stdin.flush()

    def end(self) -> Any:
        """The answer to what was asked."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended before it answered")
        return json.loads(line)

    def ask(self, name: str, *values: Any) -> Any:
        """One question and its answer."""
        self.begin(name, *values)
        return self.end()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def serve(questions: dict[str, Callable[..., Any]]) -> None:
    """A worker's life: what it prints by itself goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        name, *values = json.loads(line)
        answers.write(json.dumps(questions[name](*values)) + "\n")
        answers.flush()


def interleaved(rounds: int, asking: dict[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Every contender once a round, in an order drawn anew each time."""
    found: dict[str, list[Any]] = {name: [] for name in asking}
    for _ in range(rounds):
        for name in random.sample(list(asking), len(asking)):
            found[name].append(asking[name]())
    return found


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median over the rounds of the two's ratio within a round."""
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))
