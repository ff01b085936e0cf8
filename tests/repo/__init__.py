"""The source, README, examples and this repository itself; all of it needs the source tree."""
