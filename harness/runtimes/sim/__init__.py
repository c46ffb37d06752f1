"""The simulation: a cluster, its network and its clocks in virtual time, on one thread, from one seed.

``kernel`` holds time and tasks, ``network`` the links, ``hosts`` the machines and their nodes,
``simulation`` puts them together, ``cluster`` shows that to the workload and the nemesis, ``runtime`` runs it.
"""
