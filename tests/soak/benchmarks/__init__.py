"""``python -m tests.soak.benchmarks``: every figure of the manual's table."""
