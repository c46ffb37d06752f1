"""Units of time: everything is integer nanoseconds; this is how many a millisecond has."""

from splitbrain.names import MS as MS
