"""Where holds, budgets and history live. Every ledger passes the same conformance class."""
