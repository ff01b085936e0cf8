"""``python -m tests.soak.benchmarks``: every figure of the README's table."""
