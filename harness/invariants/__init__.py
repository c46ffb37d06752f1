"""Invariants of elections that only a simulation can check, since it sees inside the nodes."""
