"""The judge's findings as a Markdown table, and its place on the manual's page of evidence."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from tests.real.environments import requirements_of

from .evidence import Evidence
from .judge import RULES, Found, judged
from .run import Report

START, END = "<!-- weather: python -m tests.soak.weather --client both --write -->", "<!-- end of the weather -->"
#: What a client without a ledger cannot be asked.
_CANNOT = {
    "over budget": "has a limit per payment only",
    "ledger below the chain": "has no ledger",
    "paid from an emptied ledger": "has no ledger",
}
_KINDS = ("content", "paid before", "refused", "later", "not delivered", "open", "failed")
_SHOWN = {
    "content": "ended in content",
    "paid before": "had been delivered before its process was killed, by the ledger",
    "refused": "refused: no acceptable terms, or a host that is not listed",
    "later": "refused: over a budget, or no ledger to trust",
    "not delivered": "proven paid, and not delivered by the seller",
    "open": "unresolved, with the next step in the error",
    "failed": "an error of the HTTP library, or an error page",
}


def text(report: Report) -> str:
    sides = {client: [one for one in report.evidence if one.fleet.client == client] for client in ("ours", "official")}
    shown = {client: side for client, side in sides.items() if side}
    names = {"ours": f"`x402_client` {version('x402-buyer')}", "official": f"the official client, {_official()}"}
    head = ["", *(names[client] for client in shown)]
    rows = [head, ["---"] * len(head), *_rows(report, shown)]
    return "\n".join([_caption(report), "", *map(_line, rows), *_notes(report)]) + "\n"


def _rows(report: Report, sides: dict[str, list[Evidence]]) -> Iterator[list[str]]:
    def row(name: str, figure: object) -> list[str]:
        return [name, *(f"{figure(side):,}" for side in sides.values())]  # type: ignore[operator]

    yield row("purchases", lambda side: sum(len(one.orders) for one in side))
    yield row("requests, to sellers, facilitators and chains", lambda side: sum(_requests(one) for one in side))
    yield row("of them struck by the weather", lambda side: sum(_struck(report, one) for one in side))
    yield row("distinct payments that left", lambda side: sum(len({seen.nonce for seen in one.seen}) for one in side))
    yield row("payments that the chain settled", lambda side: sum(len(one.settled) for one in side))
    for kind in _KINDS:
        yield row(_SHOWN[kind], lambda side, kind=kind: sum(_ends(one)[kind] for one in side))
    yield row("losses that a policy accepted", lambda side: sum(_written_off(one) for one in side))
    for rule in RULES:
        yield [f"**{rule}**", *(_verdict(rule, side, client) for client, side in sides.items())]


def _requests(evidence: Evidence) -> int:
    return sum("leg" in line for line in evidence.wire)


def _struck(report: Report, evidence: Evidence) -> int:
    return report.faults.get(evidence.fleet.name, Counter()).total()


def _written_off(evidence: Evidence) -> int:
    return Counter((evidence.ledger or {}).values())["written_off"]


def _ends(evidence: Evidence) -> Counter[str]:
    return Counter(str(last.get("kind", "failed")) for last in evidence.orders.values())


def _verdict(rule: str, side: Sequence[Evidence], client: str) -> str:
    if client == "official" and rule in _CANNOT:
        return _CANNOT[rule]
    found = sum(name.rule == rule for one in side for name in judged(one))
    looks = {
        "ledger below the chain": sum(len(one.samples) for one in side),
        "leaks": sum("look" in line for one in side for journal in one.journals for line in journal),
    }
    return f"**{found:,}**" + (f" in {looks[rule]:,} looks" if rule in looks else "")


def broken(report: Report) -> list[str]:
    """Each promise of ours that was broken, with all that is known of the order; and processes that failed."""
    told = [f"A process failed: {words}" for words in report.wrecks]
    for evidence in report.evidence:
        if evidence.fleet.client == "ours":
            told += [history(evidence, found) for found in judged(evidence)]
    return told


def history(evidence: Evidence, found: Found) -> str:
    lines = [f"{found.rule}: {found.fleet} {found.order}: {found.words}"]
    if found.order:
        lines += [f"    {json.dumps(line, default=str)[:400]}" for line in evidence.history(found.order)]
    return "\n".join(lines)


def _caption(report: Report) -> str:
    struck = ", ".join(f"{name} {many}" for name, many in sorted(report.events.items()))
    fleets = ", ".join(one.fleet.name for one in report.evidence if one.fleet.client == "ours")
    return (
        f"{datetime.now(UTC).date()}, {report.seconds:.0f} seconds, seed {report.seed}, Python "
        f"{platform.python_version()}. Fleets: {fleets}. Strokes: {struck}."
    )


def _notes(report: Report) -> Iterator[str]:
    for name, reason in report.left_out.items():
        yield f"\nLeft out: {name}: {reason}"


def _official() -> str:
    lines = requirements_of("v2").read_text("utf-8").splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith("x402["))


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"
