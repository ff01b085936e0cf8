"""The ledger in PostgreSQL, on real servers."""
