"""Making the links of a cluster what its plans ask for, and verifying it with real packets."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import mean, median
from typing import Any, TypeVar

from splitbrain.nemesis.partitions import NOTHING, Cut, Link
from splitbrain.nemesis.state import LONGEST_QUEUE_MS, Flaws, State, gilbert
from splitbrain.runtimes.docker.agent.impairments import Impairments
from splitbrain.runtimes.docker.agent.messages import (
    CutManner,
    HostState,
    Inspect,
    PortCut,
    ProbesReceived,
    ReadChecksumErrors,
    ReadFirstArrivals,
    ReadProbes,
    SendPortProbes,
    SendProbes,
    SetLinks,
)
from splitbrain.runtimes.docker.agents import AgentPool, Verification
from splitbrain.runtimes.verification import SOONER_MS, Heard, Measured, amiss, measured, problems, unnoticed
from splitbrain.units import MS

T = TypeVar("T")

VERIFY_NS = 1_000 * MS
VERIFY_AGAIN_SECONDS = 0.005
PROBE_BYTES = 40
HEADER_BYTES = 28  # of IP and UDP
GRACE_NS = 40 * MS  # in which packets that are due must have come
MOMENT_SECONDS = 0.01  # in which a packet that nothing keeps has come
TRIES = 3
CALM = Flaws()


@dataclass(frozen=True, slots=True)
class Sample:
    """How many packets are sent over a link to measure it, and how far apart."""

    times: int
    every_us: int = 0


GONE = Sample(20, 3_000)
LOSSES = Sample(200)
RUNS = Sample(300, 1_000)
FEW = Sample(4)  # a narrow link must not be filled by looking at it
MANY = Sample(100, 3_000)


class Links:
    """The links between the hosts; ``wanted`` returns the state that the plans in force ask for now."""

    def __init__(self, hands: AgentPool, wanted: Callable[[], State]) -> None:
        self._hands = hands
        self._wanted = wanted
        self._tokens = itertools.count(1)
        self._cut: Cut = NOTHING
        self._ended: dict[Link, list[int]] = {}  # when each cut of a link was ended (ns), in turn
        self._ports: set[tuple[Link, int]] = set()  # those that were ever cut

    async def make(self, wanted: State) -> None:
        """Replace all rules of all hosts, each host's at one instant."""
        cut: dict[str, dict[str, CutManner]] = {node: {} for node in self._hands.nodes}
        ports: dict[str, list[PortCut]] = {node: [] for node in self._hands.nodes}
        loss: dict[str, dict[str, float]] = {node: {} for node in self._hands.nodes}
        impaired: dict[str, dict[str, Impairments]] = {node: {} for node in self._hands.nodes}
        for sender, receiver in sorted(wanted.cut):
            cut[receiver][self._hands.addresses[sender]] = wanted.manner.get((sender, receiver), "drop")
        for ((sender, receiver), port), manner in sorted(wanted.ports.items()):
            ports[receiver].append(PortCut(address=self._hands.addresses[sender], port=port, manner=manner))
        self._ports |= wanted.ports.keys()
        for (sender, receiver), flaws in sorted(wanted.flaws.items()):
            address = self._hands.addresses[sender]
            impairments = _impairments(flaws)
            if flaws.loss or impairments is None:
                loss[receiver][address] = flaws.loss
            if impairments is not None:
                impaired[receiver][address] = impairments
        ended, self._cut = self._cut - wanted.cut, wanted.cut
        for link in ended:
            self._ended.setdefault(link, []).append(time.monotonic_ns())
        await self._hands.ask(
            {
                node: SetLinks(cut=cut[node], ports=tuple(ports[node]), loss=loss[node], impaired=impaired[node])
                for node in self._hands.nodes
            }
        )

    async def crossed(self) -> Verification:
        """When a packet of the software first arrived again over each link that was cut.

        ``ago_ms`` is how long ago the cut was ended, ``after_ms`` how long that took, None if it has not been heard.
        """
        if not self._ended:
            return Verification()
        receivers = sorted({receiver for _, receiver in self._ended})
        answers = await self._hands.ask({node: ReadFirstArrivals() for node in receivers})
        now = time.monotonic_ns()
        arrived = {node: self._named(answer.by_sender) for node, answer in answers.items()}
        crossed = [
            {
                "link": [sender, receiver],
                "ago_ms": round((now - ended) / MS, 3),
                "after_ms": None if came.after_ns is None else round(came.after_ns / MS, 3),
                "over": came.over,
            }
            for (sender, receiver), times in sorted(self._ended.items())
            for ended, came in zip(times, arrived[receiver].get(sender, ()), strict=False)
        ]
        return Verification(facts={"crossed": crossed})

    async def verify(self, about: Iterable[Link] = ()) -> Verification:
        """Verify all cuts and rules, and measure the links that a change is about."""
        seen = await self._verify_cuts() + await self._verify_ports()
        return seen + await self._verify_flaws(frozenset(about))

    async def lost(self, links: Iterable[Link]) -> tuple[str, ...]:
        """Look once, for a moment, for signs that cuts or flaws of these links have ended.

        Only what another change leaves alone meanwhile counts.
        """
        before, looked_at = self._wanted(), sorted(links)
        token = await self._probe(looked_at, Sample(1))
        await asyncio.sleep(MOMENT_SECONDS)
        receivers = sorted({receiver for _, receiver in looked_at})
        seen = await self._hands.ask({node: ReadProbes(token=token) for node in receivers})
        hosts = await self._hands.ask({node: Inspect() for node in receivers})
        after = self._wanted()
        found = [
            self._missing(link, before, seen[link[1]], hosts[link[1]])
            for link in looked_at
            if _same(link, before, after)
        ]
        return tuple(sign for sign in found if sign is not None)

    async def lost_ports(self, ports: Iterable[int]) -> tuple[str, ...]:
        """Look once, for a moment, for signs that cuts of these ports are not as wanted."""
        tokens = {port: await self._probe_port(port) for port in sorted(ports)}
        await asyncio.sleep(MOMENT_SECONDS)
        return tuple([words for port, token in tokens.items() for words in await self._wrong_ports(port, token)])

    def _missing(self, link: Link, wanted: State, seen: ProbesReceived, host: HostState) -> str | None:
        """The sign that a link is not as wanted; None if there is none."""
        sender, receiver = link
        came = self._named(seen.received).get(sender, ())
        if link in wanted.cut:
            if came:
                return f"{sender} to {receiver} should be cut, and a packet came"
            return None if sender in self._named(seen.dropped) else f"the rule that cuts {sender} to {receiver} is gone"
        flaws = wanted.flaws.get(link, CALM)
        if sender not in self._named(dict.fromkeys(seen.impaired)):
            return f"the rule for the flaws of {sender} to {receiver} is gone"
        if not host.chained:
            return f"packets to {receiver} pass by the rules for their flaws"
        if _impairments(flaws) is not None and not host.impairing:
            return f"the process that impairs packets to {receiver} has ended"
        early = [late_us for _, late_us in came if late_us / 1_000 < flaws.ms - SOONER_MS]
        return f"{sender} to {receiver} should take {flaws.ms} ms more, and a packet came sooner" if early else None

    async def _verify_cuts(self) -> Verification:
        """Send real packets until the hosts have seen all cuts and no others, or the time is over.

        A link with flaws may lose this packet too; it is measured separately.
        """
        give_up = time.monotonic_ns() + VERIFY_NS
        while True:
            token = await self._probe(self._all_links(), Sample(1))
            for _ in range(3):  # packets are on their way for a moment: their rules are asked again before new ones
                answers = await self._hands.ask({node: ReadProbes(token=token) for node in self._hands.nodes})
                wanted = self._wanted()
                wrong = problems(self._hands.nodes, wanted.cut, self._heard(answers, wanted))
                wrong += self._wrong_rules(answers, wanted)
                if not wrong:
                    return Verification()
                await asyncio.sleep(VERIFY_AGAIN_SECONDS)
            if time.monotonic_ns() >= give_up:
                return Verification(problems=wrong)

    async def _verify_ports(self) -> Verification:
        """Send real packets from the ports that were ever cut, TCP and UDP, until the hosts drop those of all cuts.

        No packet of a port that is open may be dropped, nor a rule be left for it.
        """
        give_up = time.monotonic_ns() + VERIFY_NS
        wrong: list[str] = []
        while self._ports:
            tokens = {port: await self._probe_port(port) for port in sorted({port for _, port in self._ports})}
            for _ in range(3):
                wrong = [words for port, token in tokens.items() for words in await self._wrong_ports(port, token)]
                if not wrong:
                    return Verification()
                await asyncio.sleep(VERIFY_AGAIN_SECONDS)
            if time.monotonic_ns() >= give_up:
                break
        return Verification(problems=tuple(wrong))

    async def _probe_port(self, port: int) -> int:
        token = next(self._tokens)
        to: dict[str, list[str]] = {}
        for (sender, receiver), cut in sorted(self._ports):
            if cut == port:
                to.setdefault(sender, []).append(self._hands.addresses[receiver])
        await self._hands.ask(
            {sender: SendPortProbes(to=tuple(receivers), token=token, port=port) for sender, receivers in to.items()}
        )
        return token

    async def _wrong_ports(self, port: int, token: int) -> list[str]:
        """What differs on the links of which that port was ever cut, given what came of its probes.

        Where the whole link is cut, or loses packets, only the rule is looked at.
        """
        links = sorted(link for link, cut in self._ports if cut == port)
        receivers = sorted({receiver for _, receiver in links})
        answers = await self._hands.ask({node: ReadProbes(token=token) for node in receivers})
        wanted = self._wanted()
        wrong = []
        for sender, receiver in links:
            address, answer = self._hands.addresses[sender], answers[receiver]
            rule = next((each for each in answer.ports if (each.address, each.port) == (address, port)), None)
            came, where = address in answer.received, f"port {port} of {sender} to {receiver}"
            covered = (sender, receiver) in wanted.cut or (sender, receiver) in wanted.flaws
            if ((sender, receiver), port) not in wanted.ports:
                if rule is not None:
                    wrong.append(f"{where} should be open, and has a rule")
                elif not covered and not came:
                    wrong.append(f"{where} should be open, and no packet came")
            elif came:
                wrong.append(f"{where} should be cut, and a packet came")
            elif rule is None or (not covered and not (rule.tcp and rule.udp)):
                wrong.append(f"{where} should be cut, and its rules have dropped no packet of TCP or of UDP")
        return wrong

    def _heard(self, answers: Mapping[str, ProbesReceived], wanted: State) -> dict[str, Heard]:
        flawed = wanted.flaws.keys() - wanted.cut
        return {
            node: Heard(
                peers=frozenset(self._named(answer.received))
                | {sender for sender, receiver in flawed if receiver == node},
                dropped=self._named(answer.dropped),
            )
            for node, answer in answers.items()
        }

    def _wrong_rules(self, answers: Mapping[str, ProbesReceived], wanted: State) -> tuple[str, ...]:
        """Rules for flaws that are there and should not be, or the other way round."""
        there = {
            (sender, node) for node, answer in answers.items() for sender in self._named(dict.fromkeys(answer.impaired))
        }
        return tuple(
            f"{sender} to {receiver} should have {'no' if (sender, receiver) in there else 'a'} rule for its flaws"
            for sender, receiver in sorted(there ^ wanted.flaws.keys())
        )

    async def _verify_flaws(self, about: Cut) -> Verification:
        """Measure with real packets that these links have the flaws they should have, or none.

        A link that another change affects meanwhile is left to the verification of that change, as is a cut link.
        """
        facts: dict[str, Any] = {}
        for _ in range(TRIES):
            before = self._wanted()
            looked_at = sorted(about - before.cut)
            if not looked_at:
                return Verification()
            counted = await self._checksum_errors(looked_at)
            seen = await self._measure(looked_at, before)
            errors = await self._checksum_errors(looked_at)
            after = self._wanted()
            stayed = {
                link: each
                for link, each in seen.items()
                if link not in after.cut and after.flaws.get(link, CALM) == before.flaws.get(link, CALM)
            }
            wrong = [
                f"{sender} to {receiver} {clause}"
                for (sender, receiver), each in stayed.items()
                for clause in amiss(before.flaws.get((sender, receiver), CALM), each, PROBE_BYTES + HEADER_BYTES)
            ]
            for node in errors:
                into = [(before.flaws.get(link, CALM), each.sent) for link, each in stayed.items() if link[1] == node]
                if clause := unnoticed(into, errors[node] - counted[node]):
                    wrong.append(f"{node} {clause}")
            facts = _figures(list(stayed.values()), before)
            facts |= {f"checksum_errors_{node}": count for node, count in errors.items() if count}
            if not wrong:
                return Verification(facts=facts)
        return Verification(problems=tuple(wrong), facts=facts)

    async def _checksum_errors(self, links: Iterable[Link]) -> dict[str, int]:
        """How many corrupted packets, of any software, the receivers' kernels have discarded so far."""
        receivers = sorted({receiver for _, receiver in links})
        answers = await self._hands.ask({node: ReadChecksumErrors() for node in receivers})
        return {node: errors.udp + errors.tcp for node, errors in answers.items()}

    async def _measure(self, links: Iterable[Link], wanted: State) -> dict[Link, Measured]:
        """Send each link enough packets to measure it, and wait for as long as they may take."""
        by_sample: dict[Sample, list[Link]] = {}
        for link in links:
            by_sample.setdefault(_sample(wanted.flaws.get(link, CALM)), []).append(link)

        async def one(sample: Sample, chosen: list[Link]) -> dict[Link, Measured]:
            token = await self._probe(chosen, sample)
            longest = max(_longest_ms(wanted.flaws.get(link, CALM)) for link in chosen)
            give_up = time.monotonic_ns() + longest * MS + GRACE_NS
            while True:
                receivers = {receiver for _, receiver in chosen}
                over = time.monotonic_ns() >= give_up
                answers = await self._hands.ask({node: ReadProbes(token=token) for node in sorted(receivers)})
                heard = {node: self._named(answer.received) for node, answer in answers.items()}
                seen = {
                    (sender, receiver): measured(sample.times, heard[receiver].get(sender, ()))
                    for sender, receiver in chosen
                }
                if over or (all(not each.lost for each in seen.values()) and not _doubles(chosen, wanted)):
                    return seen
                await asyncio.sleep(VERIFY_AGAIN_SECONDS)

        parts = await asyncio.gather(*(one(sample, chosen) for sample, chosen in by_sample.items()))
        return {link: each for part in parts for link, each in part.items()}

    async def _probe(self, links: Iterable[Link], sample: Sample) -> int:
        token = next(self._tokens)
        to: dict[str, list[str]] = {}
        for sender, receiver in links:
            to.setdefault(sender, []).append(self._hands.addresses[receiver])
        await self._hands.ask(
            {
                sender: SendProbes(
                    to=tuple(addresses), token=token, times=sample.times, every_us=sample.every_us, size=PROBE_BYTES
                )
                for sender, addresses in to.items()
            }
        )
        return token

    def _all_links(self) -> list[Link]:
        return list(itertools.permutations(self._hands.nodes, 2))

    def _named(self, by_address: Mapping[str, T]) -> dict[str, T]:
        names = {address: node for node, address in self._hands.addresses.items()}
        return {names[address]: told for address, told in by_address.items() if address in names}


def _same(link: Link, before: State, after: State) -> bool:
    """True if both states ask the same of a link."""
    return (link in before.cut) == (link in after.cut) and before.flaws.get(link) == after.flaws.get(link)


def _impairments(flaws: Flaws) -> Impairments | None:
    """The impairments to apply in the packet queue; None if a rule is enough."""
    impairments = Impairments(
        ms=flaws.ms,
        jitter_ms=flaws.jitter_ms,
        hold=flaws.hold,
        hold_ms=flaws.hold_ms,
        corruption=flaws.corruption,
        duplication=flaws.duplication,
        ms_per_kb=flaws.ms_per_kb,
        longest_ms=LONGEST_QUEUE_MS,
        bursts=tuple(gilbert(share, burst) for share, burst in flaws.bursts),
    )
    return None if impairments == Impairments(longest_ms=LONGEST_QUEUE_MS) else impairments


def _sample(flaws: Flaws) -> Sample:
    if flaws == CALM:
        return GONE
    if flaws.ms_per_kb:
        return FEW
    if flaws.bursts:
        return RUNS
    return LOSSES if _impairments(flaws) is None else MANY


def _longest_ms(flaws: Flaws) -> int:
    """How long a packet may take."""
    return flaws.ms + flaws.jitter_ms + flaws.hold_ms + (LONGEST_QUEUE_MS if flaws.ms_per_kb else 0)


def _doubles(links: Iterable[Link], wanted: State) -> bool:
    """Whether copies may be on their way when all packets have come."""
    return any(wanted.flaws.get(link, CALM).duplication for link in links)


def _figures(seen: list[Measured], wanted: State) -> dict[str, Any]:
    """What the links did, all together: shares, ms, and the mean length of a run of losses."""
    if not seen:
        return {}
    late = sorted(ms for each in seen for ms in each.late_ms)
    runs = [each.run for each in seen if each.run] if any(flaws.bursts for flaws in wanted.flaws.values()) else []
    gaps = [each.gap_ms for each in seen if each.gap_ms is not None and each.sent == FEW.times]
    doubled, overtaken = mean(each.doubled for each in seen), mean(each.overtaken for each in seen)
    figures = {
        "loss_seen": round(mean(each.lost for each in seen), 4),
        "doubled_seen": round(doubled, 4) if doubled else None,
        "overtaken_seen": round(overtaken, 4) if overtaken else None,
        "late_ms": round(median(late), 3) if late else None,
        "late_ms_p99": round(late[int(0.99 * len(late))], 3) if late else None,
        "run_seen": round(mean(runs), 2) if runs else None,
        "gap_ms": round(median(gaps), 3) if gaps else None,
    }
    return {name: figure for name, figure in figures.items() if figure is not None}
