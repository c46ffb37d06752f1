"""Whether a cut is what it claims to be, judged by real packets in every direction between every two hosts.

Pure: what was asked, what each host heard and what its rules dropped go in; what is wrong comes out. An open
link must have carried its packet. A cut one must not, and the receiver's rule must have counted a packet that it
dropped: that no packet came proves nothing where none was sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nemesis.partitions import Cut


@dataclass(frozen=True, slots=True)
class Heard:
    """What one host's agent reports: the peers it heard, and the packets dropped by sender."""

    peers: frozenset[str]
    dropped: Mapping[str, int]


def problems(nodes: Sequence[str], cut: Cut, heard: Mapping[str, Heard]) -> tuple[str, ...]:
    """What differs from ``cut``, one sentence a directed link; empty when it is as asked."""
    found = []
    for receiver in nodes:
        report = heard[receiver]
        for sender in nodes:
            if sender == receiver:
                continue
            if (sender, receiver) not in cut:
                if sender not in report.peers:
                    found.append(f"{sender} to {receiver} should be open, and no packet came")
                if sender in report.dropped:
                    found.append(f"{sender} to {receiver} should be open, and a rule drops it")
            elif sender in report.peers:
                found.append(f"{sender} to {receiver} should be cut, and a packet came")
            elif report.dropped.get(sender, 0) == 0:
                found.append(f"{sender} to {receiver} should be cut, and its rule has dropped nothing")
    return tuple(found)
