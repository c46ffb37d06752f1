"""Node classes of users: lookup, declarations and promises, and errors that name the class."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from splitbrain import cli
from splitbrain.checkers.judge import ALL_PROMISED
from splitbrain.core.promises import promises_of
from splitbrain.errors import UsageError
from splitbrain.names import NODE_FAULT_CLASSES
from splitbrain.nodes.protocol import (
    CancelTimer,
    Effect,
    Event,
    Persist,
    Received,
    Send,
    SetTimer,
    Started,
    Status,
    TimerFired,
)
from splitbrain.nodes.systems.raft import RAFT_SYSTEM
from splitbrain.user_systems.lookup import find_system
from splitbrain.user_systems.node_class import NodeFailure, name_of, system_of


def quiet(**changes: Any) -> Status:
    """The status of a follower in term 0, with these fields changed."""
    usual = {"role": "follower", "leading": False, "leader": None, "term": 0, "reign": None}
    return Status(**{**usual, **changes})


QUIET = quiet()


class Calm:
    """Does nothing, in term 0.

    And says no more.
    """

    def __init__(
        self, id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Any] | None = None
    ) -> None:
        self.id = id

    def handle(self, event: Event) -> list[Effect]:
        return []

    def status(self, at: int) -> Status:
        return QUIET


class Termless(Calm):
    def status(self, at: int) -> Status:
        return quiet(term=None)


class Doing(Calm):
    """Returns the given effects once its timer has fired."""

    does: Any = ()

    def handle(self, event: Event) -> list[Effect]:
        if not isinstance(event, TimerFired):
            return []
        done: list[Effect] = self.does() if callable(self.does) else self.does
        return done


class Saying(Calm):
    """Reports the given status after a while."""

    says: Any = None

    def __init__(self, id: str, peers: Sequence[str], rng: Random, boot: str, state: Any = None) -> None:
        self.boot = boot

    def status(self, at: int) -> Status:
        said: Status = QUIET if self.boot == "trial" else self.says
        return said


def started(target: object) -> Any:
    """A guarded node of that system, at work for 2 s."""
    node = system_of(target, name_of(target)).make_node("n1", ("n2", "n3"), Random(7), "b1")
    assert node.handle(Started(5_000_000_000)) == []
    return node


def module(folder: Path, name: str, source: str) -> None:
    (folder / f"{name}.py").write_text(source)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory that is not on the path, as for a command that is installed elsewhere."""
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Finding it


def test_a_class_written_for_the_packages_of_0_1_is_given_their_new_name(here: Path) -> None:
    module(here, "written_for_0_1", "raise ModuleNotFoundError(\"No module named 'nodes'\", name='nodes.protocol')\n")
    with pytest.raises(UsageError, match=r"No module named 'nodes'.*; splitbrain\.nodes is its name since 0\.2"):
        find_system("written_for_0_1:Node")


def test_a_class_in_the_current_directory_is_found_by_its_name(here: Path) -> None:
    module(here, "found_here", "from splitbrain.tests.test_node_class import Calm\n\nclass Outer:\n    Inner = Calm\n")
    system = find_system("found_here:Outer.Inner")
    assert system.name == "found_here:Outer.Inner"
    assert system.help == "Does nothing, in term 0."
    assert system.make_node("n1", (), Random(0), "b").status(0) == QUIET


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("raft:", "raft:: expected package.module:Name"),
        ("a:b:c", "expected package.module:Name"),
        ("nowhere_at_all:Node", "there is no module 'nowhere_at_all', neither installed nor in"),
        ("nowhere.at.all:Node", "there is no module 'nowhere'"),
        (
            "splitbrain.tests.test_node_class:Clam",
            "there is no 'Clam' in splitbrain.tests.test_node_class; did you mean Calm",
        ),
        ("splitbrain.tests.test_node_class:Calm.inner", "there is no 'inner' in Calm"),
        (
            "splitbrain.tests.test_node_class:QUIET",
            "expected a class, a function that makes nodes, or a System, got Status(",
        ),
        (
            "splitbrain.user_systems.node_class:name_of",
            "is called as (id, peers, rng, boot, state), and it takes (target: 'object')",
        ),
        ("builtins:print", "which has no handle and no status: it is not a Node"),
    ],
)
def test_an_object_that_is_not_a_system_is_refused_with_the_reason(spec: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        find_system(spec)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("sick_import", "import nothing_of_that_name\n", "No module named 'nothing_of_that_name'"),
        ("sick_code", "X = 1\nY = X / 0\n", "ZeroDivisionError: division by zero ({here}/sick_code.py:2)"),
        ("sick_text", "def f(:\n", "SyntaxError: invalid syntax ({here}/sick_text.py:1)"),
        ("sick_exit", "import sys\nsys.exit(3)\n", "SystemExit: 3 ({here}/sick_exit.py:2)"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_line(here: Path, name: str, source: str, says: str) -> None:
    module(here, name, source)
    with pytest.raises(UsageError) as refused:
        find_system(f"{name}:Node")
    assert f"{name} could not be imported" in str(refused.value)
    assert says.format(here=here) in str(refused.value)


def test_an_instance_in_place_of_its_class_is_refused() -> None:
    with pytest.raises(UsageError, match="an instance: give its class"):
        system_of(Calm("n1", (), Random(0), "b"), "calm")


def test_a_node_that_fails_to_construct_or_start_is_named() -> None:
    class Unborn(Calm):
        def __init__(self, *_: object) -> None:
            raise KeyError("vote")

    class Stillborn(Calm):
        def handle(self, event: Event) -> list[Effect]:
            raise KeyError("vote")

    for target in (Unborn, Stillborn):
        with pytest.raises(NodeFailure, match=r"started(.|\n)*KeyError: 'vote' \(.*test_node_class\.py:\d+\)"):
            system_of(target, "it")


def test_a_function_or_a_system_is_accepted_as_a_class_is() -> None:
    def make(id: str, peers: Sequence[str], rng: Random, boot: str, state: Any) -> Calm:
        return Calm(id, peers, rng, boot, state)

    assert started(make).status(0) == QUIET
    own = replace(RAFT_SYSTEM, name="my-raft", stall_bound_ms=500)
    system = system_of(own, name_of(own))
    assert (system.name, system.stall_bound_ms, system.promises) == ("my-raft", 500, RAFT_SYSTEM.promises)
    assert system.make_node("n1", ("n2", "n3"), Random(0), "b").status(0).role == "follower"


# Promises


def test_every_guarantee_is_promised_unless_the_class_says_otherwise() -> None:
    system = system_of(Calm, "calm")
    lost = dict.fromkeys(ALL_PROMISED, "not-promised")
    assert system.promises == {**dict.fromkeys(NODE_FAULT_CLASSES, ALL_PROMISED), "state-loss": lost}
    assert "highest" not in system.features
    assert (system.stall_bound_ms, system.suspicion_ms, system.eligibility) == (2_100, 300, "clique")
    assert (system.elects, system.round_ms) == ("nodes", 2_100)


def test_without_terms_the_guarantees_about_terms_are_undefined() -> None:
    assert promises_of(system_of(Termless, "it"), ["leader-isolated"]) == {
        "term-safety": "undefined",
        "election-quorum": "guaranteed",
        "exclusivity": "guaranteed",
        "fencing": "undefined",
        "availability": "guaranteed",
        "convergence": "guaranteed",
        "stability": "guaranteed",
    }


def test_a_class_declares_its_promises_and_bounds() -> None:
    class Weak(Calm):
        splitbrain_promises: ClassVar = {"leader-isolated": {"exclusivity": "known-weakness"}}
        splitbrain_stall_bound_ms = 900
        splitbrain_suspicion_ms = 200
        splitbrain_eligibility = "hub"
        splitbrain_elects = "none"
        splitbrain_round_ms = 500
        splitbrain_min_nodes = 3
        splitbrain_max_nodes = 7

    system = system_of(Weak, "weak")
    nothing_weak = {**ALL_PROMISED, "election-quorum": "undefined"}
    assert system.promises["leader-isolated"] == {**nothing_weak, "exclusivity": "known-weakness"}
    assert system.promises["partition"] == nothing_weak
    assert (system.elects, system.round_ms) == ("none", 500)
    assert (system.stall_bound_ms, system.suspicion_ms, system.eligibility) == (900, 200, "hub")
    assert (system.min_nodes, system.max_nodes) == (3, 7)


@pytest.mark.parametrize(
    ("attribute", "value", "says"),
    [
        ("promises", "+++", "expected 7 of the marks + ! ? -, or promises by guarantee, got '+++'"),
        ("promises", {"leader-isolated": "++++++", "C99": "++++++"}, "expected fault classes, of all, crash,"),
        ("promises", {"leader-isolated": "yes yes"}, "promises.leader-isolated: expected 7 of the marks"),
        ("promises", {"leader-isolated": {"safety": "guaranteed"}}, "expected guarantees, of term-safety,"),
        ("promises", {"leader-isolated": {"fencing": "yes"}}, "fencing: expected one of guaranteed,"),
        ("promises", 7, "expected a preset, a table of promises, a row, or rows by fault class, got 7"),
        ("stall_bound_ms", 0.5, "expected a whole number from 1, got 0.5"),
        ("suspicion_ms", True, "expected a whole number from 1, got True"),
        ("max_nodes", 1, "expected a whole number from 2, got 1"),
        ("elects", "servers", "expected one of majority of nodes, nobody, got 'servers'"),
        ("eligibility", "any", "expected one of isolated, clique, hub, got 'any'"),
        ("terms", 1, "expected True or False, got 1"),
    ],
)
def test_an_impossible_declaration_is_refused(attribute: str, value: object, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        system_of(type("Odd", (Calm,), {f"splitbrain_{attribute}": value}), "odd")
    assert f"odd.splitbrain_{attribute}" in str(refused.value)
    assert says in str(refused.value)


# Watching it


def test_a_node_that_keeps_to_the_protocol_is_left_alone() -> None:
    effects = [Persist({"term": 1}), Send("n2", "vote", {"term": 1}), SetTimer("election", 0), CancelTimer("beat")]
    node = started(type("Fine", (Doing,), {"does": effects}))
    assert node.handle(TimerFired(5_000_000_001, "election")) is effects


def test_a_node_that_raises_is_named_with_time_event_and_line() -> None:
    def fall() -> list[Effect]:
        raise LookupError("no vote of n2")

    node = started(type("Falling", (Doing,), {"does": staticmethod(fall)}))
    with pytest.raises(NodeFailure) as failed:
        node.handle(TimerFired(7_250_000_000, "election"))
    first, *traceback, last = str(failed.value).splitlines()
    assert first.endswith(
        "Falling as n1, 2.250 s after it was started, raised on TimerFired(at=7250000000, timer='election')"
    )
    assert any('raise LookupError("no vote of n2")' in line for line in traceback)
    assert "harness/own.py" not in "".join(traceback), "only the node's own frames are of use"
    assert last.startswith("LookupError: no vote of n2 (") and "test_node_class.py:" in last
    assert failed.value.exit_status == 64


def test_an_event_of_any_size_makes_a_message_of_a_readable_size() -> None:
    class Deaf(Calm):
        def handle(self, event: Event) -> list[Effect]:
            assert not isinstance(event, Received)
            return []

    with pytest.raises(NodeFailure) as failed:
        started(Deaf).handle(Received(0, "n2", "x" * 100_000))
    assert len(str(failed.value)) < 2_000


@pytest.mark.parametrize(
    ("does", "says"),
    [
        (None, "expected a list of effects, got None"),
        ((Send("n2", "vote", 1),), "expected a list of effects, got (Send("),
        ([Send("n1", "vote", 1)], "expected messages to n2, n3 only, got Send(to='n1'"),
        (["vote"], "expected effects of splitbrain.nodes.protocol only, got 'vote'"),
        ([SetTimer("beat", 0.05)], "expected a timer's time as whole nanoseconds from 0, got SetTimer"),  # type: ignore[arg-type]
        ([SetTimer("beat", -1)], "expected a timer's time as whole nanoseconds from 0, got SetTimer"),
        ([Persist({"votes": {"n2"}})], "expected a mapping that JSON can hold as the state, got Persist"),
        ([Persist(7)], "expected a mapping that JSON can hold as the state, got Persist"),  # type: ignore[arg-type]
    ],
)
def test_an_invalid_effect_is_named(does: object, says: str) -> None:
    node = started(type("Wrong", (Doing,), {"does": does}))
    with pytest.raises(NodeFailure) as failed:
        node.handle(TimerFired(5_500_000_000, "beat"))
    assert "Wrong as n1, 0.500 s after it was started, gave on TimerFired" in str(failed.value)
    assert says in str(failed.value)


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (None, "a splitbrain.nodes.protocol.Status"),
        (quiet(leading=1), "leading True or False"),
        (quiet(leader=2), "leading True or False"),
        (quiet(reign=7), "leading True or False"),
        (quiet(vote=7), "leader, reign and vote a string or None"),
        (quiet(term=1.5), "leading True or False"),
        (quiet(term=True), "a term from 0"),
        (quiet(term=-1), "a term from 0"),
    ],
)
def test_an_invalid_status_is_named(says: object, expected: str) -> None:
    node = started(type("Odd", (Saying,), {"says": says}))
    with pytest.raises(NodeFailure) as failed:
        node.status(6_000_000_000)
    assert "1.000 s after it was started, gave a wrong status" in str(failed.value)
    assert expected in str(failed.value)


def test_a_status_that_raises_is_named() -> None:
    class Mute(Saying):
        def status(self, at: int) -> Status:
            return QUIET if self.boot == "trial" else QUIET.nothing  # type: ignore[attr-defined]

    with pytest.raises(NodeFailure, match="raised when asked for its status"):
        started(Mute).status(0)


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ("splitbrain_promisses", "it.splitbrain_promisses: expected after splitbrain_ one of promises, "),
        ("splitbrain_promisses", ", got 'promisses'; did you mean promises?"),
        ("splitbrain_quorum", ", max_nodes, got 'quorum'"),
    ],
)
def test_a_misspelt_attribute_is_refused(attribute: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        system_of(type("Mine", (Calm,), {attribute: {}}), "it")
    assert says in str(refused.value)


def test_terms_that_turn_up_later_must_have_been_declared() -> None:
    class Late(Termless):
        def __init__(self, id: str, peers: Sequence[str], rng: Random, boot: str, state: Any = None) -> None:
            self.term = None if boot == "trial" else 1

        def status(self, at: int) -> Status:
            return quiet(term=self.term)

    with pytest.raises(NodeFailure, match="declare splitbrain_terms = True"):
        started(Late).status(0)
    declared = type("Declared", (Late,), {"splitbrain_terms": True})
    assert started(declared).status(0).term == 1
    assert system_of(declared, "it").promises["leader-isolated"] == ALL_PROMISED


# At the command line


def test_a_node_class_is_refused_on_containers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["test", "splitbrain.tests.test_node_class:Calm"])
    assert ended.value.code == 64
    assert (
        "splitbrain.tests.test_node_class:Calm runs in simulation only: expected --runtime sim"
        in capsys.readouterr().err
    )


def test_a_node_that_raises_ends_the_run_with_64_and_a_stored_history(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module(
        here,
        "falls_later",
        "from splitbrain.tests.test_node_class import Calm\n\nclass Falls(Calm):\n"
        "    def status(self, at):\n        self.asked = getattr(self, 'asked', 0) + 1\n"
        "        assert self.asked < 9\n        return super().status(at)\n",
    )
    words = ("test", "falls_later:Falls", "--runtime", "sim", "--time-limit", "5", "--seed", "7")
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    said = capsys.readouterr().err
    assert ended.value.code == 64
    assert "falls_later:Falls as n" in said and "assert self.asked < 9" in said and "falls_later.py:6" in said
    (history,) = here.glob("store/falls_later.Falls-partition/*-7/history.jsonl")
    assert history.stat().st_size > 0
    assert "the history so far is kept" in said


def test_a_node_class_that_never_leads_is_invalid(here: Path) -> None:
    words = ["test", "splitbrain.tests.test_node_class:Calm", "--runtime", "sim", "--time-limit", "5", "--seed", "7"]
    done = CliRunner().invoke(cli.cli, [*words, "--nemesis", "halves", "--json"])
    assert done.exit_code == 1, done.output
    assert '"stall": {"verdict": "invalid"' in done.stdout
