"""Benchmarks of clocks, links, checkers and the simulation."""
