"""The ``x402`` command."""
