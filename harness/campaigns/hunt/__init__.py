"""The hunt: search schedules in simulation for one that breaks a promise, shrink it, and tell what happened.

``case`` runs one schedule in memory and says what it broke, ``trace`` and ``votes`` see what only a simulation
shows, ``search`` draws cases over all cores, ``shrink`` makes a hit small, ``story`` and ``snippet`` put it into
words and into a test, ``coverage`` says what a campaign has exercised, ``tell`` leaves a run's directory behind.
"""
