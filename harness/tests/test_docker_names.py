"""Names on containers: which hosts are asked for what, and which lookups are wrong."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from splitbrain.nemesis.state import State
from splitbrain.runtimes.docker.agent.messages import Done, LookUp, NamesLookedUp, Request, SetNames
from splitbrain.runtimes.docker.names import Answers, Names
from splitbrain.tests.fake_agents import FakeAgents

R = TypeVar("R")
ADDRESSES = {"n1": "10.0.0.11", "n2": "10.0.0.12", "n3": "10.0.0.13"}


class Resolvers(FakeAgents):
    """Hosts that resolve names as they are asked to, or, if they are ``stubborn``, to the true addresses."""

    def __init__(self, *stubborn: str) -> None:
        super().__init__(tuple(ADDRESSES), ADDRESSES, {}, {})
        object.__setattr__(self, "_stubborn", stubborn)
        object.__setattr__(self, "asked", {})

    def reply(self, name: str, request: Request[Any]) -> Any:
        asked: dict[str, Answers] = self.asked  # type: ignore[attr-defined]
        match request:
            case SetNames(answers=answers):
                if name not in self._stubborn:  # type: ignore[attr-defined]
                    asked[name] = answers
                return Done()
            case LookUp(names=names):
                wrong = asked.get(name, {})
                return NamesLookedUp(addresses={each: wrong.get(ADDRESSES[each], ADDRESSES[each]) for each in names})
            case _:
                raise AssertionError(request)


def made(state: State, hosts: Resolvers) -> tuple[Names, State]:
    names = Names(hosts, lambda: state)
    asyncio.run(names.make())
    return names, state


def test_names_resolve_to_nothing_or_to_an_address_that_no_machine_has() -> None:
    state = State(names={("n1", "n2"): "nothing", ("n1", "n3"): "stale", ("n3", "n2"): "nothing"})
    names, _ = made(state, Resolvers())
    seen = asyncio.run(names.verify())
    assert seen.problems == ()
    assert seen.facts["names"]["n1"] == {"n1": "10.0.0.11", "n2": None, "n3": "10.0.0.250"}
    assert seen.facts["names"].keys() == {"n1", "n3"}, "n2 looks up as ever"
    state.names.clear()
    asyncio.run(names.make())
    healed = asyncio.run(names.verify())
    assert healed.problems == ()
    assert healed.facts["names"]["n1"] == ADDRESSES


def test_a_name_that_still_resolves_is_a_problem() -> None:
    names, _ = made(State(names={("n1", "n2"): "nothing"}), Resolvers("n1"))
    assert asyncio.run(names.verify()).problems == (
        "on n1 the name n2 should resolve to nothing, and resolves to 10.0.0.12",
    )


def test_an_answer_that_is_lost_later_is_found_at_one_look() -> None:
    hosts = Resolvers()
    names, _ = made(State(names={("n1", "n2"): "nothing"}), hosts)
    assert asyncio.run(names.lost()) == ()
    hosts.asked.clear()  # type: ignore[attr-defined]
    assert asyncio.run(names.lost()) == ("on n1 the name n2 should resolve to nothing, and resolves to 10.0.0.12",)


def test_nothing_is_looked_up_before_a_name_was_ever_wrong() -> None:
    names, _ = made(State(), Resolvers())
    assert asyncio.run(names.verify()) == asyncio.run(Names(Resolvers(), State).verify())
    assert asyncio.run(names.verify()).facts == {}
