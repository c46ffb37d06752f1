"""Rules on packets that come into this host, and the process that releases those that are to be late.

A cut is a rule on the receiver, by the sender's address, in a chain of our own that one ``iptables-restore``
replaces atomically. The observers come in from the network's gateway, whose address is no peer's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from splitbrain.runtimes.docker.agent.arrivals import Arrivals
from splitbrain.runtimes.docker.agent.commands import Refused, run
from splitbrain.runtimes.docker.agent.packets import MARK, QUEUE

CHAIN = "SPLITBRAIN"
BARE = "SPLITBRAIN-BARE"  # lets segments of TCP pass that carry nothing
PLAIN_IP_BYTES = 20
TCP_WORDS = range(5, 16)  # how long a header of TCP can be, in words of four bytes


class Links:
    """This host's rules. The releasing process is started when first needed, and ends with this one."""

    def __init__(self) -> None:
        self._releaser: subprocess.Popen[str] | None = None
        self._told = ""
        self._cut: frozenset[str] = frozenset()
        self.arrivals = Arrivals()

    def begin(self) -> None:
        """Make the chains, empty, and send everything that comes in through them."""
        self.replace({}, {}, {})
        run("iptables", "-I", "INPUT", "-j", CHAIN)

    def replace(
        self, cut: Mapping[str, str], lose: Mapping[str, float], flaws: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """What comes from these addresses is cut off, in that manner; or lost by that chance; or has those flaws.

        In place of all that was so before. Flaws are those of ``packets.Flaws``.
        """
        if self._releaser is not None and self._releaser.poll() is not None:
            self._releaser = None  # it has ended, and since then the queue has let everything pass
        if flaws and self._releaser is None:
            self._start()
        if flaws:  # before any packet is sent there
            self._tell(cut, flaws)
        chains = [f":{CHAIN} - [0:0]", f":{BARE} - [0:0]"]
        given = ["*filter", *chains, *bare_segments(), *rules(cut, lose, flaws), "COMMIT", ""]
        self.arrivals.forget(cut.keys() - self._cut)
        run("iptables-restore", "--noflush", given="\n".join(given))
        self.arrivals.expect(sorted(self._cut - cut.keys()))
        self._cut = frozenset(cut)
        if self._releaser is not None:
            self._tell(cut, flaws)
        return {}

    def released(self) -> dict[str, Any]:
        """What the releasing process has done so far, by address (``packets.Counts``); nothing if it is not there."""
        return self._again() if self._releaser is not None else {}

    def _start(self) -> None:
        module = "splitbrain.runtimes.docker.agent.packets"
        self._releaser = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def _tell(self, cut: Mapping[str, str], flaws: Mapping[str, Mapping[str, Any]]) -> Any:
        """Tell the releasing process; what it has done so far. It waits for nothing but packets that have come."""
        self._told = json.dumps({"flaws": flaws, "cut": list(cut)}) + "\n"
        return self._again()

    def _again(self) -> Any:
        assert self._releaser is not None and self._releaser.stdin and self._releaser.stdout
        try:
            self._releaser.stdin.write(self._told)
            return json.loads(self._releaser.stdout.readline())
        except (OSError, ValueError) as failure:
            raise Refused(f"the process that releases packets has ended ({self._releaser.poll()})") from failure


def rules(cut: Mapping[str, str], lose: Mapping[str, float], flaws: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The chain's rules, of which the first that fits a packet decides."""
    for address, manner in cut.items():
        yield from cut_off(f"-A {CHAIN} -s {address}", manner)
    for address, chance in lose.items():
        yield f"-A {CHAIN} -s {address} -m statistic --mode random --probability {chance:.9f} -j DROP"
    if flaws:
        yield f"-A {CHAIN} -m mark --mark {MARK:#x} -j RETURN"
    for address in flaws:
        yield f"-A {CHAIN} -s {address} -j NFQUEUE --queue-num {QUEUE} --queue-bypass"


def cut_off(from_there: str, manner: str) -> Iterator[str]:
    """What cuts one sender off; the last of its rules takes everything.

    A refusal of one's own packets must come in, where those of the other are refused: neither is refused again.
    """
    match manner:
        case "drop":
            yield f"{from_there} -j DROP"
        case "reject":
            yield f"{from_there} -p tcp --tcp-flags RST RST -j ACCEPT"
            yield f"{from_there} -p icmp -j ACCEPT"
            yield f"{from_there} -p tcp -j REJECT --reject-with tcp-reset"
            yield f"{from_there} -j REJECT --reject-with icmp-port-unreachable"
        case "payload":
            yield f"{from_there} -p tcp -j {BARE}"
            yield f"{from_there} -j DROP"
        case _:
            raise Refused(f"unknown manner of cutting {manner!r}")


def bare_segments() -> Iterator[str]:
    """A segment that carries nothing is as long as its headers, of which TCP's tells its length in words."""
    for words in TCP_WORDS:
        length = PLAIN_IP_BYTES + 4 * words
        yield f'-A {BARE} -p tcp -m length --length {length} -m u32 --u32 "0>>22&0x3C@12>>28={words}" -j ACCEPT'


def seen() -> dict[str, Any]:
    """The rules as the kernel has them: packets cut off by each address since, and what other flaws are in force.

    ``dropped`` counts what the rules took that take everything; ``flawed`` are the addresses with any other.
    """
    dropped: dict[str, int] = {}
    flawed = set()
    for line in run("iptables", "-nvxL", CHAIN).splitlines():
        words = line.split()
        if len(words) > 7 and words[2] in ("DROP", "REJECT") and "statistic" not in words:
            dropped[words[7]] = dropped.get(words[7], 0) + int(words[0])
        elif len(words) > 7 and words[2] in ("DROP", "NFQUEUE"):
            flawed.add(words[7])
    return {"dropped": dropped, "flawed": sorted(flawed)}


def forget_connections() -> dict[str, Any]:
    """Do away with every TCP connection of the host, those whose process is gone too, which would else say farewell
    for minutes. Needs a kernel that can (``INET_DIAG_DESTROY``); ``left`` says how many it could not."""
    run("ss", "--tcp", "--kill", "state", "connected")
    return {"left": len(run("ss", "--tcp", "--no-header", "state", "connected").splitlines())}
