"""The nemesis' hand inside one host: started once, spoken to over its standard input and output.

Standard library only; it runs in the host container, never in the one under test. Each request is a JSON line
``{"id": 7, "do": "cut", ...}`` and gets one line back, ``{"id": 7, "ok": {...}}`` or ``{"id": 7, "error": "..."}``.
It ends when its input does. Its requests, by subject:

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

Requests of one subject are carried out in their order, those of different subjects at the same time: a process that
is slow to die delays no heal of a link.
"""

from __future__ import annotations

import json
import platform
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.runtimes.docker.agent import links, processes
from harness.runtimes.docker.agent.commands import Refused, run
from harness.runtimes.docker.agent.probes import Probes

SUBJECTS = {
    "hello": "links",
    "links": "links",
    "probe": "probes",
    "heard": "probes",
    "kill": "processes",
    "stop": "processes",
    "go": "processes",
}
"""Of each request, the subject: what must not be done at the same time as another of its kind."""


class Agent:
    """State of one host's agent: what listens for probes, and a lane of work for each subject."""

    def __init__(self) -> None:
        self.probes = Probes()
        self.lanes = {subject: ThreadPoolExecutor(1, subject) for subject in set(SUBJECTS.values())}
        self.writing = threading.Lock()

    def serve(self) -> None:
        for line in sys.stdin.buffer:
            request = json.loads(line)
            self.lanes[SUBJECTS.get(request["do"], "links")].submit(self.answer, request)

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
                links.begin()
                return {"iptables": run("iptables", "--version").strip(), "python": platform.python_version()}
            case {"do": "links", "drop": drop, "lose": lose}:
                return links.replace(drop, lose)
            case {"do": "probe", "to": to, "token": token, "times": times}:
                return self.probes.send(to, token, times)
            case {"do": "heard", "token": token}:
                return {"heard": self.probes.heard(token), "dropped": links.dropped()}
            case {"do": "kill", "wipe": wipe}:
                return processes.kill(wipe)
            case {"do": "stop"}:
                return processes.stop()
            case {"do": "go"}:
                return processes.go()
        raise Refused(f"unknown request {request.get('do')!r}")


if __name__ == "__main__":
    Agent().serve()
