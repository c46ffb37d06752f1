"""``splitbrain matrix``: every system under every fault class, observations beside promises."""
