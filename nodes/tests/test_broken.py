"""Planted bugs are what they say: one mistake each, on a correct system, that shows where it is looked for.

The storms of faults and the promises are those that the correct systems are held to; nothing here is shared with the
simulation in which the bugs are hunted.
"""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from splitbrain.names import MS
from splitbrain.nodes import broken as package
from splitbrain.nodes.broken import BROKEN, Broken
from splitbrain.nodes.broken.compares_terms_as_text import Text
from splitbrain.nodes.raft import Raft, RaftOptions
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.tests.cluster import SECOND, Cluster, factory_of
from splitbrain.nodes.tests.promises import SAFETY, broken
from splitbrain.nodes.tests.test_raft_safety import storm

MODULES = sorted(
    path.stem for path in Path(str(package.__file__)).parent.glob("*.py") if path.stem not in ("__init__", "base")
)
BUGS = tuple(BROKEN.values())
NAMES = [bug.name for bug in BUGS]
RAFTS = [bug for bug in BUGS if isinstance(bug.of.options, RaftOptions)]
ALONE = [bug for bug in BUGS if not bug.of.servers]
# Of these two it is the mistake itself, seen below.
ELECT_NOBODY = ("same-timeouts", "overlooks-its-own-token")


def machine(bug: Broken) -> type[Raft]:
    factory = bug.system.factory
    assert isinstance(factory, type) and issubclass(factory, Raft)
    return factory


def shown(bug: Broken, seeds: int) -> set[str]:
    """The promises of a trace that some storm of faults breaks."""
    return {
        words.split(":")[0] for seed in range(seeds) for words in broken(storm(bug.system.options, machine(bug), seed))
    }


@pytest.mark.parametrize("module", MODULES)
def test_a_file_holds_one_bug_under_its_own_name_and_says_what_catches_it(module: str) -> None:
    bug = importlib.import_module(f"splitbrain.nodes.broken.{module}").BUG
    assert BROKEN[f"broken/{module.replace('_', '-')}"] is bug
    text = importlib.import_module(f"splitbrain.nodes.broken.{module}").__doc__ or ""
    assert bug.harmless is not None or "Caught" in text
    assert bug.trigger and bug.mistake and bug.catches


def test_every_bug_has_a_file() -> None:
    assert [name.replace("-", "_") for name in BROKEN] == [f"broken/{module}" for module in MODULES]


def test_a_node_with_a_bug_reads_that_bug_and_no_other() -> None:
    """Reading all would delay every restart of such a node."""
    asked = "import sys; from splitbrain.nodes.broken import BROKEN; BROKEN['broken/forgets-vote']; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True).stdout.split()
    bugs = {name.rpartition(".")[2] for name in loaded if name.startswith("splitbrain.nodes.broken.")}
    assert bugs == {"base", "forgets_vote"}


@pytest.mark.parametrize("bug", BUGS, ids=NAMES)
def test_a_bug_changes_how_nodes_are_made_and_nothing_that_is_promised(bug: Broken) -> None:
    assert SYSTEMS[bug.of.name] is bug.of
    changed = {
        field.name
        for field in dataclasses.fields(bug.of)
        if getattr(bug.system, field.name) != getattr(bug.of, field.name)
    }
    assert {"name", "help"} <= changed
    assert changed <= {"name", "help", "factory", "options", "features"}
    assert bug.by_wall_clock != bool(changed & {"factory", "options"})


def test_without_random_timeouts_nodes_that_start_at_once_elect_no_leader() -> None:
    bug = BROKEN["broken/same-timeouts"]
    cluster = Cluster(bug.system.options, bug.nodes, seed=1)
    assert not cluster.run_until(lambda each: bool(each.leading()), 10 * SECOND)


def test_on_a_ring_where_no_node_knows_its_token_none_is_elected() -> None:
    bug = BROKEN["broken/overlooks-its-own-token"]
    cluster = Cluster(bug.system.options, bug.nodes, seed=1, machine=factory_of(bug.system))
    assert not cluster.run_until(lambda each: bool(each.leading()), 5 * SECOND)


@pytest.mark.parametrize("bug", [bug for bug in ALONE if bug.name not in ELECT_NOBODY], ids=lambda bug: bug.name)
def test_any_other_broken_cluster_elects_a_leader_all_the_same(bug: Broken) -> None:
    """A bug that none could miss would measure nothing."""
    cluster = Cluster(bug.system.options, bug.nodes, seed=1, machine=factory_of(bug.system))
    assert cluster.run_until(lambda each: bool(each.leading()), 2 * SECOND)


@pytest.mark.parametrize("bug", RAFTS, ids=lambda bug: bug.name)
def test_a_node_is_made_as_the_correct_one_is(bug: Broken) -> None:
    node = bug.system.make_node("n1", ["n2", "n3"], Random(1), "boot", {"term": 3, "voted_for": "n2"})
    status = node.status(0)
    assert (status.role, status.leading, status.term) == ("follower", False, 3)


UNSAFE = {
    "compares-terms-as-text": "terms_never_decrease",
    "counts-pre-votes": "a_majority_elected_each_leader",
    "counts-refusals": "a_majority_elected_each_leader",
    "forgets-vote": "one_vote_a_term",
    "obeys-old-leaders": "terms_never_decrease",
    "replies-first": "what_is_sent_is_durable",
    "resumes-leadership": "a_majority_elected_each_leader",
}


@pytest.mark.parametrize("name", UNSAFE)
def test_storms_of_faults_show_what_a_bug_is_said_to_break(name: str) -> None:
    assert UNSAFE[name] in {promise.__name__ for promise in SAFETY}
    assert UNSAFE[name] in shown(BROKEN[f"broken/{name}"], seeds=40)


@pytest.mark.parametrize("bug", [bug for bug in RAFTS if bug.harmless is not None], ids=lambda bug: bug.name)
def test_storms_of_faults_find_nothing_in_a_harmless_mistake(bug: Broken) -> None:
    assert shown(bug, seeds=15) == set()


def test_terms_as_text_are_in_the_order_of_their_digits() -> None:
    nine, ten = 9, 10
    assert ten < Text(nine) and Text(ten) < nine and Text(ten) < Text(nine) and Text(ten) <= nine
    assert Text(nine) > ten and nine > Text(ten) and Text(nine) >= ten
    assert Text(ten) == ten and Text(7) < 8


def test_a_lease_looked_at_rarely_is_claimed_between_two_heartbeats() -> None:
    bug = BROKEN["broken/looks-at-lease-rarely"]
    for kind, claims in ((machine(bug), True), (Raft, False)):
        cluster = Cluster(bug.system.options, 3, seed=2, machine=kind)
        assert cluster.run_until(lambda each: bool(each.leading()), 2 * SECOND)
        node = cluster.nodes[cluster.leader()]
        much_later = cluster.clock(cluster.leader()) + 1000 * MS
        assert node.status(much_later).leading is claims


@pytest.mark.parametrize("bug", BUGS, ids=NAMES)
def test_the_documentation_names_the_bug_and_what_catches_it(bug: Broken) -> None:
    text = (Path(str(package.__file__)).parents[2] / "docs" / "planted-bugs.md").read_text()
    lines = [line for line in text.splitlines() if f"`{bug.name}`" in line]
    assert lines and (bug.harmless is not None or f"`{bug.catches}`" in lines[0])
