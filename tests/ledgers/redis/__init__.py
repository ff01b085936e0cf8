"""The ledger in Redis, on real servers."""
