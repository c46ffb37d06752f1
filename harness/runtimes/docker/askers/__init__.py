"""The ways in which machines are asked, by the names that systems give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from harness.runtimes.docker.askers.base import Asker, Door
from harness.runtimes.docker.askers.described import DescribedAsker
from harness.runtimes.docker.askers.etcd import ElectionAsker, EtcdAsker
from harness.runtimes.docker.askers.http import HttpAsker
from harness.runtimes.docker.askers.patroni import PatroniAsker
from harness.runtimes.docker.askers.redis import RedisAsker
from harness.runtimes.docker.askers.redlock import RedlockAsker
from harness.runtimes.docker.askers.zookeeper import ZooKeeperAsker
from nodes.systems.base import System

ASKERS: Mapping[str, Callable[[Mapping[str, Door]], Asker]] = MappingProxyType(
    {
        "http": HttpAsker,
        "redis": RedisAsker,
        "redlock": RedlockAsker,
        "etcd": EtcdAsker,
        "etcd-election": ElectionAsker,
        "zookeeper": ZooKeeperAsker,
        "patroni": PatroniAsker,
    }
)


def asker_of(system: System, doors: Mapping[str, Door]) -> Asker:
    """The way in which the machines of that system are asked."""
    return ASKERS[system.asked](doors) if system.probe is None else DescribedAsker(doors, system.probe)


__all__ = ["ASKERS", "Asker", "Door", "asker_of"]
