"""Requests to the agent inside a host container, and its replies.

Both ends import this module; it needs the standard library only, as it is copied into the host image. Each request
class names its reply class (``class FillDisk(Request[DiskFilled])``), so the reply to ``channel.ask(FillDisk())`` is
known to be a ``DiskFilled``. Addresses are IPv4 addresses as text; folders are absolute paths as the node sees them.

On the line a request is ``{"id": 7, "request": "FillDisk", "fields": {}}``, and its reply is ``{"id": 7, "reply":
{...}, "error": null}``, or has an error in place of a reply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Self, TypeVar, get_args

from splitbrain.runtimes.docker.agent.codec import Malformed, decode
from splitbrain.runtimes.docker.agent.impairments import Impairments

R = TypeVar("R")

# These classes have no slots: the codec writes the ``__dict__`` of an instance.


@dataclass(frozen=True)
class RequestHandler:
    """How the agent answers one class of request. Requests of one lane are answered one at a time, in order."""

    request: type[Request[Any]]
    lane: str
    act: Callable[[Any], Any]


class Request(Generic[R]):
    """A request that is answered by an ``R``."""

    @classmethod
    def reply_type(cls) -> type[R]:
        """Return the class of the reply, which the subclass gives as its base's argument."""
        (base,) = cls.__dict__["__orig_bases__"]
        reply: type[R] = get_args(base)[0]
        return reply

    @classmethod
    def handled_in(cls, lane: str, act: Callable[[Self], R]) -> RequestHandler:
        """Bind the request to ``act``, which type checkers hold against the request's fields and reply."""
        return RequestHandler(cls, lane, act)


@dataclass(frozen=True)
class Done:
    """The request was carried out."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The outcome of a check: the problem that was found, or None."""

    problem: str | None


# Links

CutManner = Literal["drop", "reject", "payload"]
"""How packets of a cut link are treated: dropped, refused with an error, or dropped if they carry data."""


@dataclass(frozen=True, kw_only=True)
class Versions:
    """Versions of the programs in the host image."""

    iptables: str
    python: str


@dataclass(frozen=True, kw_only=True)
class Hello(Request[Versions]):
    """Create the host's iptables chains. The first request to a host."""


@dataclass(frozen=True, kw_only=True)
class PortCut:
    """A port from and to which no packet of the sender at that address comes in, TCP and UDP."""

    address: str
    port: int
    manner: CutManner


@dataclass(frozen=True, kw_only=True)
class SetLinks(Request[Done]):
    """Replace all rules for incoming packets, by the sender's address: cuts, loss probabilities and impairments."""

    cut: Mapping[str, CutManner]
    ports: tuple[PortCut, ...]
    loss: Mapping[str, float]
    impaired: Mapping[str, Impairments]


@dataclass(frozen=True, kw_only=True)
class FirstArrival:
    """The first data after a cut ended: how many ns later it came, and by which protocol; None if none came yet."""

    after_ns: int | None
    over: str | None


@dataclass(frozen=True, kw_only=True)
class FirstArrivals:
    """By sender's address, the first arrival after each of its cuts, in order."""

    by_sender: Mapping[str, tuple[FirstArrival, ...]]


@dataclass(frozen=True, kw_only=True)
class ReadFirstArrivals(Request[FirstArrivals]):
    """Read when data first arrived over links after their cuts ended."""


@dataclass(frozen=True, kw_only=True)
class SendProbes(Request[Done]):
    """Send ``times`` UDP packets of ``size`` bytes to each address, ``every_us`` apart, marked with ``token``."""

    to: tuple[str, ...]
    token: int
    times: int
    every_us: int
    size: int


@dataclass(frozen=True, kw_only=True)
class SendPortProbes(Request[Done]):
    """Send a UDP packet from ``port``, marked with ``token``, and a TCP segment with data, to each address."""

    to: tuple[str, ...]
    token: int
    port: int


@dataclass(frozen=True, kw_only=True)
class PortDrops:
    """Packets of a sender's port that its cut has dropped so far."""

    address: str
    port: int
    tcp: int
    udp: int


@dataclass(frozen=True, kw_only=True)
class ProbesReceived:
    """By sender's address: probes received, packets dropped by cuts, and which senders have other rules.

    A probe is its number and its lateness in us; probes are in order of arrival. ``ports`` are all cuts of ports.
    """

    received: Mapping[str, tuple[tuple[int, int], ...]]
    dropped: Mapping[str, int]
    ports: tuple[PortDrops, ...]
    impaired: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReadProbes(Request[ProbesReceived]):
    """Read the probes received with ``token``, and the host's rules as the kernel reports them."""

    token: int


@dataclass(frozen=True, kw_only=True)
class ChecksumErrors:
    """Packets that the kernel has discarded for a wrong checksum."""

    udp: int
    tcp: int


@dataclass(frozen=True, kw_only=True)
class ReadChecksumErrors(Request[ChecksumErrors]):
    """Read the kernel's counters of wrong checksums."""


# Names


@dataclass(frozen=True, kw_only=True)
class SetNames(Request[Done]):
    """Replace the wrong answers to lookups of names: by true address the one to give instead, None for no address."""

    answers: Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class NamesLookedUp:
    """By name the address that it resolves to, None if it does not resolve."""

    addresses: Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class LookUp(Request[NamesLookedUp]):
    """Resolve names as a program of the node would."""

    names: tuple[str, ...]


# The node's files and disk


@dataclass(frozen=True, kw_only=True)
class FolderCopied:
    """The number of files copied, and for how long the node was paused."""

    files: int
    stopped_ms: float


@dataclass(frozen=True, kw_only=True)
class CopyFolder(Request[FolderCopied]):
    """Copy the node's folder, in place of any earlier copy."""

    folder: str


@dataclass(frozen=True, kw_only=True)
class DiskFilled:
    """Bytes that were taken, and that are still free."""

    taken: int
    left: int


@dataclass(frozen=True, kw_only=True)
class FillDisk(Request[DiskFilled]):
    """Take all free space of the node's disk."""


@dataclass(frozen=True, kw_only=True)
class DiskFreed:
    """Bytes that are free."""

    left: int


@dataclass(frozen=True, kw_only=True)
class FreeDisk(Request[DiskFreed]):
    """Give back the space that ``FillDisk`` took."""


@dataclass(frozen=True, kw_only=True)
class WriteMarker(Request[Done]):
    """Flush the node's disk, with a marker file in its folder that later shows a power loss."""

    folder: str


@dataclass(frozen=True, kw_only=True)
class CheckMarker(Request[Checked]):
    """Check that the node's disk lost the marker's unflushed write and kept its flushed one."""

    folder: str


@dataclass(frozen=True, kw_only=True)
class DiskCreated:
    """The loop device of a new disk."""

    device: str


@dataclass(frozen=True, kw_only=True)
class CreateDisk(Request[DiskCreated]):
    """Create a disk on a loop device for the node of that name."""

    name: str


@dataclass(frozen=True, kw_only=True)
class DiskRestored:
    """The number of files that differ from those a kill alone would have left."""

    changed: int
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class RestoreDisk(Request[DiskRestored]):
    """Reset the disk of the node of that name to its contents at the power loss."""

    name: str


@dataclass(frozen=True, kw_only=True)
class FlushReport:
    """Processes under control, those not reached, and what happened to flushes since the last report.

    ``took_ms`` and ``most_ms`` are the median and the maximum time of delayed flushes.
    """

    processes: int
    problems: tuple[str, ...]
    held: int
    refused: int
    took_ms: float | None
    most_ms: float | None


@dataclass(frozen=True, kw_only=True)
class SetFlushes(Request[FlushReport]):
    """Delay the node's flushes (fsync and its like) by ``ms``, or have them fail."""

    ms: int
    fail: bool


# The node's processes


@dataclass(frozen=True, kw_only=True)
class DiskLoss:
    """The state that a killed node's folder is left in: emptied, as last copied, or as flushed.

    With a pattern only files with matching paths are lost.
    """

    folder: str
    left: Literal["lost", "old", "torn"]
    pattern: str | None


@dataclass(frozen=True, kw_only=True)
class DiskLeft:
    """What happened to a killed node's folder: files changed, or the time that copying its disk took."""

    changed: int | None = None
    cut_ms: float | None = None
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class NodeKilled:
    """The node's processes have ended. ``connections_left`` counts TCP connections that could not be destroyed."""

    disk: DiskLeft | None
    connections_left: int


@dataclass(frozen=True, kw_only=True)
class KillNode(Request[NodeKilled]):
    """Kill every process of the node, after changing its folder as ``disk`` says.

    With ``sockets`` all TCP connections are destroyed silently, as when a machine loses power.
    """

    disk: DiskLoss | None
    sockets: bool


@dataclass(frozen=True, kw_only=True)
class NodeTerminated:
    """False if the node did not end in time and was killed."""

    obeyed: bool


@dataclass(frozen=True, kw_only=True)
class TerminateNode(Request[NodeTerminated]):
    """Send the signal of that name to the node's first process, and kill the node if it does not end in time."""

    signal: str = "SIGTERM"


@dataclass(frozen=True, kw_only=True)
class GrowMemory(Request[Checked]):
    """Make the node's first process allocate ``size`` bytes, so that the kernel's OOM killer ends it."""

    size: int


@dataclass(frozen=True, kw_only=True)
class PauseNode(Request[Done]):
    """Stop every process of the node (SIGSTOP)."""


@dataclass(frozen=True, kw_only=True)
class ResumeNode(Request[Done]):
    """Continue every process of the node (SIGCONT) that matches none of the patterns."""

    but: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Processes that matched a pattern, how many others there are, and whether the node's first one matched."""

    pids: tuple[int, ...]
    others: int
    first: bool


@dataclass(frozen=True, kw_only=True)
class KillMatching(Request[Matched]):
    """Kill the node's processes with a name or command line that matches the pattern."""

    pattern: str


@dataclass(frozen=True, kw_only=True)
class PauseMatching(Request[Matched]):
    """Stop the node's processes with a name or command line that matches the pattern."""

    pattern: str


@dataclass(frozen=True, kw_only=True)
class NodeProcess:
    """A process of the node. ``began`` is in the kernel's clock ticks since boot, ``stopped`` by a signal."""

    pid: int
    began: int
    threads: int
    stopped: bool


@dataclass(frozen=True, kw_only=True)
class ProcessList:
    """The node's processes by number."""

    processes: tuple[NodeProcess, ...]


@dataclass(frozen=True, kw_only=True)
class ListProcesses(Request[ProcessList]):
    """List the node's processes."""


@dataclass(frozen=True, kw_only=True)
class RunningProcess:
    """A process of the node, as the watch over it needs it.

    ``began`` is in the kernel's clock ticks since boot. The ``first`` process of a container has its parent outside,
    as have those of ``docker exec``. ``ports`` are those that it listens on, and ``halted`` means stopped by a signal.
    """

    pid: int
    began: int
    age_s: float
    first: bool
    ports: tuple[int, ...]
    halted: bool


@dataclass(frozen=True, kw_only=True)
class RunningProcesses:
    """The node's processes by number."""

    processes: tuple[RunningProcess, ...]


@dataclass(frozen=True, kw_only=True)
class ListRunning(Request[RunningProcesses]):
    """List the node's processes, with those of the ``ports`` that each listens on."""

    ports: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class HostState:
    """The state of a host on which its faults rest.

    ``chained``: incoming packets go through our rules first. ``impairing``: the process that impairs packets runs.
    ``processes`` are the node's. ``filler`` is the size in bytes of the file that fills the node's disk.
    """

    chained: bool
    impairing: bool
    processes: tuple[NodeProcess, ...]
    filler: int


@dataclass(frozen=True, kw_only=True)
class Inspect(Request[HostState]):
    """Read the state of the host, without changing it."""


# The node's clocks


@dataclass(frozen=True, kw_only=True)
class SetClocks(Request[Done]):
    """Skew the clocks of all processes of the node; zeros end the skew.

    The wall clock gets an offset and a rate. The monotonic clock jumps ahead once, and gets a rate.
    """

    wall_ns: int
    wall_ppm: int
    jump_ns: int
    monotonic_ppm: int


@dataclass(frozen=True, kw_only=True)
class ClockState:
    """One clock: the host's true time, the offset as it was set, the offset by now, and the rate."""

    now_ns: int
    set_ns: int
    off_ns: int
    ppm: int


@dataclass(frozen=True, kw_only=True)
class ClockReport:
    """The clocks as processes' memory has them. ``stopped_ns`` is the longest stop of a process to reach it.

    ``started`` counts programs that were patched before they ran; ``late`` says why others are patched soon after.
    """

    wall: ClockState
    monotonic: ClockState
    processes: int
    problems: tuple[str, ...]
    stopped_ns: int
    started: int
    late: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReadClocks(Request[ClockReport]):
    """Check and report the skew of the node's clocks."""


@dataclass(frozen=True, kw_only=True)
class ClocksPatched:
    """For how long each process was stopped."""

    held_ns: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class PatchClocksAgain(Request[ClocksPatched]):
    """Patch the clock functions of processes again that were patched before. For measurements."""


REQUESTS: Mapping[str, type[Request[Any]]] = {each.__name__: each for each in Request.__subclasses__()}
"""Every request class by its name."""


# The line


@dataclass(frozen=True)
class RequestFrame:
    """A request on the line, before its class is known."""

    id: int
    request: str
    fields: Any

    @classmethod
    def of(cls, number: int, request: Request[Any]) -> RequestFrame:
        return cls(number, type(request).__name__, request)

    def opened(self) -> Request[Any]:
        """Decode the request. Raises Malformed if there is none of that name, or its fields are wrong."""
        if self.request not in REQUESTS:
            raise Malformed("the name of a request", self.request, "request")
        try:
            return decode(REQUESTS[self.request], self.fields)
        except Malformed as wrong:
            raise wrong.inside(self.request) from None


@dataclass(frozen=True)
class ReplyFrame:
    """A reply on the line. ``id`` is None in answer to a line that could not be read."""

    id: int | None
    reply: Any
    error: str | None
