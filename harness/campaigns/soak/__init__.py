"""``splitbrain soak``: run after run of mixed faults on containers, and what is left behind."""
