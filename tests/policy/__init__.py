"""Limits, the choice of an offer, refusals, and policy files."""
