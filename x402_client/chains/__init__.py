"""Chains: families of them, their tokens and endpoints, and what is read from them."""
