"""Measure the accuracy of injected packet delays at 1,000 packets/s: ``python -m splitbrain.bench.links``.

Two hosts without nodes exchange datagrams that carry their sending time, over one link. A process on the receiver
measures the latency, as the software under test would see it. The error of a row is its latency minus the requested
delay and minus the latency of the row ``0``, which has no delay.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import docker

from splitbrain.runtimes.docker.agent.impairments import Impairments
from splitbrain.runtimes.docker.agent.messages import Hello, ReadProbes, SendProbes, SetLinks
from splitbrain.runtimes.docker.channel import AgentChannel
from splitbrain.runtimes.docker.engine import connect, remove_runs
from splitbrain.runtimes.docker.hosts import addresses, create_host, create_network
from splitbrain.runtimes.docker.images import ImageBuilder

ASKED_MS = (0, 5, 50, 200)
PACKETS = 5_000
EVERY_US = 1_000
PROBE_BYTES = 100
WAIT_SECONDS = 0.5  # after the delay, for the last packets
NAMES = ("a", "b")


@dataclass(frozen=True, kw_only=True, slots=True)
class DelayRow:
    """Latencies in ms of the packets with one requested delay, and the number of lost packets."""

    asked_ms: int
    least: float
    p50: float
    p99: float
    most: float
    lost: int

    def error(self, baseline: DelayRow) -> tuple[float, float]:
        """Errors of median and p99 in ms: latency minus the requested delay and minus the latency without delay."""
        return self.p50 - self.asked_ms - baseline.p50, self.p99 - self.asked_ms - baseline.p99


def row(asked_ms: int, sent: int, late_us: Sequence[int]) -> DelayRow:
    """The row of these latencies, at least one."""
    ordered = sorted(late_us)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1e3

    return DelayRow(
        asked_ms=asked_ms,
        least=at(0.0),
        p50=at(0.5),
        p99=at(0.99),
        most=at(1.0),
        lost=sent - len(ordered),
    )


def table(rows: Sequence[DelayRow]) -> str:
    """The rows as a Markdown table with their errors; the first row is the one without delay."""
    lines = [
        "| asked ms | least | p50 | p99 | most | lost | error p50 | error p99 |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for each in rows:
        middle, tail = each.error(rows[0])
        errors = f"{middle:.2f} | {tail:.2f}" if each.asked_ms else "|"
        figures = " | ".join(f"{figure:.2f}" for figure in (each.least, each.p50, each.p99, each.most))
        lines.append(f"| {each.asked_ms} | {figures} | {each.lost} | {errors} |")
    return "\n".join(lines)


async def measured(
    sender: AgentChannel, receiver: AgentChannel, of: str, to: str, asked: Sequence[int]
) -> list[DelayRow]:
    """One row for each requested delay of packets from the address ``of`` to the address ``to``."""
    rows = []
    for token, ms in enumerate(asked, start=1):
        await receiver.ask(SetLinks(cut={}, ports=(), loss={}, impaired={of: Impairments(ms=ms)} if ms else {}))
        await sender.ask(SendProbes(to=(to,), token=token, times=PACKETS, every_us=EVERY_US, size=PROBE_BYTES))
        await asyncio.sleep(ms / 1e3 + WAIT_SECONDS)
        received = (await receiver.ask(ReadProbes(token=token))).received
        rows.append(row(ms, PACKETS, [late_us for _, late_us in received[of]]))
    return rows


async def bench(client: docker.DockerClient, asked: Sequence[int]) -> list[DelayRow]:
    run, loop = secrets.token_hex(4), asyncio.get_running_loop()
    images = ImageBuilder(client, print, threading.Event()).ensure(())
    channels: list[AgentChannel] = []
    try:
        network, prefix = create_network(client, run)
        by_name = addresses(prefix, NAMES)
        for name, address in by_name.items():
            host = create_host(client, run, network, name, address, images.host, (), None)
            channels.append(AgentChannel.open(client, str(host.id), name, loop))
            await channels[-1].ask(Hello())
        sender, receiver = channels
        return await measured(sender, receiver, by_name["a"], by_name["b"], asked)
    finally:
        for channel in channels:
            channel.close()
        remove_runs(client, run)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the accuracy of injected packet delays between two hosts.")
    parser.add_argument("asked_ms", nargs="*", type=int, default=ASKED_MS[1:])
    asked = (0, *(ms for ms in parser.parse_args().asked_ms if ms))
    before = os.getloadavg()[0]
    rows = asyncio.run(bench(connect(), asked))
    print(table(rows))
    print(
        f"{PACKETS} packets per row, one every {EVERY_US} us; load {before:.2f} before, {os.getloadavg()[0]:.2f} after"
    )


if __name__ == "__main__":
    main()
