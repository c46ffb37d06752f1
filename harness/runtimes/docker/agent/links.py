"""iptables rules for packets that come into this host, and the process that applies impairments to them.

A cut is a rule on the receiver, by the sender's address, in a separate chain that one ``iptables-restore``
replaces atomically. Observers come in from the network's gateway, which is no peer, so they are never cut off.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from splitbrain.runtimes.docker.agent.arrivals import ArrivalMonitor
from splitbrain.runtimes.docker.agent.codec import encode
from splitbrain.runtimes.docker.agent.commands import RequestFailed, run
from splitbrain.runtimes.docker.agent.impairments import Impairments, QueueSettings
from splitbrain.runtimes.docker.agent.messages import CutManner, PortCut, PortDrops
from splitbrain.runtimes.docker.agent.packets import MARK, QUEUE

CHAIN = "SPLITBRAIN"
BARE = "SPLITBRAIN-BARE"  # lets TCP segments pass that carry no data
PLAIN_IP_BYTES = 20
PROTOCOLS = {"6": "tcp", "17": "udp", "tcp": "tcp", "udp": "udp"}  # as listings of rules show them
TCP_WORDS = range(5, 16)  # possible lengths of a TCP header, in words of four bytes


class LinkRules:
    """The rules of this host. The process that applies impairments starts when first needed, and ends with the agent.

    Packets go to that process by a netfilter queue; when it has ended, the queue lets all packets pass.
    """

    def __init__(self) -> None:
        self._queueing: subprocess.Popen[bytes] | None = None
        self._cut: frozenset[str] = frozenset()
        self.arrivals = ArrivalMonitor()

    def create_chains(self) -> None:
        """Create the chains, empty, and send all incoming packets through them."""
        self.replace({}, (), {}, {})
        run("iptables", "-I", "INPUT", "-j", CHAIN)

    def replace(
        self,
        cut: Mapping[str, CutManner],
        ports: Sequence[PortCut],
        loss: Mapping[str, float],
        impaired: Mapping[str, Impairments],
    ) -> None:
        """Replace all rules: cuts, cuts of ports, probabilities of loss and impairments, by the sender's address."""
        if self._queueing is not None and self._queueing.poll() is not None:
            self._queueing = None
        if impaired and self._queueing is None:
            self._queueing = _start_queueing()
        settings = QueueSettings(impaired=impaired, cut=tuple(cut))
        if impaired:  # before any packet is sent there
            self._configure(settings)
        chains = [f":{CHAIN} - [0:0]", f":{BARE} - [0:0]"]
        given = ["*filter", *chains, *bare_segments(), *rules(cut, ports, loss, impaired), "COMMIT", ""]
        self.arrivals.forget(cut.keys() - self._cut)
        run("iptables-restore", "--noflush", given="\n".join(given))
        self.arrivals.expect(sorted(self._cut - cut.keys()))
        self._cut = frozenset(cut)
        if self._queueing is not None:
            self._configure(settings)

    @property
    def impairing(self) -> bool:
        """True while the process that applies impairments runs."""
        return self._queueing is not None and self._queueing.poll() is None

    def _configure(self, settings: QueueSettings) -> None:
        """Send the settings to the process, and wait until they are in effect. One that impairs nothing may have ended.

        Raises RequestFailed.
        """
        assert self._queueing is not None and self._queueing.stdin and self._queueing.stdout
        try:
            self._queueing.stdin.write(encode(settings))
            self._queueing.stdin.flush()
            acknowledged = self._queueing.stdout.readline()
        except OSError:
            acknowledged = b""
        if not acknowledged and settings.impaired:
            raise RequestFailed(f"the process that impairs packets has ended ({self._queueing.poll()})")


def _start_queueing() -> subprocess.Popen[bytes]:
    module = "splitbrain.runtimes.docker.agent.packets"
    return subprocess.Popen([sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def rules(
    cut: Mapping[str, CutManner],
    ports: Sequence[PortCut],
    loss: Mapping[str, float],
    impaired: Mapping[str, Impairments],
) -> Iterator[str]:
    """The rules of the chain; the first that matches a packet decides."""
    for address, manner in cut.items():
        yield from cut_rules(f"-A {CHAIN} -s {address}", manner)
    for each in ports:
        yield from port_rules(each)
    for address, probability in loss.items():
        yield f"-A {CHAIN} -s {address} -m statistic --mode random --probability {probability:.9f} -j DROP"
    if impaired:
        yield f"-A {CHAIN} -m mark --mark {MARK:#x} -j RETURN"
    for address in impaired:
        yield f"-A {CHAIN} -s {address} -j NFQUEUE --queue-num {QUEUE} --queue-bypass"


def cut_rules(from_sender: str, manner: CutManner) -> Iterator[str]:
    """The rules that cut off one sender; the last of them matches all its packets.

    Where both directions refuse packets, the refusals themselves (RST, ICMP) must come in, or they would be refused.
    """
    match manner:
        case "drop":
            yield f"{from_sender} -j DROP"
        case "reject":
            yield f"{from_sender} -p tcp --tcp-flags RST RST -j ACCEPT"
            yield f"{from_sender} -p icmp -j ACCEPT"
            yield f"{from_sender} -p tcp -j REJECT --reject-with tcp-reset"
            yield f"{from_sender} -j REJECT --reject-with icmp-port-unreachable"
        case "payload":
            yield f"{from_sender} -p tcp -j {BARE}"
            yield f"{from_sender} -j DROP"
        case _:
            assert_never(manner)


def port_rules(cut: PortCut) -> Iterator[str]:
    """The rules that cut off one port of a sender, as the packets' source or destination."""
    tcp, udp = (
        f"-A {CHAIN} -s {cut.address} -p {protocol} -m multiport --ports {cut.port}" for protocol in ("tcp", "udp")
    )
    match cut.manner:
        case "drop":
            yield f"{tcp} -j DROP"
            yield f"{udp} -j DROP"
        case "reject":
            yield f"{tcp} --tcp-flags RST RST -j ACCEPT"
            yield f"{tcp} -j REJECT --reject-with tcp-reset"
            yield f"{udp} -j REJECT --reject-with icmp-port-unreachable"
        case "payload":
            yield f"{tcp} -j {BARE}"
            yield f"{tcp} -j DROP"
            yield f"{udp} -j DROP"
        case _:
            assert_never(cut.manner)


def bare_segments() -> Iterator[str]:
    """Rules that accept TCP segments without data: packets as long as their headers, by the TCP header's length."""
    for words in TCP_WORDS:
        length = PLAIN_IP_BYTES + 4 * words
        yield f'-A {BARE} -p tcp -m length --length {length} -m u32 --u32 "0>>22&0x3C@12>>28={words}" -j ACCEPT'


@dataclass(slots=True)
class RulesInForce:
    """By address: packets dropped by cuts so far, those by cuts of ports and protocol, and any other rule."""

    dropped: dict[str, int] = field(default_factory=dict)
    by_port: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)
    impaired: set[str] = field(default_factory=set)

    @property
    def ports(self) -> tuple[PortDrops, ...]:
        return tuple(
            PortDrops(address=address, port=port, tcp=counts.get("tcp", 0), udp=counts.get("udp", 0))
            for (address, port), counts in sorted(self.by_port.items())
        )


def rules_in_force() -> RulesInForce:
    """Read the rules from the kernel."""
    return parsed(run("iptables", "-nvxL", CHAIN))


def parsed(listing: str) -> RulesInForce:
    """Parse a listing of the chain's rules."""
    found = RulesInForce()
    for line in listing.splitlines():
        words = line.split()
        if len(words) <= 7 or words[2] not in ("DROP", "REJECT", "NFQUEUE"):
            continue
        address = words[7]
        if "multiport" in words:
            counts = found.by_port.setdefault((address, int(words[words.index("ports") + 1])), {})
            counts[PROTOCOLS[words[3]]] = int(words[0])
        elif words[2] == "NFQUEUE" or "statistic" in words:
            found.impaired.add(address)
        else:
            found.dropped[address] = found.dropped.get(address, 0) + int(words[0])
    return found


def chained() -> bool:
    """True if all incoming packets go through our chain, before any other rule."""
    first = next((line for line in run("iptables", "-S", "INPUT").splitlines() if line.startswith("-A")), "")
    return first == f"-A INPUT -j {CHAIN}"


def destroy_connections() -> int:
    """Destroy all TCP connections of the host without a farewell, and return how many could not be destroyed.

    Those of processes that are gone are included, as they would send FINs for minutes. Needs a kernel with
    ``INET_DIAG_DESTROY``.
    """
    run("ss", "--tcp", "--kill", "state", "connected")
    return len(run("ss", "--tcp", "--no-header", "state", "connected").splitlines())
