"""The sellers of the matrix."""

from __future__ import annotations

from .services import EVM, PYTHON, SOLANA, Row, Script
from .ways import SIGN_IN, WAYS

EXPRESS = Script("official", "express.mjs", "@x402/express")
HONO = Script("official", "hono.mjs", "@x402/hono")
NEXT = Script("next", "handler.mjs", "@x402/next", " in route handlers")
NEXT_PROXY = Script("next", "proxy.mjs", "@x402/next", " as a proxy")
OFFICIAL = Script("official", "facilitator.mjs", "@x402/core")
EXPRESS_V1 = Script("legacy", "express.mjs", "x402-express")
HONO_V1 = Script("legacy", "hono.mjs", "x402-hono")
LEGACY = Script("legacy", "facilitator.mjs", "x402", " (npm)")
FAREMETER = Script("others", "faremeter.mjs", "@faremeter/middleware", " for Express")
X402_SOLANA = Script("others", "x402_solana.mjs", "x402-solana")
DJANGO = Script("pip", "seller_django_x402.py", "django-x402")
FASTAPI_X402 = Script("pip", "seller_fastapi_x402.py", "fastapi-x402")

FASTAPI = Script("world", "fastapi-v2", "x402", " for FastAPI")
FASTAPI_SIGN_IN = Script("world", "sign-in", "x402", " for FastAPI")
EXPRESS_SIGN_IN = Script("official", "sign_in.mjs", "@x402/express")

PLAIN = (
    Row(FASTAPI, 2, EVM),
    Row(Script("world", "svm-v2", "x402", " for FastAPI"), 2, SOLANA),
    Row(Script("world", "flask-v2", "x402", " for Flask"), 2, EVM),
    Row(Script("world", "fastapi-v1", "x402", " for FastAPI"), 1, EVM),
    Row(Script("world", "flask-v1", "x402", " for Flask"), 1, EVM),
    Row(EXPRESS, 2, EVM),
    Row(EXPRESS, 2, EVM, OFFICIAL),
    Row(EXPRESS, 2, SOLANA),
    Row(EXPRESS, 2, SOLANA, OFFICIAL),
    Row(HONO, 2, EVM, OFFICIAL),
    Row(HONO, 2, SOLANA, OFFICIAL),
    Row(NEXT, 2, EVM, OFFICIAL),
    Row(NEXT, 2, SOLANA, OFFICIAL),
    Row(NEXT_PROXY, 2, EVM, OFFICIAL),
    Row(EXPRESS_V1, 1, EVM),
    Row(EXPRESS_V1, 1, EVM, LEGACY),
    Row(EXPRESS_V1, 1, SOLANA),
    Row(EXPRESS_V1, 1, SOLANA, LEGACY),
    Row(HONO_V1, 1, EVM, LEGACY),
    Row(HONO_V1, 1, SOLANA, LEGACY),
    Row(FAREMETER, 1, EVM, FAREMETER),
    Row(FAREMETER, 2, EVM, FAREMETER),
    Row(FAREMETER, 1, SOLANA, FAREMETER, remark="names the network as version 2 does; gives a payment 0 seconds"),
    Row(FAREMETER, 2, SOLANA, FAREMETER, remark="gives a payment 0 seconds"),
    Row(X402_SOLANA, 2, SOLANA, OFFICIAL, remark="names its offers in the body alone"),
    Row(DJANGO, 1, EVM, remark="has its own names for what it asks a facilitator; this one was taught them"),
    Row(
        DJANGO,
        1,
        EVM,
        DJANGO,
        remark="signs its transactions without a chain id, which some nodes refuse; its receipt names them without 0x",
    ),
    Row(FASTAPI_X402, 1, EVM, OFFICIAL),
)
OTHER_WAYS = tuple(
    Row(sign_in if way == SIGN_IN else seller, 2, EVM, facilitator, way=way)
    for way in WAYS
    for seller, sign_in, facilitator in ((FASTAPI, FASTAPI_SIGN_IN, PYTHON), (EXPRESS, EXPRESS_SIGN_IN, OFFICIAL))
)
ROWS = PLAIN + OTHER_WAYS
