"""Verification of links by real packets.

Pure functions from the requested state and the packets that each host received and dropped to the problems. An open
link must have carried its packet. A cut one must not, and the receiver's rule must have counted a dropped packet:
that no packet came proves nothing where none was sent. A link with flaws must have treated many packets as its flaws
say, within the limits of chance and of a busy machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import median

from splitbrain.nemesis.partitions import Cut
from splitbrain.nemesis.state import Flaws, gilbert

SIGMAS = 4.5
SOONER_MS = 1.0  # by which a packet may come too soon: times are read before sending, and after
LATER_MS = 25.0  # by which the median may be late on a busy machine


@dataclass(frozen=True, slots=True)
class Heard:
    """The report of one host's agent: the peers it heard, and the packets dropped by sender."""

    peers: frozenset[str]
    dropped: Mapping[str, int]


def problems(nodes: Sequence[str], cut: Cut, heard: Mapping[str, Heard]) -> tuple[str, ...]:
    """The differences from ``cut``, one sentence for each directed link; empty when there are none."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The fate of a number of packets over one link. Shares are from 0 to 1; times are None where nothing came.

    ``run`` is the mean length of the runs of losses; ``overtaken`` the share that came after one sent later; ``gap_ms``
    the mean time between one packet and the next.
    """

    sent: int
    lost: float
    doubled: float
    overtaken: float
    run: float
    least_ms: float | None
    median_ms: float | None
    late_ms: tuple[float, ...]
    gap_ms: float | None


def measured(sent: int, came: Sequence[tuple[int, int]]) -> Measured:
    """From the number and lateness (us) of each packet that came, in order of arrival; copies too."""
    firsts = dict(reversed(came))  # of several copies the one that came first counts
    order = sorted(firsts, key=[number for number, _ in came].index)
    highest, overtaken = -1, 0
    for number in order:
        overtaken += number < highest
        highest = max(highest, number)
    runs = [len(list(run)) for lost, run in groupby(number not in firsts for number in range(sent)) if lost]
    late = [us / 1_000 for us in firsts.values()]
    return Measured(
        sent=sent,
        lost=1 - len(firsts) / sent,
        doubled=(len(came) - len(firsts)) / len(firsts) if firsts else 0.0,
        overtaken=overtaken / len(firsts) if firsts else 0.0,
        run=sum(runs) / len(runs) if runs else 0.0,
        least_ms=min(late, default=None),
        median_ms=median(late) if late else None,
        late_ms=tuple(late),
        gap_ms=(max(late) - min(late)) / (len(late) - 1) if len(late) > 1 else None,
    )


def lost_share(flaws: Flaws) -> float:
    """The share of packets that the link should lose by all causes, except by the overflow of a narrow link."""
    kept = (1 - flaws.loss) * (1 - flaws.corruption)
    for share, _ in flaws.bursts:
        kept *= 1 - share
    return 1 - kept


def amiss(flaws: Flaws, seen: Measured, bytes_each: int) -> Iterator[str]:
    """The flaws that a link did not show as it should, a clause each, for packets of ``bytes_each``."""
    lost, arrived = lost_share(flaws), round(seen.sent * (1 - seen.lost))
    # Losses that come in runs are worth fewer draws than there are packets.
    sticky = max((1 - sum(gilbert(*burst)) for burst in flaws.bursts), default=0.0)
    spread = math.sqrt((1 + sticky) / (1 - sticky)) if sticky < 1 else math.inf
    if not flaws.ms_per_kb and abs(seen.lost - lost) > spread * _scatter(lost, seen.sent):
        yield f"should lose {lost:.0%}, and lost {seen.lost:.0%} of {seen.sent}"
    if arrived and abs(seen.doubled - flaws.duplication) > _scatter(flaws.duplication, arrived):
        yield f"should double {flaws.duplication:.0%}, and doubled {seen.doubled:.0%} of {arrived}"
    if seen.least_ms is not None and seen.least_ms < flaws.ms - SOONER_MS:
        yield f"should take at least {flaws.ms} ms more, and took {seen.least_ms:.1f} ms"
    usual = flaws.ms + flaws.jitter_ms / 2
    scatter = SIGMAS * flaws.jitter_ms / math.sqrt(12 * max(1, arrived))
    soonest, latest = usual - scatter - SOONER_MS, usual + scatter + LATER_MS
    # Many packets are sent to see runs of losses, and those queue up on a busy machine.
    steady = not flaws.ms_per_kb and not flaws.hold and not flaws.bursts
    if steady and seen.median_ms is not None and not soonest <= seen.median_ms <= latest:
        yield f"should take about {usual:.0f} ms more, and took {seen.median_ms:.1f} ms"
    if flaws.hold and not flaws.ms_per_kb and flaws.hold_ms > flaws.jitter_ms + LATER_MS:
        held = sum(late >= flaws.ms + flaws.hold_ms - SOONER_MS for late in seen.late_ms) / max(1, arrived)
        if arrived and abs(held - flaws.hold) > _scatter(flaws.hold, arrived):
            yield f"should hold {flaws.hold:.0%} back, and held {held:.0%} of {arrived}"
    each_ms = bytes_each * flaws.ms_per_kb / 1_000
    if seen.gap_ms is not None and seen.gap_ms < 0.9 * each_ms - SOONER_MS:
        yield f"should take {each_ms:.0f} ms over each packet, and took {seen.gap_ms:.1f} ms"


def unnoticed(links: Iterable[tuple[Flaws, int]], errors: int) -> str | None:
    """The problem of a receiver that counted too few wrong checksums, None if there were enough.

    ``links`` are those into it, each with the number of packets sent over it. Other packets may have been corrupted
    too.
    """
    least = 0.0
    for flaws, sent in links:
        corrupted = flaws.corruption * (1 - lost_share(replace(flaws, corruption=0.0)))
        least += sent * (corrupted - _scatter(corrupted, sent)) if not flaws.bursts and not flaws.ms_per_kb else 0.0
    if errors >= least:
        return None
    return f"should have counted at least {least:.0f} wrong checksums, and counted {errors}"


def _scatter(share: float, packets: int) -> float:
    """By how much the share seen may differ from that asked for by chance."""
    return SIGMAS * math.sqrt(share * (1 - share) / packets) + 1 / packets
