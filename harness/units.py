"""Units of time: everything is integer nanoseconds; this is how many a millisecond has."""

MS = 1_000_000
