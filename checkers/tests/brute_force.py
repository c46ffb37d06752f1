"""A brute-force model of cluster health: one nanosecond after another, and every set of nodes."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from hypothesis import strategies as st

from splitbrain.checkers.fault import Fault, Link
from splitbrain.checkers.history import History
from splitbrain.checkers.tests.histories import Story

NODES = ("n1", "n2", "n3")
LINKS = tuple((a, b) for a in NODES for b in NODES if a != b)
REPAIRS = {"heal": "partition", "restart": "kill", "resume": "pause"}


@st.composite
def nemesis(draw: st.DrawFn, acts: int = 6) -> Story:
    """Acts one after another: cuts, kills and pauses, and repairs of some or all of them."""
    story, time = Story(), draw(st.integers(0, 12))
    for at in range(draw(st.integers(0, acts))):
        f = draw(st.sampled_from(["partition", "delay", "kill", "pause", *REPAIRS]))
        done = time + draw(st.integers(0, 3))
        effect = draw(st.sampled_from([{}, {}, {"verified": True}, {"verified": False}, {"skipped": "no"}]))
        nodes = draw(st.lists(st.sampled_from(NODES), min_size=1, max_size=2, unique=True))
        links = draw(st.lists(st.sampled_from(LINKS), min_size=1, max_size=4, unique=True))
        value: dict[str, Any] = (
            {"links": [list(link) for link in links]} if f in ("partition", "delay") else {"nodes": nodes}
        )
        if f == "heal":
            value = draw(st.sampled_from([{}, {"links": value.get("links", [["n1", "n2"]])}, {"heals": [at - 1]}]))
        finished = done if draw(st.integers(0, 9)) else None
        story.fault(f, time, finished, id=at, effect=effect, **value)
        time = done + draw(st.integers(1, 12))
    return story.until(time + 5)


def undoes(act: Fault, fault: Fault, subject: str | Link) -> bool:
    if "heals" in act.asked:
        return fault.id in act.asked["heals"]
    if act.f == "heal":
        return fault.f in ("partition", "delay") and (not act.links or subject in act.links)
    return REPAIRS.get(act.f) == fault.f and subject in act.nodes


def possibly(history: History, fault: Fault, subject: str | Link, t: int) -> bool:
    """True if the fault may affect the subject at some instant of [t, t + 1]."""
    if fault.skipped is not None or fault.begin > t or fault.f in ("heal", "resume"):
        return False
    if fault.f == "restart":
        return fault.done is None or t < max(fault.done, fault.begin + 1)
    later = history.faults[history.faults.index(fault) + 1 :]
    return not any(
        act.done is not None and act.done <= t and undoes(act, fault, subject)
        for act in later
        if act.skipped is None and act.verified is not False
    )


def certainly(history: History, fault: Fault, subject: str | Link, t: int) -> bool:
    """True if the fault affects the subject throughout [t, t + 1]."""
    if not fault.in_effect or fault.done is None or fault.done > t:
        return False
    later = history.faults[history.faults.index(fault) + 1 :]
    return not any(undoes(act, fault, subject) and act.begin <= t for act in later if act.skipped is None)


def healthy(history: History, node: str, t: int) -> bool:
    return not any(node in fault.nodes and possibly(history, fault, node, t) for fault in history.faults)


def down(history: History, node: str, t: int) -> bool:
    return any(f.f == "kill" and node in f.nodes and certainly(history, f, node, t) for f in history.faults)


def intact(history: History, link: Link, t: int) -> bool:
    return not any(link in fault.links and possibly(history, fault, link, t) for fault in history.faults)


def cut(history: History, link: Link, t: int) -> bool:
    return any(f.f == "partition" and link in f.links and certainly(history, f, link, t) for f in history.faults)


def connected(history: History, a: str, b: str, t: int) -> bool:
    both = intact(history, (a, b), t) and intact(history, (b, a), t)
    return healthy(history, a, t) and healthy(history, b, t) and both


def fault_free(history: History, t: int) -> bool:
    return not any(
        possibly(history, fault, subject, t) for fault in history.faults for subject in fault.links or fault.nodes
    )


def majorities() -> list[tuple[str, ...]]:
    return [chosen for size in (2, 3) for chosen in combinations(NODES, size)]


def eligible(history: History, kind: str, chosen: tuple[str, ...], t: int) -> bool:
    """True if the set is eligible throughout [t, t + 1]; the first node of a set for a hub is the hub."""
    pairs = combinations(chosen, 2) if kind != "hub" else ((chosen[0], other) for other in chosen[1:])
    if not all(healthy(history, node, t) for node in chosen):
        return False
    if not all(connected(history, a, b, t) for a, b in pairs):
        return False
    if kind != "isolated":
        return True
    outside = [node for node in NODES if node not in chosen]
    return all(down(history, a, t) or cut(history, (a, b), t) for a in outside for b in chosen)


def witnesses(kind: str) -> list[tuple[str, ...]]:
    if kind != "hub":
        return majorities()
    return [(hub, *(n for n in chosen if n != hub)) for chosen in majorities() for hub in chosen]


def was_eligible(history: History, kind: str, u: int, v: int) -> bool:
    """True if one majority was eligible throughout [u, v]."""
    return any(all(eligible(history, kind, chosen, t) for t in range(u, v)) for chosen in witnesses(kind))
