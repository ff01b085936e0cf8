"""Reads quotes, payments and transactions for ``x402 decode``."""
