"""The wire: version 1 and 2 texts to our words and back. No room above knows the protocol's names."""
