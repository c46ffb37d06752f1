"""Help for a system that has just been described: a first description, and a look at how its nodes answer.

presets            commented descriptions to begin with
first_description  a description from a preset, for an image or for a Compose file
summary            a description in sentences, as it was understood
rehearsal          a start without faults: answers and the claims read from them, then figures for the description
cli                the commands ``splitbrain init`` and ``splitbrain probe``
"""
