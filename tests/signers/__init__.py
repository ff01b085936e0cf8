"""Keys, keystores, signatures, and signers that users write."""
