"""``python -m tests.soak.weather``: everything fails at random while buyers buy, and a judge looks at the evidence."""
