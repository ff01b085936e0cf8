"""Networks, tokens, families of chains, and what may be asked of a chain."""
