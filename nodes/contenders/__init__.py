"""Contenders: programs that stand for election by the help of a service of others, and do nothing else."""
