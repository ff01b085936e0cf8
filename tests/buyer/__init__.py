"""Buyers, wallets, approval, the breaker, and what a buyer asks of ledgers and chains."""
