"""The nemesis' hand inside one host: started once, spoken to over its standard input and output.

Standard library only; it runs in the host container, never in the one under test. Each request is a JSON line
``{"id": 7, "do": "cut", ...}`` and gets one line back, ``{"id": 7, "ok": {...}}`` or ``{"id": 7, "error": "..."}``.
It ends when its input does. Its requests:

    hello                         the versions it runs on
    links   drop: [address], lose: {address: chance}
                                  drop every packet, or each with that chance, from these addresses, in place of all
                                  rules before; neither heals
    probe   to: [address], token, times
                                  send that many real packets to each address
    heard   token                 how many packets with that token came from whom, and what the rules that drop
                                  everything have dropped since they were made
    kill    wipe: path or null    end every process of the node, first emptying that folder of it; returns when all
                                  are gone
    stop, go                      pause every process of the node, or let it go on; returns when all are so

A cut is a rule on the receiver, by the sender's address, in a chain of our own that one ``iptables-restore``
replaces atomically. The observers come in from the network's gateway, whose address is no peer's. The node's
processes are those in the host's process namespace that see other files than the agent does: the node's container
has joined the namespace, but has an image of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHAIN = "SPLITBRAIN"
PROBE_PORT = 7999
SO_RCVBUFFORCE = 33  # not among the socket module's names
RECEIVE_BYTES = 8 << 20
SIGNAL_SECONDS = 5.0
TOKENS_KEPT = 64  # several changes may be verified at once


class Refused(Exception):
    """A request that could not be carried out; the words go back to the controller."""


def run(*command: str, given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Agent:
    """State of one host's agent: the probing socket and the tokens it has heard."""

    def __init__(self) -> None:
        self.probes = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.probes.bind(("0.0.0.0", PROBE_PORT))
        self.probes.setblocking(False)
        with contextlib.suppress(OSError):  # else the kernel's usual buffer must do for a burst of probes
            self.probes.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        self.heard: dict[int, dict[str, int]] = {}

    def serve(self) -> None:
        pending, requests = b"", sys.stdin.fileno()
        while True:
            ready, _, _ = select.select([requests, self.probes], [], [])
            if self.probes in ready:
                self.listen()
            if requests in ready:
                chunk = os.read(requests, 65536)
                if not chunk:
                    return
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    self.answer(json.loads(line))

    def listen(self) -> None:
        while True:
            try:
                packet, (address, _) = self.probes.recvfrom(64)
            except BlockingIOError:
                return
            if packet.isdigit():
                heard = self.heard.setdefault(int(packet), {})
                heard[address] = heard.get(address, 0) + 1

    def answer(self, request: dict[str, Any]) -> None:
        began = time.monotonic_ns()
        try:
            reply: dict[str, Any] = {"ok": self.carry_out(request)}
        except (Refused, OSError) as failure:
            reply = {"error": str(failure)}
        reply |= {"id": request["id"], "took_ns": time.monotonic_ns() - began}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()

    def carry_out(self, request: dict[str, Any]) -> dict[str, Any]:
        match request:
            case {"do": "hello"}:
                return self.hello()
            case {"do": "links", "drop": drop, "lose": lose}:
                return self.links(drop, lose)
            case {"do": "probe", "to": to, "token": token, "times": times}:
                return self.probe(to, token, times)
            case {"do": "heard", "token": token}:
                return self.report(token)
            case {"do": "kill", "wipe": wipe}:
                return kill(wipe)
            case {"do": "stop"}:
                return signalled(signal.SIGSTOP, lambda pids: all(state(pid) in "Tt" for pid in pids))
            case {"do": "go"}:
                return signalled(signal.SIGCONT, lambda pids: not any(state(pid) in "Tt" for pid in pids))
        raise Refused(f"unknown request {request.get('do')!r}")

    def hello(self) -> dict[str, Any]:
        self.links([], {})
        run("iptables", "-I", "INPUT", "-j", CHAIN)
        return {"iptables": run("iptables", "--version").strip(), "python": platform.python_version()}

    def links(self, drop: list[str], lose: dict[str, float]) -> dict[str, Any]:
        rules = [f"-A {CHAIN} -s {address} -j DROP" for address in drop]
        rules += [
            f"-A {CHAIN} -s {address} -m statistic --mode random --probability {chance:.9f} -j DROP"
            for address, chance in lose.items()
        ]
        run("iptables-restore", "--noflush", given="\n".join(("*filter", f":{CHAIN} - [0:0]", *rules, "COMMIT", "")))
        return {}

    def probe(self, to: list[str], token: int, times: int) -> dict[str, Any]:
        packet = str(token).encode()
        for address in to * times:
            with contextlib.suppress(OSError):  # an unreachable peer will not have heard, which is what is asked
                self.probes.sendto(packet, (address, PROBE_PORT))
        return {}

    def report(self, token: int) -> dict[str, Any]:
        self.listen()
        self.heard = {known: who for known, who in self.heard.items() if known > token - TOKENS_KEPT}
        return {"heard": self.heard.get(token, {}), "dropped": dropped()}


def dropped() -> dict[str, int]:
    """Packets dropped since it was made by each rule that drops them all, by sender's address."""
    counts: dict[str, int] = {}
    for line in run("iptables", "-nvxL", CHAIN).splitlines():
        words = line.split()
        if len(words) > 7 and words[2] == "DROP" and "statistic" not in words:
            counts[words[7]] = counts.get(words[7], 0) + int(words[0])
    return counts


def node_processes() -> list[int]:
    """Every process of the node's container, by its number in this namespace."""
    ours = Path("/proc/self/ns/mnt").readlink()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if (entry / "ns/mnt").readlink() != ours and state(int(entry.name)) not in "ZX":
                    found.append(int(entry.name))
    return found


def state(pid: int) -> str:
    """The process's state as one letter: T stopped, Z ended and not yet collected, X gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def signalled(number: signal.Signals, holds: Callable[[list[int]], bool]) -> dict[str, Any]:
    """Send the signal to all of the node's processes until ``holds`` of them; also those that they start meanwhile."""
    give_up = time.monotonic() + SIGNAL_SECONDS
    while True:
        pids = node_processes()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        pids = node_processes()
        if holds(pids):
            return {"processes": len(pids)}
        if time.monotonic() > give_up:
            raise Refused(f"{number.name}: the node's processes {pids} did not obey in {SIGNAL_SECONDS:.0f} s")
        time.sleep(0.001)


def kill(wipe: str | None) -> dict[str, Any]:
    if wipe is not None:
        signalled(signal.SIGSTOP, lambda pids: all(state(pid) in "Tt" for pid in pids))
        for pid in node_processes():
            empty(Path(f"/proc/{pid}/root{wipe}"))
    return signalled(signal.SIGKILL, lambda pids: not pids)


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            empty(path)
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    Agent().serve()
