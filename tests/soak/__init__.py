"""What runs for long or by hand: weather, matrix and benchmarks. A short part of each is in .ci/run."""
