"""Invariants of elections that only a simulation can check, since it sees inside the nodes.

Each is a pure function from the recorded events of a run to its violations. A correct node violates none in any run; a
node that sends no messages of these kinds violates nothing.
"""
