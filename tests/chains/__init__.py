"""JSON-RPC, and whether a payment settled."""
