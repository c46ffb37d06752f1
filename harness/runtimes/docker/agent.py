"""The nemesis' hand inside one host: started once, spoken to over its standard input and output.

Standard library only; it runs in the host container, never in the one under test. Each request is a JSON line
``{"id": 7, "do": "cut", ...}`` and gets one line back, ``{"id": 7, "ok": {...}}`` or ``{"id": 7, "error": "..."}``.
It ends when its input does. Its requests:

    hello                       the versions it runs on
    cut    drop: [address]      drop every packet from these addresses, in place of all cuts before; [] heals
    probe  to: [address], token send one real packet to each address
    heard  token                who was heard with that token, and what each rule has dropped since it was made

A cut is a rule on the receiver, by the sender's address, in a chain of our own that one ``iptables-restore``
replaces atomically. The observers come in from the network's gateway, whose address is no peer's.
"""

from __future__ import annotations

import json
import os
import platform
import select
import socket
import subprocess
import sys
import time
from typing import Any

CHAIN = "SPLITBRAIN"
PROBE_PORT = 7999


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
        self.heard: dict[int, set[str]] = {}

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
                self.heard.setdefault(int(packet), set()).add(address)

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
            case {"do": "cut", "drop": drop}:
                return self.cut(drop)
            case {"do": "probe", "to": to, "token": token}:
                return self.probe(to, token)
            case {"do": "heard", "token": token}:
                return self.report(token)
        raise Refused(f"unknown request {request.get('do')!r}")

    def hello(self) -> dict[str, Any]:
        self.cut([])
        run("iptables", "-I", "INPUT", "-j", CHAIN)
        return {"iptables": run("iptables", "--version").strip(), "python": platform.python_version()}

    def cut(self, drop: list[str]) -> dict[str, Any]:
        rules = "".join(f"-A {CHAIN} -s {address} -j DROP\n" for address in drop)
        run("iptables-restore", "--noflush", given=f"*filter\n:{CHAIN} - [0:0]\n{rules}COMMIT\n")
        return {}

    def probe(self, to: list[str], token: int) -> dict[str, Any]:
        packet = str(token).encode()
        for address in to:
            try:
                self.probes.sendto(packet, (address, PROBE_PORT))
            except OSError:
                continue  # an unreachable peer: it will not have heard, which is what is asked
        return {}

    def report(self, token: int) -> dict[str, Any]:
        self.listen()
        self.heard = {known: who for known, who in self.heard.items() if known >= token}
        return {"heard": sorted(self.heard.get(token, ())), "dropped": dropped()}


def dropped() -> dict[str, int]:
    """Packets dropped by each rule of the chain since it was made, by sender's address."""
    counts: dict[str, int] = {}
    for line in run("iptables", "-nvxL", CHAIN).splitlines():
        words = line.split()
        if len(words) > 7 and words[2] == "DROP":
            counts[words[7]] = counts.get(words[7], 0) + int(words[0])
    return counts


if __name__ == "__main__":
    Agent().serve()
