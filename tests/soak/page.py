"""The manual's page *Evidence*, and the places in it for tables that programs of this folder write."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "x402_client" / "manual" / "evidence.md"


def put(table: str, start: str, end: str, page: Path = PAGE) -> None:
    """Write a table between its two marks on the page."""
    before, begun, rest = page.read_text("utf-8").partition(start)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"{page.name} has no place for the table: {start} and {end}, in this order")
    page.write_text(f"{before}{start}\n\n{table.strip()}\n\n{end}{after}", "utf-8")
