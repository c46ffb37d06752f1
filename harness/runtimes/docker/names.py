"""Making names resolve to what the plans in force ask for, and verifying that they do by looking them up.

A link stands for the name of its receiver, as its sender looks it up. Lookups are made by the agent in the network
namespace of the node, in a new process, so no earlier answer is remembered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from splitbrain.nemesis.state import State
from splitbrain.runtimes.docker.agent.messages import LookUp, SetNames
from splitbrain.runtimes.docker.agents import AgentPool, Verification
from splitbrain.units import MS

VERIFY_NS = 1_000 * MS
LOOK_AGAIN_SECONDS = 0.02
STALE = "250"  # the last part of an address that no machine has: those of a run begin at 11

Answers = Mapping[str, str | None]


class Names:
    """The names of all machines as each host looks them up. ``wanted`` returns what the plans in force ask for now."""

    def __init__(self, hands: AgentPool, wanted: Callable[[], State]) -> None:
        self._hands = hands
        self._wanted = wanted
        self._asked: dict[str, Answers] = {}  # of each host whose lookups were ever wrong

    async def make(self) -> None:
        """Replace the wrong answers of the hosts where they are not as wanted."""
        answers = self._answers()
        changed = {host: each for host, each in answers.items() if each != self._asked.get(host, {})}
        self._asked.update(changed)
        await self._hands.ask(
            {
                host: SetNames(answers={self._hands.addresses[name]: address for name, address in each.items()})
                for host, each in changed.items()
            }
        )

    async def verify(self) -> Verification:
        """Look all names up on the hosts where a lookup was ever wrong, until all are as wanted or the time is over."""
        give_up = time.monotonic_ns() + VERIFY_NS
        while True:
            seen = await self._seen()
            wrong = self._wrong(seen)
            if not wrong or time.monotonic_ns() >= give_up:
                return Verification(problems=wrong, facts={"names": seen} if seen else {})
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def lost(self) -> tuple[str, ...]:
        """What is not as wanted at one look."""
        return self._wrong(await self._seen())

    async def _seen(self) -> dict[str, Answers]:
        names = tuple(self._hands.nodes)
        found = await self._hands.ask({host: LookUp(names=names) for host in self._asked})
        return {host: looked_up.addresses for host, looked_up in found.items()}

    def _wrong(self, seen: Mapping[str, Answers]) -> tuple[str, ...]:
        answers = self._answers()
        return tuple(
            f"on {host} the name {name} should resolve to {_shown(wanted)}, and resolves to {_shown(found[name])}"
            for host, found in seen.items()
            for name in self._hands.nodes
            if name != host and found[name] != (wanted := answers[host].get(name, self._hands.addresses[name]))
        )

    def _answers(self) -> dict[str, Answers]:
        """By host, the wrong address of each name that is to be wrong there."""
        answers: dict[str, dict[str, str | None]] = {host: {} for host in self._hands.nodes}
        for (host, name), answer in sorted(self._wanted().names.items()):
            answers[host][name] = None if answer == "nothing" else stale(self._hands.addresses[name])
        return dict(answers)


def stale(address: str) -> str:
    """An address in the same network that no machine has."""
    return f"{address.rpartition('.')[0]}.{STALE}"


def _shown(address: str | None) -> str:
    return "nothing" if address is None else address
