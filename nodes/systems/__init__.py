"""The systems of our own that can be tested, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from splitbrain.nodes.systems.base import System
from splitbrain.nodes.systems.bully import BULLY_SYSTEM, BULLY_TEXTBOOK_SYSTEM
from splitbrain.nodes.systems.etcd.system import ETCD_PRE_VOTE_SYSTEM, ETCD_SYSTEM
from splitbrain.nodes.systems.etcd_election.system import ETCD_ELECTION_SAFE_SYSTEM, ETCD_ELECTION_SYSTEM
from splitbrain.nodes.systems.lease import LEASE_STRICT_SYSTEM, LEASE_SYSTEM, LEASE_WALL_SYSTEM
from splitbrain.nodes.systems.patroni.system import PATRONI_SYSTEM
from splitbrain.nodes.systems.pysyncobj.system import PYSYNCOBJ_SYSTEM
from splitbrain.nodes.systems.pysyncobj_0_3_14.system import PYSYNCOBJ_0_3_14_SYSTEM
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM, RAFT_LEASE_SYSTEM, RAFT_SYSTEM
from splitbrain.nodes.systems.redlock.system import REDLOCK_SYSTEM, REDLOCK_TRUSTING_SYSTEM
from splitbrain.nodes.systems.ring import RING_APPEND_SYSTEM, RING_SYSTEM
from splitbrain.nodes.systems.sentinel.system import (
    SENTINEL_MIN_REPLICAS_SYSTEM,
    SENTINEL_QUORUM1_SYSTEM,
    SENTINEL_SYSTEM,
)
from splitbrain.nodes.systems.zookeeper.system import (
    ZOOKEEPER_HERD_SYSTEM,
    ZOOKEEPER_SHORT_SYSTEM,
    ZOOKEEPER_STOCK_SYSTEM,
    ZOOKEEPER_SYSTEM,
)

SYSTEMS: Final[Mapping[str, System]] = MappingProxyType(
    {
        system.name: system
        for system in (
            RAFT_SYSTEM,
            RAFT_BASIC_SYSTEM,
            RAFT_LEASE_SYSTEM,
            BULLY_SYSTEM,
            BULLY_TEXTBOOK_SYSTEM,
            RING_SYSTEM,
            RING_APPEND_SYSTEM,
            LEASE_SYSTEM,
            LEASE_STRICT_SYSTEM,
            LEASE_WALL_SYSTEM,
            SENTINEL_SYSTEM,
            SENTINEL_MIN_REPLICAS_SYSTEM,
            SENTINEL_QUORUM1_SYSTEM,
            REDLOCK_SYSTEM,
            REDLOCK_TRUSTING_SYSTEM,
            ETCD_SYSTEM,
            ETCD_PRE_VOTE_SYSTEM,
            ETCD_ELECTION_SYSTEM,
            ETCD_ELECTION_SAFE_SYSTEM,
            ZOOKEEPER_SYSTEM,
            ZOOKEEPER_STOCK_SYSTEM,
            ZOOKEEPER_HERD_SYSTEM,
            ZOOKEEPER_SHORT_SYSTEM,
            PYSYNCOBJ_SYSTEM,
            PYSYNCOBJ_0_3_14_SYSTEM,
            PATRONI_SYSTEM,
        )
    }
)

__all__ = ["SYSTEMS", "System"]
