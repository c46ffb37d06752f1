"""The matrix: every system under every class of fault, what it promises beside what was seen."""
