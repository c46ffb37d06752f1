"""Rules on packets that come into this host.

A cut is a rule on the receiver, by the sender's address, in a chain of our own that one ``iptables-restore``
replaces atomically. The observers come in from the network's gateway, whose address is no peer's.
"""

from __future__ import annotations

from typing import Any

from harness.runtimes.docker.agent.commands import run

CHAIN = "SPLITBRAIN"


def begin() -> None:
    """Make the chain, empty, and send everything that comes in through it."""
    replace([], {})
    run("iptables", "-I", "INPUT", "-j", CHAIN)


def replace(drop: list[str], lose: dict[str, float]) -> dict[str, Any]:
    """Drop every packet, or each with that chance, from these addresses, in place of all rules before."""
    rules = [f"-A {CHAIN} -s {address} -j DROP" for address in drop]
    rules += [
        f"-A {CHAIN} -s {address} -m statistic --mode random --probability {chance:.9f} -j DROP"
        for address, chance in lose.items()
    ]
    run("iptables-restore", "--noflush", given="\n".join(("*filter", f":{CHAIN} - [0:0]", *rules, "COMMIT", "")))
    return {}


def dropped() -> dict[str, int]:
    """Packets dropped since it was made by each rule that drops them all, by sender's address."""
    counts: dict[str, int] = {}
    for line in run("iptables", "-nvxL", CHAIN).splitlines():
        words = line.split()
        if len(words) > 7 and words[2] == "DROP" and "statistic" not in words:
            counts[words[7]] = counts.get(words[7], 0) + int(words[0])
    return counts
