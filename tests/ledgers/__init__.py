"""Ledgers in memory and in a file: budgets, holds, windows, and one contract for all; Redis has a folder."""
