"""Records and pages of lists, as facilitators write them."""

from __future__ import annotations

import json
from typing import Any

from x402_client.discovery.judging import judge_of
from x402_client.discovery.survey import Answer, Survey, Wanted
from x402_client.model.money import Money

BASE_USDC = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"


def offer(**changes: Any) -> dict[str, Any]:
    return {
        "scheme": "exact", "network": "eip155:8453", "amount": "10000", "asset": BASE_USDC, "payTo": "0x" + "12" * 20,
        "maxTimeoutSeconds": 60, "extra": {"name": "USD Coin", "version": "2"}, **changes,
    }  # fmt: skip


def record(url: str = "https://api.example/weather", **changes: Any) -> dict[str, Any]:
    accepts = {"accepts": [offer()]}
    return (
        {"resource": url, "type": "http", "x402Version": 2, "lastUpdated": "2026-08-09T01:07:04.005Z"}
        | accepts
        | changes
    )


def numbered(first: int, count: int) -> list[dict[str, Any]]:
    return [record(f"https://api.example/{number}") for number in range(first, first + count)]


def answer(*records: Any, status: int = 200, name: str = "items", **more: Any) -> Answer:
    return Answer(status, json.dumps({"x402Version": 2, name: records, **more}).encode())


def survey(*facilitators: str, **wanted: Any) -> Survey:
    most = wanted.pop("max_price", None)
    price = None if most is None else Money(most)
    return Survey(
        Wanted(max_price=price, **wanted), judge_of(None, None, price), facilitators or ("https://one.example",)
    )
