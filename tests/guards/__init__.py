"""Deadlines, and what is kept out of logs."""
