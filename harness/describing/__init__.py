"""Help for a system that has just been described: a first description, and a look at how its nodes answer.

presets        commented descriptions to begin with
rehearsal      a start without faults: answers and the claims read from them, then figures for the description
cli            the commands ``splitbrain init`` and ``splitbrain probe``
"""
