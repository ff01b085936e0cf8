"""Chains, facilitators and sellers by other people, each in a process; and what they do without the library."""
