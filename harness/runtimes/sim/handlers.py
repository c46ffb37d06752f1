"""How the simulation carries out each class of fault.

``HANDLERS`` is the only place of this runtime that names classes of fault; its capabilities follow from it. Most faults
only ask for a state, which ``host_state`` makes true and verifies. What happens once, at the moment of injection, is a
function here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from splitbrain.nemesis.faults import (
    Bandwidth,
    Capability,
    Corrupt,
    Crash,
    Delay,
    Dns,
    Duplicate,
    FailingFsync,
    Fault,
    Fill,
    Freeze,
    Kill,
    Loss,
    Oom,
    Partition,
    Pause,
    Reorder,
    Skew,
    Slow,
    SlowFsync,
    Stop,
    Throttle,
)
from splitbrain.nodes.driver import STATE_FILE

if TYPE_CHECKING:
    from splitbrain.runtimes.sim.host_state import HostState


def _nothing(hosts: HostState, node: str, fault: Any) -> None:
    pass


@dataclass(frozen=True, kw_only=True, slots=True)
class SimFaultHandler:
    """How faults of one class are carried out: all but those that require a capability in ``lacks``.

    ``inject`` acts on a host once, when a fault begins there, at once if ``at_once`` says so and else when the host
    gets to it. ``problem`` is what ``host_state`` cannot see of a fault on a node. With ``cuts`` a fault is verified by
    packets over every link.
    """

    inject: Callable[[HostState, str, Any], None] = _nothing
    at_once: Callable[[Any], bool] = lambda fault: False
    problem: Callable[[str, Any], str | None] = lambda node, fault: None
    cuts: bool = False
    lacks: frozenset[Capability] = frozenset()


def _kill(hosts: HostState, node: str, fault: Kill) -> None:
    if fault.after_effects is not None:
        hosts.kill_after(node, fault.after_effects, fault.state)
    else:
        hosts.kill(node, fault.state if _has(fault.files) else "kept")


def _is_counted(fault: Kill) -> bool:
    """Whether the node dies after a number of effects, which count from the injection."""
    return fault.after_effects is not None


def _no_such_file(node: str, fault: Kill) -> str | None:
    return None if _has(fault.files) else f"{node}: no file of its has a path like {fault.files}"


def _has(files: str | None) -> bool:
    """Whether the pattern, None for all files, matches the single file of our nodes."""
    return files is None or fnmatchcase(STATE_FILE, files)


def _crash(hosts: HostState, node: str, fault: Crash) -> None:
    hosts.kill(node, fault.state)


def _end(hosts: HostState, node: str, fault: Fault) -> None:
    hosts.kill(node, "kept")


def _skew(hosts: HostState, node: str, fault: Skew) -> None:
    if fault.clock == "monotonic":
        hosts.jump(node, fault.offset_ms)


AS_STATE = SimFaultHandler()
"""For faults that only ask for a state."""

# A simulated node is one process without ports or names, and its disk never fills: hunts deal that fault all the same,
# without effect.
HANDLERS: Mapping[type[Fault], SimFaultHandler] = MappingProxyType(
    {
        Partition: SimFaultHandler(cuts=True, lacks=frozenset({"partition of one port"})),
        Dns: SimFaultHandler(lacks=frozenset({"name resolution"})),
        Kill: SimFaultHandler(
            inject=_kill, at_once=_is_counted, problem=_no_such_file, lacks=frozenset({"kill of one process"})
        ),
        Crash: SimFaultHandler(inject=_crash, cuts=True),
        Stop: SimFaultHandler(inject=_end),
        Oom: SimFaultHandler(inject=_end),
        Pause: SimFaultHandler(lacks=frozenset({"pause of one process"})),
        Fill: SimFaultHandler(lacks=frozenset({"full disk"})),
        Skew: SimFaultHandler(inject=_skew),
        **dict.fromkeys((Freeze, Slow, Throttle, SlowFsync, FailingFsync), AS_STATE),
        **dict.fromkeys((Loss, Delay, Reorder, Duplicate, Corrupt, Bandwidth), AS_STATE),
    }
)
