"""The nemesis' hand inside one host: started once, spoken to over its standard input and output.

Standard library only; it runs in the host container, never in the one under test. Each request is a JSON line
``{"id": 7, "do": "cut", ...}`` and gets one line back, ``{"id": 7, "ok": {...}}`` or ``{"id": 7, "error": "..."}``.
It ends when its input does. Its requests, by subject:

    hello                         the versions it runs on
    links   cut: {address: manner}, lose: {address: chance}, flaws: {address: {...}}
                                  what comes from these addresses is cut off, lost by that chance, or released with
                                  those flaws (``packets.Flaws``), in place of all that was so before
    released                      what the releasing process has done so far, by address
    arrived                       when software was first heard again over links that were cut, by address
    probe   to: [address], token, times, every_us, size
                                  send that many real packets to each address
    heard   token                 what has come with that token from whom, and the rules as the kernel has them
    checksums                     how many wrong ones the kernel has counted so far, by protocol
    keep    folder                copy that folder of the node's
    kill    disk: {folder, left, pattern} or null, sockets
                                  end every process of the node, first having its folder hold what is to be ``left``
                                  (``disks.leave``, or for ``torn`` ``power.cut``); returns when all are gone, and with
                                  ``sockets`` all their connections, which nobody hears end
    arm     folder                have a witness in the node's folder that is flushed
    survived folder               whether the node's disk holds what was flushed before a cut, and no more
    attach  name                  make a disk for that node, on a loop device
    put-back name                 have that disk be what a cut has left of it
    end                           ask the node to end, as one asks a service; and make it, when it has not in good time
    grow    size                  have the node's first process take that many bytes, of which its container has not so
                                  many; ``wrong`` says why the kernel has not killed it for that, when it is killed
    stop                          pause every process of the node; returns when all are so
    go      but: [pattern]        let every process go on but those like these patterns; returns when all do
    kill-like, stop-like  pattern end or pause those processes whose name or command line is like the pattern
    skew    wall_ns, wall_ppm, jump_ns, monotonic_ppm
                                  have the clocks of every process wrong by so much; nothing but noughts heals
    clocks                        how wrong each process's memory says they are, and this host's own clocks
    patch                         put the clock functions in once more; how long that held all threads of each process
    processes                     those of the node: number, beginning and threads of each
    flush   ms, fail              have flushes of files to the disk take so long, or fail, in place of what was so
                                  before; what that did is told

Requests of one subject are carried out in their order (but for probes and loops), those of different subjects at the
same time: a process that is slow to die delays no heal of a link.
"""

from __future__ import annotations

import json
import platform
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from splitbrain.runtimes.docker.agent import disks, links, processes
from splitbrain.runtimes.docker.agent import oom as growth
from splitbrain.runtimes.docker.agent import power_loss as power
from splitbrain.runtimes.docker.agent.clocks import TEND_SECONDS, HostClocks
from splitbrain.runtimes.docker.agent.commands import Refused, run
from splitbrain.runtimes.docker.agent.flushes import Flushes
from splitbrain.runtimes.docker.agent.loop_devices import Loops
from splitbrain.runtimes.docker.agent.probes import SNMP, Probes, checksum_errors

SUBJECTS = {
    "hello": "links",
    "links": "links",
    "released": "links",
    "arrived": "links",
    "probe": "probes",
    "heard": "probes",
    "checksums": "probes",
    "keep": "processes",
    "fill": "processes",
    "free": "processes",
    "kill": "processes",
    "end": "processes",
    "stop": "processes",
    "kill-like": "processes",
    "stop-like": "processes",
    "go": "processes",
    "processes": "processes",
    "arm": "processes",
    "survived": "processes",
    "attach": "loops",
    "put-back": "loops",
    "grow": "tracing",  # a process has one tracer at a time
    "skew": "tracing",
    "clocks": "tracing",
    "patch": "tracing",
    "flush": "tracing",
}
"""Of each request, the subject: what must not be done at the same time as another of its kind."""

WORKERS = {"probes": 4, "loops": 4}
"""Of subjects whose requests do not get into each other's way, how many are carried out at a time."""


class Agent:
    """State of one host's agent: what listens for probes, the node's clocks and flushes, a lane for each subject."""

    def __init__(self) -> None:
        self.links = links.Links()
        self.probes = Probes()
        self.clocks = HostClocks(processes.node_processes)
        self.flushes = Flushes(processes.node_processes)
        self.loops = Loops()
        self.lanes = {
            subject: ThreadPoolExecutor(WORKERS.get(subject, 1), subject) for subject in set(SUBJECTS.values())
        }
        self.writing = threading.Lock()

    def serve(self) -> None:
        threading.Thread(target=self.tend, name="tender", daemon=True).start()
        for line in sys.stdin.buffer:
            request = json.loads(line)
            self.lanes[SUBJECTS.get(request["do"], "links")].submit(self.answer, request)

    def tend(self) -> None:
        """Have new processes found while something is wrong; by the thread that traces all of them, as it must be."""
        while True:
            time.sleep(TEND_SECONDS)
            for part in (self.clocks, self.flushes):
                if part.wrong:
                    self.lanes["tracing"].submit(part.tend).result()

    def answer(self, request: dict[str, Any]) -> None:
        began = time.monotonic_ns()
        try:
            reply: dict[str, Any] = {"ok": self.carry_out(request)}
        except (Refused, OSError) as failure:
            reply = {"error": str(failure)}
        except Exception as failure:  # our own mistake is told too, or the controller would wait for nothing
            reply = {"error": f"{type(failure).__name__}: {failure}"}
        reply |= {"id": request["id"], "took_ns": time.monotonic_ns() - began}
        with self.writing:
            sys.stdout.write(json.dumps(reply) + "\n")
            sys.stdout.flush()

    def carry_out(self, request: dict[str, Any]) -> dict[str, Any]:
        match request:
            case {"do": "hello"}:
                self.links.begin()
                return {"iptables": run("iptables", "--version").strip(), "python": platform.python_version()}
            case {"do": "links", "cut": cut, "lose": lose, "flaws": flaws}:
                return self.links.replace(cut, lose, flaws)
            case {"do": "released"}:
                return self.links.released()
            case {"do": "arrived"}:
                return self.links.arrivals.arrived()
            case {"do": "probe", "to": to, "token": token, "times": times, "every_us": every_us, "size": size}:
                return self.probes.send(to, token, times, every_us, size)
            case {"do": "heard", "token": token}:
                return {"heard": self.probes.heard(token), **links.seen()}
            case {"do": "checksums"}:
                return checksum_errors(SNMP.read_text())
            case {"do": "keep", "folder": folder}:
                return disks.keep(folder)
            case {"do": "fill"}:
                return disks.fill()
            case {"do": "free"}:
                return disks.free()
            case {"do": "kill", "disk": disk, "sockets": sockets}:
                left = {} if disk is None else leave(**disk)
                return {**processes.kill(), **left, **(links.forget_connections() if sockets else {})}
            case {"do": "arm", "folder": folder}:
                return power.arm(folder)
            case {"do": "survived", "folder": folder}:
                return power.survived(folder)
            case {"do": "attach", "name": name}:
                return self.loops.attach(name)
            case {"do": "put-back", "name": name}:
                return self.loops.put_back(name)
            case {"do": "end"}:
                return processes.end()
            case {"do": "grow", "size": size}:
                return growth.grow(size)
            case {"do": "stop"}:
                return processes.stop()
            case {"do": "go", "but": but}:
                return processes.go(but)
            case {"do": "kill-like", "pattern": pattern}:
                return processes.kill_like(pattern)
            case {"do": "stop-like", "pattern": pattern}:
                return processes.stop_like(pattern)
            case {"do": "skew", "wall_ns": wall_ns, "wall_ppm": wall_ppm, "jump_ns": jump_ns, "monotonic_ppm": ppm}:
                self.clocks.set(wall_ns, wall_ppm, jump_ns, ppm)
                return {}
            case {"do": "clocks"}:
                return self.clocks.report()
            case {"do": "patch"}:
                return {"held_ns": self.clocks.patch_again()}
            case {"do": "processes"}:
                return {"processes": processes.described()}
            case {"do": "flush", "ms": ms, "fail": fail}:
                return self.flushes.set(ms, fail)
        raise Refused(f"unknown request {request.get('do')!r}")


def leave(folder: str, left: str, pattern: str | None) -> dict[str, Any]:
    """Have the folder of a node that is to be killed hold what is to be left of it."""
    return power.cut(folder) if left == "torn" else disks.leave(folder, left, pattern)


if __name__ == "__main__":
    Agent().serve()
