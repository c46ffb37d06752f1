"""The ring election that collects names: the token comes home with all of them, and the highest leads.

M. van Steen & A. S. Tanenbaum, "Distributed Systems", 3rd ed. (2017), section 6.4.2. A node that holds an election
sends a list with its name round the ring (``nodes.ring`` skips dead nodes), and each node appends its name. Back home,
the highest name in the list is the leader, and a COORDINATOR message goes round to announce it. An election among m
live nodes takes 2m messages, and 2(m+d) with d dead ones; elections begun at the same time all run to their end.

Elections that saw different members may have different results, and their announcements may reach nodes in different
orders. So results are numbered: a token carries the highest number that any of its members knows, its result gets the
next one, and a node follows no result older than the last it followed; of two equal numbers, that of the higher origin
is the later one.

Guarantee, as in ``nodes.ring``: while no message is late and no link is cut, all live nodes come to follow the highest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from splitbrain.nodes.protocol import Json
from splitbrain.nodes.ring import ELECTION, RingNode, RingOptions

COORDINATOR: Final = "coordinator"


class AppendRing(RingNode):
    """One node of a ring election that collects names."""

    RESULT = COORDINATOR

    def __init__(
        self,
        id: str,
        peers: Sequence[str],
        options: RingOptions,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(id, peers, options, rng, boot, state)
        self._latest = 0, -1  # the last result's number, and its origin's rank

    def _begin(self, at: int) -> None:
        token = {"kind": ELECTION, "election": self._new_election(), "names": [self.id], "latest": self._latest[0]}
        self._start_round(token)

    def _on_token(self, at: int, token: Mapping[str, Json]) -> None:
        names, latest = token.get("names"), token.get("latest")
        if not isinstance(names, list) or not all(map(self._is_node, names)) or not isinstance(latest, int):
            return
        if token["origin"] == self.id:
            if token.get("election") == self._election:
                self._election = None
                self._conclude(at, token["election"], max(names, key=self._places.__getitem__), latest + 1)
        elif self.id not in names:
            self._pass_on({**token, "names": [*names, self.id], "latest": max(latest, self._latest[0])})

    def _conclude(self, at: int, election: str, leader: str, number: int) -> None:
        result = {"kind": COORDINATOR, "election": election, "leader": leader, "result": number}
        self._accept(at, leader, number, self.id)
        self._start_round(result)

    def _on_result(self, at: int, result: Mapping[str, Json]) -> None:
        leader, number, origin = result.get("leader"), result.get("result"), result["origin"]
        if origin == self.id or not self._is_node(leader) or not isinstance(number, int):
            return
        self._accept(at, leader, number, origin)
        self._pass_on(result)

    def _accept(self, at: int, leader: str, number: int, origin: str) -> None:
        if not self._is_news(number, origin):
            return
        self._latest = number, self._places[origin]
        if leader == self.id:
            self._lead()
        elif self._outranks(leader, self.id):
            self._follow(at, leader)

    def _is_news(self, number: int, origin: str) -> bool:
        return (number, self._places[origin]) > self._latest
