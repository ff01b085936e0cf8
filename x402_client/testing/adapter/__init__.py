"""The parts of ``AdapterConformance``: the ground, a gate before the sandbox, and one file for each promise."""
