"""The commands of ``x402``, one file each."""
