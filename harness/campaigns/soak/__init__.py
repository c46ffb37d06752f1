"""``splitbrain soak``: repeated runs with mixed faults on containers, to find leaked resources."""
