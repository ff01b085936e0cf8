"""Parts that ledgers on a server share: claims, leases, proofs that nothing was lost, and the port over steps."""
