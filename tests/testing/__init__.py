"""The conformance classes that ship: inherited for our own adapters, and shown to notice broken ones."""
