"""Holders of keys. The rest of the package sees a signer: an address, and signatures on request."""
