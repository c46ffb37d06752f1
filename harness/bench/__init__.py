"""All benchmarks."""
