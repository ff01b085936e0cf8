"""The sellers of the matrix."""

from __future__ import annotations

from .ground import EVM, SOLANA, Row, Script

EXPRESS = Script("official", "express.mjs", "@x402/express")
HONO = Script("official", "hono.mjs", "@x402/hono")

ROWS = (
    Row(Script("python", "fastapi-v2", "x402", " for FastAPI"), 2, EVM),
    Row(Script("python", "svm-v2", "x402", " for FastAPI"), 2, SOLANA),
    Row(Script("python", "flask-v2", "x402", " for Flask"), 2, EVM),
    Row(Script("python", "fastapi-v1", "x402", " for FastAPI"), 1, EVM),
    Row(Script("python", "flask-v1", "x402", " for Flask"), 1, EVM),
    Row(EXPRESS, 2, EVM),
    Row(EXPRESS, 2, SOLANA),
    Row(HONO, 2, EVM),
    Row(HONO, 2, SOLANA),
)
