"""Ledgers: they keep holds, budgets and history. Every ledger passes the same conformance class."""
