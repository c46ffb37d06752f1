"""The leadership as observed so far: the latest claim of every node, and the changes that were seen.

The nemesis aims by it, the observers ask again because of it, and the recovery phase waits for it. It decides no
verdict: that is left to the checkers, which have only the history.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.nemesis.targets import View
from splitbrain.nemesis.triggers import Event
from splitbrain.workloads.clients import Claim


class LeaderView:
    """The last claim of each node, and every change that was seen. Times are ns on the cluster's clock."""

    def __init__(self, nodes: Sequence[str], fresh_ns: int) -> None:
        self.nodes = tuple(nodes)
        self.claims: dict[str, Claim] = {}
        self.events: list[tuple[Event, str]] = []
        self.confirmed = False
        self._leading: set[str] = set()  # by their last claims
        self._newest_term: int | None = None
        self._name_each_other = False
        self._fresh_ns = fresh_ns

    def saw(self, node: str, claim: Claim) -> bool:
        """Take in a claim; True if it shows a leadership of ``node`` that was not known before."""
        before = self.claims.get(node)
        self.claims[node] = claim
        if claim.leader not in (None, node):
            self._name_each_other = True
        if claim.leading:
            self._leading.add(node)
        else:
            self._leading.discard(node)
        if claim.term is not None and (self._newest_term is None or claim.term > self._newest_term):
            self._newest_term = claim.term
            self.events.append(("term-change", node))
        # A first answer does not say when its vote was given.
        if (
            before is not None
            and claim.vote not in (None, node)
            and (claim.term, claim.vote) != (before.term, before.vote)
        ):
            self.events.append(("voted", node))
        known = before is not None and before.leading and before.reign_or_term == claim.reign_or_term
        if claim.leading and not known:
            self.events.append(("new-leader", node))
        return claim.leading and not known

    def saw_confirmation(self) -> None:
        """Take in that a node confirmed its leadership."""
        self.confirmed = True

    @property
    def ever_led(self) -> bool:
        """True if any node was seen leading."""
        return any(event == "new-leader" for event, _ in self.events)

    def led_by_one(self, now: int, names_leader: bool) -> bool:
        """True if one node leads and all others have seen that, as far as they name the leader."""
        if names_leader:
            return self.disagreement(now) is None
        fresh = all(node in self.claims and now - self.claims[node].at <= self._fresh_ns for node in self.nodes)
        return fresh and len(self._leading) == 1

    def rivals(self, node: str) -> tuple[str, ...]:
        """The other nodes whose latest claim is to lead."""
        return tuple(other for other in self.nodes if other != node and other in self._leading)

    def claims_to_lead(self, node: str) -> bool:
        return node in self._leading

    def anyone_leads(self) -> bool:
        return bool(self._leading)

    def view(self, now: int) -> View:
        """The view that faults are aimed by: the leader of the newest term among the fresh claims, if there is one.

        A candidate is a node that voted for itself in the newest term and follows no node.
        """
        fresh = {node: claim for node, claim in self.claims.items() if now - claim.at <= self._fresh_ns}
        leaders = [_rank(node, claim) for node, claim in fresh.items() if claim.leading]
        term, _, leader = max(leaders, default=(-1, 0, None))
        candidates = [
            _rank(node, claim)
            for node, claim in fresh.items()
            if claim.vote == node and claim.leader is None and not claim.leading and claim.term == self._newest_term
        ]
        led = (node for event, node in reversed(self.events) if event == "new-leader" and node != leader)
        return View(
            nodes=self.nodes,
            leader=leader,
            term=None if term < 0 else term,
            candidate=max(candidates)[-1] if candidates else None,
            last_to_lead=next(led, None),
        )

    def disagreement(self, now: int) -> str | None:
        """The reason why the cluster does not agree on a leader now; None when it does.

        Where no node ever named another, each may know of no leader but itself, and one that leads is enough.
        """
        stale = [n for n in self.nodes if n not in self.claims or now - self.claims[n].at > self._fresh_ns]
        if stale:
            return f"no fresh answer from {', '.join(stale)}"
        claims = [claim for claim in self.claims.values() if self._name_each_other or claim.leader is not None]
        followed = {(claim.leader, claim.leader_term) for claim in claims}
        leaders = {leader for leader, _ in followed}
        if len(leaders) > 1 or len({term for _, term in followed} - {None}) > 1:
            sides = sorted(f"{leader or 'no leader'} in term {term}" for leader, term in followed)
            return f"the nodes follow {', '.join(sides)}"
        leader = next(iter(leaders), None)
        if leader is None:
            return "no node leads"
        if leader not in self.claims or not self.claims[leader].leading:
            return f"{leader} is followed but does not lead"
        return None


def _rank(node: str, claim: Claim) -> tuple[int, int, str]:
    """The order in which claims count: by term, then by time."""
    return (claim.term if claim.term is not None else -1, claim.at, node)
