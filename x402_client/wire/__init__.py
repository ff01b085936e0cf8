"""The wire: version 1 and 2 texts to our words and back. Nothing above knows the protocol's names."""
