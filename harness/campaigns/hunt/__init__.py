"""The hunt: search in simulation for a fault schedule that breaks a promise, shrink it, and report it.

``case`` runs one schedule in memory and lists the promises it broke. ``search`` draws cases on all cores and
``shrink`` minimizes a hit. ``trace`` records events inside the nodes; ``story`` makes a sentence of them and
``snippet`` a test. ``coverage`` measures what a campaign exercised, ``save`` stores the run and ``confirm`` repeats it
on containers.
"""
