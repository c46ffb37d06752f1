"""Faults as values, one module for each kind of thing that fails, and ``FAULTS``, the registry of all classes."""

from __future__ import annotations

from splitbrain.nemesis.faults import clocks, disks, links, processes, resolution
from splitbrain.nemesis.faults.base import (
    STATES,
    Aim,
    Capability,
    Durable,
    Fault,
    NodeFault,
    ScheduleError,
    Undo,
    integer,
    one_of,
)
from splitbrain.nemesis.faults.clocks import CLOCKS, MILLION, ClockName, Skew
from splitbrain.nemesis.faults.disks import FailingFsync, Fill, SlowFsync
from splitbrain.nemesis.faults.links import (
    DEFAULT_FLAP_MS,
    Bandwidth,
    Corrupt,
    Delay,
    Duplicate,
    LinkFault,
    Loss,
    Partition,
    Reorder,
)
from splitbrain.nemesis.faults.processes import Crash, Freeze, Kill, Oom, Pause, Slow, Stop, Throttle
from splitbrain.nemesis.faults.resolution import ANSWERS, Answer, Dns
from splitbrain.nemesis.partitions import HOWS, WAYS, How, Way

FAULTS: tuple[type[Fault], ...] = (
    *links.FAULTS,
    *resolution.FAULTS,
    *disks.FAULTS,
    *clocks.FAULTS,
    *processes.FAULTS,
)
CAPABILITY_NAMES: tuple[Capability, ...] = tuple(
    dict.fromkeys(capability for fault in FAULTS for capability in fault.capabilities)
)
"""All capabilities that some fault requires. No runtime need have them all."""

__all__ = (
    "ANSWERS",
    "CAPABILITY_NAMES",
    "CLOCKS",
    "DEFAULT_FLAP_MS",
    "FAULTS",
    "HOWS",
    "MILLION",
    "STATES",
    "WAYS",
    "Aim",
    "Answer",
    "Bandwidth",
    "Capability",
    "ClockName",
    "Corrupt",
    "Crash",
    "Delay",
    "Dns",
    "Duplicate",
    "Durable",
    "FailingFsync",
    "Fault",
    "Fill",
    "Freeze",
    "How",
    "Kill",
    "LinkFault",
    "Loss",
    "NodeFault",
    "Oom",
    "Partition",
    "Pause",
    "Reorder",
    "ScheduleError",
    "Skew",
    "Slow",
    "SlowFsync",
    "Stop",
    "Throttle",
    "Undo",
    "Way",
    "integer",
    "one_of",
)
