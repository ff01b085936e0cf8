"""Parts of ``AdapterConformance``: the base class, a gate before the sandbox, and one file for each promise."""
