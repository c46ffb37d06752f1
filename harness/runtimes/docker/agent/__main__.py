"""The agent inside a host container: carries out faults there, on requests that it reads from standard input.

It runs in the host container, never in the node's, and needs the standard library only. Each line of input is a
request and gets one line of output in reply (``messages``). The agent ends when its input does.

Requests of one lane are carried out in order (those of the lanes ``probes`` and ``disks`` several at a time), those of
different lanes concurrently: a process that is slow to die does not delay the healing of a link.
"""

from __future__ import annotations

import platform
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from splitbrain.runtimes.docker.agent import disks, links, oom, power_loss, processes, serving
from splitbrain.runtimes.docker.agent.clocks import REFRESH_SECONDS, HostClocks
from splitbrain.runtimes.docker.agent.codec import Malformed, decode_line, encode
from splitbrain.runtimes.docker.agent.commands import RequestFailed, run
from splitbrain.runtimes.docker.agent.filters import Filters
from splitbrain.runtimes.docker.agent.flushes import Flushes, Start, Supervisor
from splitbrain.runtimes.docker.agent.loop_devices import LoopDevices
from splitbrain.runtimes.docker.agent.messages import (
    CheckMarker,
    ClocksPatched,
    CopyFolder,
    CreateDisk,
    DiskLeft,
    DiskLoss,
    Done,
    FillDisk,
    FreeDisk,
    GrowMemory,
    Hello,
    HostState,
    Inspect,
    KillMatching,
    KillNode,
    ListProcesses,
    ListRunning,
    LookUp,
    NamesLookedUp,
    NodeKilled,
    PatchClocksAgain,
    PauseMatching,
    PauseNode,
    ProbesReceived,
    ProcessList,
    ReadChecksumErrors,
    ReadClocks,
    ReadFirstArrivals,
    ReadProbes,
    ReplyFrame,
    Request,
    RequestFrame,
    RequestHandler,
    RestoreDisk,
    ResumeNode,
    RunningProcesses,
    SendPortProbes,
    SendProbes,
    SetClocks,
    SetFlushes,
    SetLinks,
    SetNames,
    TerminateNode,
    Versions,
    WriteMarker,
)
from splitbrain.runtimes.docker.agent.names import NameServer, look_up
from splitbrain.runtimes.docker.agent.probes import SNMP, Probes, checksum_errors

WORKERS = {"probes": 4, "disks": 4}
"""Requests carried out at a time, in lanes where they do not affect one another; one in all other lanes."""


class Agent:
    """The agent of one host: its state by subject, a handler for each request, and a thread pool for each lane."""

    def __init__(self, output: BinaryIO) -> None:
        self.links = links.LinkRules()
        self.probes = Probes()
        self.names = NameServer()
        supervisor = Supervisor(self._started)
        filters = Filters(processes.node_processes, supervisor.add)
        self.clocks = HostClocks(processes.node_processes, filters)
        self.flushes = Flushes(filters, supervisor)
        self.disks = LoopDevices()
        self.handlers: Mapping[type[Request[Any]], RequestHandler] = {each.request: each for each in self._handlers()}
        lanes = {handler.lane for handler in self.handlers.values()}
        self._lanes = {lane: ThreadPoolExecutor(WORKERS.get(lane, 1), lane) for lane in lanes}
        self._output = output
        self._writing = threading.Lock()

    def serve(self, requests: Iterable[bytes]) -> None:
        """Answer every line of ``requests`` until they end."""
        threading.Thread(target=self._refresh, name="refresh", daemon=True).start()
        for line in requests:
            self.accept(line)
        self.close()

    def accept(self, line: bytes) -> None:
        """Start to carry out the request in ``line``, or answer at once that it is malformed."""
        number = None
        try:
            frame = decode_line(RequestFrame, line)
            number = frame.id
            request = frame.opened()
        except Malformed as wrong:
            self._write(ReplyFrame(number, None, str(wrong)))
        else:
            handler = self.handlers[type(request)]
            self._lanes[handler.lane].submit(self._answer, number, handler, request)

    def close(self) -> None:
        """Wait until all accepted requests are answered."""
        for lane in self._lanes.values():
            lane.shutdown()

    def _handlers(self) -> Iterable[RequestHandler]:
        yield Hello.handled_in("links", lambda request: self._hello())
        yield SetLinks.handled_in("links", self._set_links)
        yield ReadFirstArrivals.handled_in("links", lambda request: self.links.arrivals.report())
        yield SendProbes.handled_in("probes", self._send_probes)
        yield SendPortProbes.handled_in("probes", self._send_port_probes)
        yield SetNames.handled_in("names", self._set_names)
        yield LookUp.handled_in("names", lambda request: NamesLookedUp(addresses=look_up(request.names)))
        yield ReadProbes.handled_in("probes", self._read_probes)
        yield ReadChecksumErrors.handled_in("probes", lambda request: checksum_errors(SNMP.read_text()))
        yield CopyFolder.handled_in("processes", lambda request: disks.copy_folder(request.folder))
        yield FillDisk.handled_in("processes", lambda request: disks.fill())
        yield FreeDisk.handled_in("processes", lambda request: disks.free())
        yield WriteMarker.handled_in("processes", _write_marker)
        yield CheckMarker.handled_in("processes", lambda request: power_loss.check_marker(request.folder))
        yield KillNode.handled_in("processes", _kill)
        yield TerminateNode.handled_in("processes", lambda request: processes.terminate(request.signal))
        yield PauseNode.handled_in("processes", _pause)
        yield ResumeNode.handled_in("processes", _resume)
        yield KillMatching.handled_in("processes", lambda request: processes.kill_matching(request.pattern))
        yield PauseMatching.handled_in("processes", lambda request: processes.pause_matching(request.pattern))
        yield ListProcesses.handled_in("processes", lambda request: ProcessList(processes=processes.described()))
        yield CreateDisk.handled_in("disks", lambda request: self.disks.create(request.name))
        yield RestoreDisk.handled_in("disks", lambda request: self.disks.restore(request.name))
        yield ListRunning.handled_in("watch", lambda asked: RunningProcesses(processes=serving.running(asked.ports)))
        yield Inspect.handled_in("inspection", lambda request: self._inspect())
        # A process has one tracer at a time.
        yield GrowMemory.handled_in("tracing", lambda request: oom.grow(request.size))
        yield SetClocks.handled_in("tracing", self._set_clocks)
        yield ReadClocks.handled_in("tracing", lambda request: self.clocks.report())
        yield PatchClocksAgain.handled_in(
            "tracing", lambda request: ClocksPatched(held_ns=tuple(self.clocks.patch_again()))
        )
        yield SetFlushes.handled_in("tracing", lambda request: self.flushes.set(request.ms, request.fail))

    def _refresh(self) -> None:
        """Reach new processes while a clock or a flush is faulty, on the one thread that may trace processes."""
        while True:
            time.sleep(REFRESH_SECONDS)
            for part in (self.clocks, self.flushes):
                if part.faulty:
                    self._lanes["tracing"].submit(part.refresh).result()

    def _started(self, start: Start) -> None:
        """Have a new program patched if a clock is skewed, on the one thread that may trace processes."""
        if self.clocks.expect(start):
            self._lanes["tracing"].submit(self.clocks.started, start)
        else:
            start.go_on()

    def _answer(self, number: int, handler: RequestHandler, request: Request[Any]) -> None:
        try:
            reply = ReplyFrame(number, handler.act(request), None)
        except (RequestFailed, OSError) as failure:
            reply = ReplyFrame(number, None, str(failure))
        except Exception as failure:  # a bug of ours is answered too, or the controller would wait for nothing
            reply = ReplyFrame(number, None, f"{type(failure).__name__}: {failure}")
        self._write(reply)

    def _write(self, reply: ReplyFrame) -> None:
        with self._writing:
            self._output.write(encode(reply))
            self._output.flush()

    def _hello(self) -> Versions:
        self.links.create_chains()
        return Versions(iptables=run("iptables", "--version").strip(), python=platform.python_version())

    def _set_links(self, request: SetLinks) -> Done:
        self.links.replace(request.cut, request.ports, request.loss, request.impaired)
        return Done()

    def _inspect(self) -> HostState:
        return HostState(
            chained=links.chained(),
            impairing=self.links.impairing,
            processes=processes.described(),
            filler=disks.filler_size(),
        )

    def _send_probes(self, request: SendProbes) -> Done:
        self.probes.send(request.to, request.token, request.times, request.every_us, request.size)
        return Done()

    def _send_port_probes(self, request: SendPortProbes) -> Done:
        self.probes.send_from(request.port, request.to, request.token)
        return Done()

    def _set_names(self, request: SetNames) -> Done:
        self.names.set(request.answers)
        return Done()

    def _read_probes(self, request: ReadProbes) -> ProbesReceived:
        rules = links.rules_in_force()
        return ProbesReceived(
            received=self.probes.received(request.token),
            dropped=rules.dropped,
            ports=rules.ports,
            impaired=tuple(sorted(rules.impaired)),
        )

    def _set_clocks(self, request: SetClocks) -> Done:
        self.clocks.set(request.wall_ns, request.wall_ppm, request.jump_ns, request.monotonic_ppm)
        return Done()


def _write_marker(request: WriteMarker) -> Done:
    power_loss.write_marker(request.folder)
    return Done()


def _kill(request: KillNode) -> NodeKilled:
    left = None if request.disk is None else _lose(request.disk)
    processes.kill()
    return NodeKilled(disk=left, connections_left=links.destroy_connections() if request.sockets else 0)


def _lose(disk: DiskLoss) -> DiskLeft:
    if disk.left == "torn":
        return power_loss.copy_flushed(disk.folder)
    return disks.lose(disk.folder, disk.left, disk.pattern)


def _pause(request: PauseNode) -> Done:
    processes.pause()
    return Done()


def _resume(request: ResumeNode) -> Done:
    processes.resume(request.but)
    return Done()


if __name__ == "__main__":
    Agent(sys.stdout.buffer).serve(sys.stdin.buffer)
