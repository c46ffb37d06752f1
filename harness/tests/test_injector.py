"""Schedules carried out in simulation: the history lines of faults, alone, overlapping and triggered by events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from splitbrain.checkers.fault import Fault as Found
from splitbrain.checkers.history import History
from splitbrain.checkers.judge import judge
from splitbrain.checkers.judgement import JudgedProperty
from splitbrain.checkers.verdict import Outcome
from splitbrain.core.experiment import Experiment
from splitbrain.core.promises import bounds_of, exercised
from splitbrain.core.simulate import history_of
from splitbrain.errors import UsageError
from splitbrain.nemesis.faults import Crash, Delay, Duplicate, Fault, Fill, Kill, Loss, Partition, Pause, Skew, Slow
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.targets import Groups, OfRole
from splitbrain.nemesis.triggers import Trigger
from splitbrain.runtimes.capabilities import CAPABILITIES, refuse_unsupported, unsupported
from splitbrain.units import MS
from splitbrain.user_systems.lookup import find_system
from splitbrain.workloads import Workload

LENGTH_MS = 8_000


def histories(*steps: Step, seed: int = 3, system: str = "raft") -> History:
    experiment = Experiment(
        system=find_system(system),
        nemesis=("replay",),
        runtime="sim",
        nodes=5,
        time_limit_s=LENGTH_MS / 1000,
        seed=seed,
        workload=Workload(observe_period_ms=50, confirm_period_ms=100, canary_period_ms=None),
    )
    return history_of(experiment, Schedule(steps=steps, length_ms=LENGTH_MS))


def step(at_ms: int, for_ms: int, fault: Fault, when: Trigger | None = None) -> Step:
    return Step(at_ms=at_ms, for_ms=for_ms, fault=fault, when=when)


def names(faults: Iterable[Found]) -> list[str]:
    return [fault.f for fault in faults]


def undoing(history: History, fault: Found) -> Found:
    """The act that undoes ``fault``."""
    (found,) = [act for act in history.faults if fault.id in act.asked.get("heals", ())]
    return found


@pytest.mark.parametrize(
    ("fault", "undone_by"),
    [
        (Partition(shape="bridge"), "heal"),
        (Kill(target="leader"), "restart"),
        (Pause(target="leader"), "resume"),
        (Loss(percent=20), "heal"),
        (Skew(target="leader", offset_ms=900), "heal"),
    ],
)
def test_every_fault_is_two_lines_and_so_is_its_heal(fault: Fault, undone_by: str) -> None:
    history = histories(step(2_000, 1_000, fault))
    hurt, undone, last = history.faults
    assert (hurt.f, undone.f, last.f) == (fault.f, undone_by, "heal")
    assert undoing(history, hurt) is undone
    assert all(act.verified for act in history.faults)
    assert undone.links == hurt.links
    assert undone.nodes == (hurt.nodes if undone_by != "heal" else ())
    assert 900 * MS < undone.begin - hurt.begin <= 1_000 * MS


def test_a_fault_is_described_before_it_is_injected() -> None:
    hurt = histories(step(2_000, 500, Kill(target="leader", state="lost"))).faults[0]
    asked = hurt.asked
    assert (asked["shape"], asked["class"], asked["state"]) == ("kill-leader", "state-loss", "lost")
    assert asked["words"] == f"the leader {hurt.nodes[0]}: killed, all state lost"


def test_steps_overlap_and_none_waits_for_another() -> None:
    history = histories(
        step(1_000, 4_000, Partition(shape="isolated-node")),
        step(1_500, 500, Kill(target="leader")),
        step(1_600, 2_000, Loss(percent=10)),
    )
    assert names(history.faults) == ["partition", "kill", "loss", "restart", "heal", "heal", "heal"]
    ends = {fault.f: undoing(history, fault).begin // MS for fault in history.faults[:3]}
    assert ends == {"kill": 2_000, "loss": 3_600, "partition": 5_000}


def test_a_storm_alternates_kills_and_restarts() -> None:
    acts = histories(step(2_000, 900, Kill(target="node", flap_ms=150))).faults
    assert names(acts) == ["kill", "restart"] * 3 + ["heal"]
    assert [act.begin // MS for act in acts[:6]] == [2_000, 2_150, 2_300, 2_450, 2_600, 2_750]


def test_the_requested_and_the_measured_loss_are_recorded() -> None:
    history = histories(step(1_000, 5_000, Loss(percent=30)), step(1_000, 5_000, Duplicate(percent=50)))
    effects = [undoing(history, fault).effect for fault in history.faults[:2]]
    for effect in effects:
        assert effect["sent"] > 1_000
        assert 0.27 < effect["lost"] / effect["sent"] < 0.33
        assert 0.45 < effect["doubled"] / (effect["sent"] - effect["lost"]) < 0.55


def test_a_fault_waits_for_a_new_leader_and_hits_it() -> None:
    won = Trigger(event="new-leader", within_ms=3_000)
    history = histories(
        step(1_500, 4_000, Partition(shape="isolated-leader")), step(1_500, 500, Pause(target="subject"), won)
    )
    cut, pause = history.faults[:2]
    assert pause.f == "pause"
    assert pause.nodes != cut.nodes
    assert (pause.asked["event"], pause.asked["subject"]) == ("new-leader", pause.nodes[0])
    assert undoing(history, pause).begin - pause.begin == 500 * MS


def test_a_fault_whose_event_does_not_come_is_skipped_with_a_reason() -> None:
    never = Trigger(event="term-change", count=2, within_ms=1_000)
    skipped, healed = histories(step(2_000, 500, Kill(target="subject"), never)).faults
    assert skipped.skipped == "no term-change number 2 came within 1000 ms"
    assert (skipped.begin // MS, skipped.nodes, healed.f) == (3_000, (), "heal")


def test_a_voter_is_isolated_as_soon_as_its_vote_is_observed() -> None:
    voted = Trigger(event="voted", within_ms=3_000)
    history = histories(
        step(1_500, 4_000, Kill(target="leader")),
        step(1_500, 1_000, Partition(shape="isolated-node"), voted),
        system="raft-basic",
    )
    kill, cut = history.faults[:2]
    (voter,) = cut.nodes
    assert (cut.asked["event"], cut.asked["subject"]) == ("voted", voter)
    assert voter not in kill.nodes
    assert 0 < cut.begin - kill.begin < 1_500 * MS
    assert cut.verified


def votes_of_the_killed(system: str, seed: int) -> JudgedProperty:
    """The findings about votes while vote requests are late and each voter is killed once its vote is observed."""
    steps = [step(500, 7_000, Delay(ms=20, jitter_ms=120))]
    for at_ms in (1_000, 3_000, 5_000):
        steps.append(step(at_ms, 1_000, Partition(shape="isolated-leader")))
        steps.append(step(at_ms, 10, Kill(target="subject"), Trigger(event="voted", within_ms=1_500)))
    history = histories(*steps, seed=seed, system=system)
    return judge(history, bounds=bounds_of(find_system(system)))["vote-safety"]


@pytest.mark.simulation
def test_only_a_voter_that_forgets_its_vote_is_caught_by_its_observed_votes() -> None:
    forgetful = [votes_of_the_killed("broken/forgets-vote", seed) for seed in range(5)]
    assert sum(found.outcome is Outcome.INVALID for found in forgetful) >= 3
    assert all("voted twice in term" in found.words for found in forgetful if found.outcome is Outcome.INVALID)
    for system in ("raft-basic", "raft", "raft-lease"):
        assert all(votes_of_the_killed(system, seed).outcome is Outcome.VALID for seed in range(5))


def test_a_fault_that_waits_for_a_vote_is_skipped_if_no_vote_is_observable() -> None:
    history = histories(
        step(1_500, 4_000, Kill(target="leader")),
        step(1_500, 500, Kill(target="subject"), Trigger(event="voted", within_ms=3_000)),
        system="bully",
    )
    assert [fault.skipped for fault in history.faults if fault.f == "kill"] == [
        None,
        "no voted number 1 came within 3000 ms",
    ]


@pytest.mark.parametrize("event", ["campaign", "vote-granted"])
def test_waiting_for_an_event_inside_a_node_has_a_limit(event: str) -> None:
    inside = Trigger(event="campaign" if event == "campaign" else "vote-granted", within_ms=1_000)
    skipped, _ = histories(step(2_000, 500, Kill(target="subject"), inside)).faults
    assert skipped.skipped == f"no {event} number 1 came within 1000 ms"


def test_a_fault_that_finds_no_leader_is_skipped() -> None:
    history = histories(step(1_000, 6_000, Kill(target="all")), step(2_000, 3_000, Pause(target="leader")))
    skipped = next(fault for fault in history.faults if fault.f == "pause")
    assert skipped.skipped == "no leader observed for 2,000 ms"


def test_a_dead_leader_is_not_a_target() -> None:
    """It was seen leading a moment ago; the fault waits for the next one."""
    history = histories(step(2_000, 3_000, Kill(target="leader")), step(2_100, 3_000, Pause(target="leader")))
    kill, pause = history.faults[:2]
    assert pause.nodes != kill.nodes
    assert pause.verified


def voters_killed(after_effects: int) -> list[int]:
    """When each voter was killed as it granted, over some seeds."""
    struck = []
    for seed in range(4):
        history = histories(
            step(1_500, 3_000, Partition(shape="isolated-leader")),
            step(
                1_500,
                500,
                Kill(target="subject", state="lost", after_effects=after_effects),
                Trigger(event="vote-granted", within_ms=3_000),
            ),
            seed=seed,
        )
        kill = next(fault for fault in history.faults if fault.f == "kill")
        assert kill.verified and kill.effect["in_effect_ms"] == 0
        struck.append(kill.begin)
    return struck


def test_a_voter_dies_at_the_instant_it_grants_its_vote() -> None:
    assert voters_killed(0) == voters_killed(3)


# Unsupported faults.


def test_an_unsupported_fault_is_refused_and_its_step_named() -> None:
    inside = Trigger(event="campaign")
    schedule = Schedule(
        steps=(
            step(0, 1, Partition(shape="halves")),
            step(1, 1, Kill(target="all", after_effects=1)),
            step(2, 1, Slow(target="all", ms=1), inside),
            step(3, 1, Slow(target="all", ms=1), inside),
        ),
        length_ms=LENGTH_MS,
    )
    assert unsupported(schedule, CAPABILITIES["sim"]) == ()
    refuse_unsupported(schedule, "sim")
    lacks = unsupported(schedule, CAPABILITIES["docker"])
    assert "kill after some effects (steps[1])" in lacks
    assert "wait for the event campaign (steps[2])" in lacks
    assert len(lacks) == len(set(lacks))
    with pytest.raises(UsageError, match=r"the runtime docker cannot do all of this schedule; it lacks: .*steps\[1\]"):
        refuse_unsupported(schedule, "docker")


def test_privileged_faults_need_permission_and_two_kinds_of_disk_are_refused() -> None:
    torn, full = step(0, 1, Crash(target="all", state="torn")), step(1, 1, Fill(target="all"))
    refuse_unsupported(Schedule(steps=(torn,), length_ms=LENGTH_MS), "docker", privileged=True)
    refuse_unsupported(Schedule(steps=(full,), length_ms=LENGTH_MS), "docker")
    refuse_unsupported(Schedule(steps=(torn,), length_ms=LENGTH_MS), "sim")
    with pytest.raises(UsageError, match=r"rerun with --allow-privileged: kill with state torn \(steps\[0\]\)"):
        refuse_unsupported(Schedule(steps=(torn,), length_ms=LENGTH_MS), "docker")
    with pytest.raises(UsageError, match="only in one each: full disk and kill with state torn"):
        refuse_unsupported(Schedule(steps=(torn, full), length_ms=LENGTH_MS), "docker", privileged=True)


def test_simultaneous_cuts_have_the_class_of_their_union() -> None:
    """A deaf leader and a mute leader are fault classes; together they are an isolated leader."""
    history = histories(
        step(1_500, 900, Partition(shape="leader-deaf")),
        step(1_600, 200, Partition(shape="leader-mute")),
    )
    deaf, mute, mute_ends, deaf_ends, _ = history.faults
    assert deaf.nodes == mute.nodes
    assert [act.combined_class for act in (deaf, mute, mute_ends, deaf_ends)] == [None, "leader-isolated", None, None]
    assert set(exercised(history.faults)) >= {
        ("partition", "leader-deaf"),
        ("partition", "leader-mute"),
        ("partition", "leader-isolated"),
    }


def test_remaining_cuts_are_classified_again_when_another_ends() -> None:
    """Of three cuts the first to go leaves two that were never in force alone."""
    history = histories(
        step(1_500, 150, Partition(shape="isolated-node", flap_ms=None)),
        step(1_510, 600, Partition(shape="leader-deaf")),
        step(1_520, 600, Partition(shape="leader-mute")),
    )
    first = next(act for act in history.faults if act.shape == "isolated-node")
    assert undoing(history, first).combined_class == "leader-isolated"


# Nested faults, and faults by name.


def test_groups_are_cut_as_written_while_all_nodes_are_killed() -> None:
    groups = Groups((("n1", "n2", "n5"), ("n3", "n4")))
    cut, kill, _, _, last = histories(
        step(2_000, 3_500, Partition(shape=groups)), step(3_000, 1_000, Kill(target="all"))
    ).faults
    assert (cut.shape, cut.verified, len(cut.links)) == ("groups", True, 12)
    assert all({"n3", "n4"} & {sender} != {"n3", "n4"} & {receiver} for sender, receiver in cut.links)
    assert (kill.nodes, kill.verified, last.f) == (("n1", "n2", "n3", "n4", "n5"), True, "heal")


def nested(fault: Fault, times: int, *, again: bool = False, seed: int = 3) -> list[Found]:
    """The same fault several times, each within the one before."""
    steps = [replace(step(1_500 + 300 * at, 5_000 - 600 * at, fault), again=again) for at in range(times)]
    return [found for found in histories(*steps, seed=seed).faults if found.f == fault.f]


@pytest.mark.parametrize("fault", [Partition(shape="isolated-node"), Kill(target="node"), Pause(target="follower")])
def test_nested_faults_pick_other_nodes_each_time(fault: Fault) -> None:
    for seed in range(4):
        picked = [found.nodes for found in nested(fault, 3, seed=seed)]
        assert len(set(picked)) == 3, picked


def test_a_nested_fault_picks_the_same_node_only_if_asked_to() -> None:
    picked = [{found.nodes for found in nested(Kill(target="node"), 3, again=True, seed=seed)} for seed in range(4)]
    assert any(len(nodes) < 3 for nodes in picked)


def test_a_fault_that_flaps_holds_its_node_between_its_turns() -> None:
    for seed in range(4):
        outer, inner = Kill(target="node", flap_ms=400), Kill(target="node")
        acts = histories(step(1_500, 3_000, outer), step(2_000, 100, inner), seed=seed).faults
        assert len({act.nodes for act in acts if act.f == "kill"}) == 2


def test_a_nested_fault_for_which_no_node_is_left_is_skipped() -> None:
    _, skipped, *_ = histories(step(1_000, 5_000, Kill(target="all")), step(2_000, 500, Kill(target="node"))).faults
    assert skipped.skipped == "no node that is not faulty in the same way already observed for 2,000 ms"


def test_nodes_fall_by_turns_in_a_rolling_restart() -> None:
    steps = [step(1_000 + 1_000 * at, 300, Kill(target="next-to-fall")) for at in range(6)]
    kills = [found for found in histories(*steps).faults if found.f == "kill"]
    assert [kill.nodes for kill in kills] == [(node,) for node in ("n1", "n2", "n3", "n4", "n5", "n1")]


def test_the_last_to_lead_is_the_leader_before_the_present_one() -> None:
    cut, pause = histories(
        step(1_500, 5_000, Partition(shape="isolated-leader")), step(4_000, 500, Pause(target="last-to-lead"))
    ).faults[:2]
    assert pause.nodes == cut.nodes


def test_a_node_is_killed_on_either_side_of_a_cut() -> None:
    cut, *others = histories(
        step(1_500, 5_000, Partition(shape="minority-leader")),
        step(4_000, 500, Kill(target="leader-side")),
        step(5_000, 500, Kill(target="outside-majority")),
    ).faults
    near, far = [found for found in others if found.f == "kill"]
    assert not set(near.nodes) & set(cut.nodes), "the majority has a leader of its own by now"
    assert set(far.nodes) <= set(cut.nodes)


def test_a_candidate_is_cut_off_as_it_campaigns() -> None:
    kill, cut = histories(
        step(1_500, 3_000, Kill(target="leader")),
        step(1_500, 1_000, Partition(shape=OfRole("candidate")), Trigger(event="campaign", within_ms=3_000)),
    ).faults[:2]
    assert (cut.nodes, cut.shape) == ((cut.asked["subject"],), "isolated-candidate")
    assert cut.nodes != kill.nodes


def test_the_same_cut_twice_has_the_same_class() -> None:
    history = histories(*(step(1_500 + ms, 600, Partition(shape="isolated-leader")) for ms in (0, 20)))
    assert [act.combined_class for act in history.faults] == [None] * 5
