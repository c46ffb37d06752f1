"""Contenders: programs that stand for election by means of somebody else's software, and do nothing else."""
