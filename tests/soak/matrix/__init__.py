"""``python -m tests.soak.matrix``: every client pays sellers that other people publish."""
