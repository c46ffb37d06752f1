"""Simulated hosts: order of effects, crashes, pauses, slowness and clocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from splitbrain.errors import UsageError
from splitbrain.nodes.clients.base import Fail, Ok, Unknown
from splitbrain.nodes.protocol import (
    Answer,
    CancelTimer,
    ConfirmAsked,
    Effect,
    Event,
    Persist,
    Received,
    Send,
    SetTimer,
    TimerFired,
)
from splitbrain.runtimes.base import Incident
from splitbrain.runtimes.sim.cluster import SimCluster
from splitbrain.runtimes.sim.disk import Durable
from splitbrain.runtimes.sim.hosts import WAITING_MAX, Host
from splitbrain.runtimes.sim.instruments import Instrument, Instruments, describe
from splitbrain.runtimes.sim.network import Constant
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS, Simulation
from splitbrain.tests.sim_nodes import PROMPT, Recorded, node, observe, simulation
from splitbrain.units import MS

DISK_NS = 2 * MS  # that of the simulations here
LINK_NS = 1 * MS


def send(of: Simulation, *messages: Any) -> None:
    """Have n1 send these to n2."""
    for message in messages:
        of.network.links["n1"]["n2"].send(message)


def pass_time(of: Simulation, ns: int) -> None:
    of.run_until(of.now + ns)


def fired(of: Simulation, name: str) -> list[str]:
    return [event.timer for event in node(of, name).events if isinstance(event, TimerFired)]


# Effects


def test_a_message_waits_for_the_disk_that_stands_before_it() -> None:
    sim = simulation()
    node(sim, "n2").script["go"] = [Send("n1", "", "before"), Persist({"vote": 1}), Send("n1", "", "after")]
    send(sim, "go")
    pass_time(sim, LINK_NS + LINK_NS)
    assert node(sim, "n1").messages() == ["before"]
    pass_time(sim, DISK_NS)
    assert node(sim, "n1").messages() == ["before", "after"]


def test_while_the_disk_works_the_node_takes_nothing_in_and_then_everything_in_order() -> None:
    sim = simulation()
    send(sim, "count", "a", "b")
    pass_time(sim, LINK_NS + DISK_NS - 1)
    assert node(sim, "n2").messages() == ["count"]
    pass_time(sim, 1)
    assert node(sim, "n2").messages() == ["count", "a", "b"]


def test_a_timer_fires_once_after_its_time_unless_it_was_cancelled_or_set_again() -> None:
    sim = simulation()
    node(sim, "n2").script = {
        "set": [SetTimer("kept", 5 * MS), SetTimer("gone", 5 * MS), SetTimer("moved", 5 * MS)],
        "change": [CancelTimer("gone"), CancelTimer("never set"), SetTimer("moved", 9 * MS)],
    }
    send(sim, "set", "change")
    pass_time(sim, LINK_NS + 5 * MS)
    assert fired(sim, "n2") == ["kept"]
    pass_time(sim, 20 * MS)
    assert fired(sim, "n2") == ["kept", "moved"]


def test_a_confirmation_is_answered_with_the_answer_to_its_own_request() -> None:
    sim = simulation()
    reply = sim.kernel.run(SimCluster(sim).confirm("n2", 100 * MS))
    assert reply == Fail("not leading")


def test_a_confirmation_that_is_never_answered_is_unknown_at_its_time_out() -> None:
    sim = simulation()
    node(sim, "n2").script["ConfirmAsked"] = []
    began = sim.now
    reply = sim.kernel.run(SimCluster(sim).confirm("n2", 100 * MS))
    assert (reply, sim.now - began) == (Unknown("no answer in time"), 100 * MS)


def test_an_answer_without_a_pending_request_is_dropped() -> None:
    sim = simulation()
    node(sim, "n2").script["go"] = [Answer(99, 1, None, None)]
    send(sim, "go")
    pass_time(sim, 5 * MS)
    assert node(sim, "n2").messages() == ["go"]


# Crashes


def test_a_killed_node_keeps_only_durable_state_and_boots_under_another_id() -> None:
    sim = simulation()
    send(sim, "count", "count")
    pass_time(sim, 20 * MS)
    before = node(sim, "n2")
    sim.hosts["n2"].kill()
    assert isinstance(observe(sim, "n2"), Fail)
    sim.hosts["n2"].start()
    after = node(sim, "n2")
    assert after is not before
    assert after.state == {"kept": 2}
    assert after.boot != before.boot
    assert isinstance(observe(sim, "n2"), Ok)


def test_a_node_that_is_down_hears_nothing_and_its_timers_are_gone() -> None:
    sim = simulation()
    node(sim, "n2").script["set"] = [SetTimer("t", 5 * MS)]
    send(sim, "set")
    pass_time(sim, 3 * MS)
    sim.hosts["n2"].kill()
    send(sim, "lost")
    pass_time(sim, 2 * MS)
    sim.hosts["n2"].start()
    pass_time(sim, 20 * MS)
    assert (node(sim, "n2").messages(), fired(sim, "n2")) == ([], [])


@pytest.mark.parametrize(("durable", "found"), [("kept", {"kept": 2}), ("torn", {"kept": 1}), ("lost", None)])
def test_a_crash_during_a_write_leaves_the_new_the_old_or_no_state(durable: Durable, found: Any) -> None:
    sim = simulation()
    send(sim, "count")
    pass_time(sim, 10 * MS)
    send(sim, "count")
    pass_time(sim, LINK_NS + DISK_NS // 2)
    sim.hosts["n2"].kill(durable)
    pass_time(sim, 10 * MS)
    sim.hosts["n2"].start()
    assert node(sim, "n2").state == found


def test_a_disk_that_is_rolled_back_has_the_state_of_its_copy() -> None:
    sim = simulation()
    for _ in range(3):
        send(sim, "count")
        pass_time(sim, 10 * MS)
        if sim.hosts["n2"].disk.copy is None:
            sim.hosts["n2"].disk.keep_copy()
    sim.hosts["n2"].kill("old")
    sim.hosts["n2"].start()
    assert node(sim, "n2").state == {"kept": 1}


def test_the_end_of_a_write_that_a_crash_cut_short_is_not_the_end_of_the_next_boots_write() -> None:
    sim = simulation()
    batch: list[Effect] = [Persist({"vote": 1}), Send("n1", "", "voted")]
    node(sim, "n2").script["go"] = batch
    send(sim, "go")
    pass_time(sim, LINK_NS)
    send(sim, "go")
    pass_time(sim, LINK_NS // 2)
    sim.hosts["n2"].kill("torn")
    sim.hosts["n2"].start()
    node(sim, "n2").script["go"] = batch
    pass_time(sim, DISK_NS - LINK_NS // 2)  # the first write would end here
    assert sim.hosts["n2"].disk.content is None
    pass_time(sim, LINK_NS)
    assert sim.hosts["n2"].disk.content is not None
    assert node(sim, "n1").messages() == []


def test_a_lying_disk_lets_a_message_out_before_its_state_is_durable() -> None:
    for lying in (False, True):
        sim = simulation(lying_disk=lying)
        node(sim, "n2").script["go"] = [Persist({"vote": 1}), Send("n1", "", "voted")]
        send(sim, "go")
        pass_time(sim, LINK_NS + DISK_NS // 2)
        sim.hosts["n2"].kill("torn")
        pass_time(sim, 10 * MS)
        sim.hosts["n2"].start()
        assert node(sim, "n2").state is None
        assert node(sim, "n1").messages() == (["voted"] if lying else [])


def test_a_lying_disk_is_durable_in_the_end() -> None:
    sim = simulation(lying_disk=True)
    send(sim, "count")
    pass_time(sim, LINK_NS + DISK_NS)
    sim.hosts["n2"].kill("torn")
    sim.hosts["n2"].start()
    assert node(sim, "n2").state == {"kept": 1}


def test_a_wiped_disk_is_found_empty_by_the_next_boot_only() -> None:
    sim = simulation()
    send(sim, "count")
    pass_time(sim, 10 * MS)
    sim.hosts["n2"].disk.wipe()
    assert node(sim, "n2").kept == 1
    sim.hosts["n2"].kill()
    sim.hosts["n2"].start()
    assert node(sim, "n2").state is None


@pytest.mark.parametrize("k", range(4))
def test_a_crash_after_k_effects_carries_out_just_k(k: int) -> None:
    sim = simulation()
    node(sim, "n2").script["go"] = [Send("n1", "", number) for number in range(3)]
    sim.hosts["n2"].crash_after(k)
    send(sim, "go", "go")
    pass_time(sim, 10 * MS)
    assert node(sim, "n1").messages() == [0, 1, 2, 0, 1, 2][:k]
    assert not sim.hosts["n2"].up


def test_killing_a_dead_node_and_starting_a_live_one_change_nothing() -> None:
    sim = simulation()
    first = node(sim, "n2")
    sim.hosts["n2"].start()
    assert node(sim, "n2") is first
    sim.hosts["n2"].kill()
    sim.hosts["n2"].kill()
    assert not sim.hosts["n2"].up


def test_a_confirmation_pending_at_the_death_of_its_node_is_unknown_at_once() -> None:
    sim = simulation()
    node(sim, "n2").script["ConfirmAsked"] = []
    sim.kernel.at(sim.now + 10 * MS, lambda *_: sim.hosts["n2"].kill())
    began = sim.now
    reply = sim.kernel.run(SimCluster(sim).confirm("n2", 100 * MS))
    assert reply == Unknown("the connection broke")
    assert sim.now - began < 20 * MS


# Pauses


def test_messages_to_a_paused_node_queue_up_until_it_is_resumed() -> None:
    sim = simulation()
    node(sim, "n2").script["set"] = [SetTimer("t", 5 * MS)]
    send(sim, "set")
    pass_time(sim, 2 * MS)
    sim.hosts["n2"].pause()
    send(sim, "a", "b")
    pass_time(sim, 1_000 * MS)
    assert node(sim, "n2").messages() == ["set"]
    sim.hosts["n2"].resume()
    assert (node(sim, "n2").messages(), fired(sim, "n2")) == (["set", "a", "b"], ["t"])


def test_after_a_pause_timers_race_messages_and_messages_keep_their_order() -> None:
    first: set[type[Event]] = set()
    for seed in range(20):
        sim = Simulation(seed, ["n1", "n2"], Recorded, conditions=PROMPT)
        sim.start()
        sim.run_until(20 * MS)
        node(sim, "n2").script["set"] = [SetTimer("t", 5 * MS)]
        send(sim, "set")
        pass_time(sim, 2 * MS)
        sim.hosts["n2"].pause()
        send(sim, "a", "b")
        pass_time(sim, 50 * MS)
        sim.hosts["n2"].resume()
        assert node(sim, "n2").messages() == ["set", "a", "b"]
        first.add(type(node(sim, "n2").events[2]))
    assert first == {Received, TimerFired}


def test_a_paused_node_answers_after_its_pause_or_not_in_time() -> None:
    sim = simulation()
    sim.hosts["n2"].pause()
    began = sim.now
    assert observe(sim, "n2", 100 * MS) == Unknown("no answer in time")
    assert sim.now - began == 100 * MS
    sim.kernel.at(sim.now + 50 * MS, lambda *_: sim.hosts["n2"].resume())
    began = sim.now
    assert isinstance(observe(sim, "n2", 100 * MS), Ok)
    assert 50 * MS < sim.now - began < 60 * MS


def test_a_question_to_a_paused_node_that_is_killed_is_unknown() -> None:
    sim = simulation()
    sim.hosts["n2"].pause()
    sim.kernel.at(sim.now + 50 * MS, lambda *_: sim.hosts["n2"].kill())
    assert observe(sim, "n2", 100 * MS) == Unknown("the connection broke")


def test_a_pause_during_a_write_holds_back_the_messages_after_it() -> None:
    sim = simulation()
    node(sim, "n2").script["go"] = [Persist({"vote": 1}), Send("n1", "", "voted")]
    send(sim, "go")
    pass_time(sim, LINK_NS + DISK_NS // 2)
    sim.hosts["n2"].pause()
    pass_time(sim, 100 * MS)
    assert node(sim, "n1").messages() == []
    assert sim.hosts["n2"].disk.content is not None, "the disk is not paused"
    sim.hosts["n2"].resume()
    pass_time(sim, LINK_NS)
    assert node(sim, "n1").messages() == ["voted"]


def test_a_pause_shorter_than_a_write_changes_nothing() -> None:
    sim = simulation()
    node(sim, "n2").script["go"] = [Persist({"vote": 1}), Send("n1", "", "voted")]
    send(sim, "go")
    pass_time(sim, LINK_NS + DISK_NS // 4)
    sim.hosts["n2"].pause()
    sim.hosts["n2"].resume()
    pass_time(sim, DISK_NS // 2)
    assert node(sim, "n1").messages() == []
    pass_time(sim, DISK_NS // 4 + LINK_NS)
    assert node(sim, "n1").messages() == ["voted"]


def test_a_paused_node_is_sent_more_than_its_socket_holds_and_the_rest_is_lost() -> None:
    sim = simulation()
    sim.hosts["n2"].pause()
    send(sim, *range(WAITING_MAX + 10))
    pass_time(sim, 10 * MS)
    sim.hosts["n2"].resume()
    assert node(sim, "n2").messages() == list(range(WAITING_MAX))


def test_resuming_a_running_node_and_pausing_a_dead_one_change_nothing() -> None:
    sim = simulation()
    sim.hosts["n2"].resume()
    sim.hosts["n1"].kill()
    sim.hosts["n1"].pause()
    assert not sim.hosts["n1"].paused
    assert isinstance(observe(sim, "n2"), Ok)


# Slowness


def test_a_slow_node_spends_time_on_each_event_and_its_answers_wait() -> None:
    sim = simulation()
    node(sim, "n2").script["go"] = [Send("n1", "", "done")]
    sim.hosts["n2"].slow_down(Constant(30 * MS))
    send(sim, "go", "go")
    pass_time(sim, LINK_NS + 30 * MS + LINK_NS)
    assert node(sim, "n1").messages() == ["done"]
    began = sim.now
    assert isinstance(observe(sim, "n2"), Ok)
    assert sim.now - began > 20 * MS
    sim.hosts["n2"].slow_down(None)
    pass_time(sim, 100 * MS)
    assert node(sim, "n1").messages() == ["done", "done"]


# Clocks


@pytest.mark.parametrize(("ppm", "true_ns"), [(1_000_000, 50 * MS), (-500_000, 200 * MS), (0, 100 * MS)])
def test_timers_run_at_the_rate_of_the_hosts_clock(ppm: int, true_ns: int) -> None:
    sim = simulation()
    sim.hosts["n2"].set_clock("monotonic", ppm=ppm)
    node(sim, "n2").script["set"] = [SetTimer("t", 100 * MS)]
    send(sim, "set")
    pass_time(sim, LINK_NS + true_ns - 1)
    assert fired(sim, "n2") == []
    pass_time(sim, 1)
    assert fired(sim, "n2") == ["t"]


def test_timers_already_set_follow_a_jump_of_the_clock() -> None:
    for jump, true_ns in ((60 * MS, 40 * MS), (-60 * MS, 160 * MS), (500 * MS, 10 * MS)):
        sim = simulation()
        node(sim, "n2").script["set"] = [SetTimer("t", 100 * MS)]
        send(sim, "set")
        pass_time(sim, LINK_NS + 10 * MS)
        sim.hosts["n2"].set_clock("monotonic", jump=jump)
        pass_time(sim, true_ns - 10 * MS - 1)
        assert fired(sim, "n2") == []
        pass_time(sim, 1)
        assert fired(sim, "n2") == ["t"], jump


@pytest.mark.parametrize("which", ["wall", "monotonic"])
def test_the_two_clocks_of_a_host_are_moved_independently(which: Literal["wall", "monotonic"]) -> None:
    sim = simulation()
    host = sim.hosts["n2"]
    before = {"wall": host.wall.read(sim.now), "monotonic": host.now()}
    host.set_clock(which, jump=3_600_000 * MS)
    after = {"wall": host.wall.read(sim.now), "monotonic": host.now()}
    moved = {each for each in before if after[each] != before[each]}
    assert moved == {which}


def test_a_node_reads_the_clock_of_its_host() -> None:
    sim = simulation()
    ats = {name: node(sim, name).events[0].at for name in sim.hosts}
    assert ats["n1"] != ats["n2"]
    send(sim, "hello")
    pass_time(sim, 5 * MS)
    heard = node(sim, "n2").events[-1]
    assert heard.at == sim.hosts["n2"].now() - 4 * MS


# Nodes that raise


@dataclass
class Fragile(Recorded):
    """Writes ``kept`` on "count", raises on "break"; one of a disk that says 2 is not even made."""

    def __post_init__(self) -> None:
        if self.state == {"kept": 2}:
            raise ValueError("two is too many")

    def handle(self, event: Event) -> list[Effect]:
        if isinstance(event, Received) and event.message == "break":
            raise LookupError("what is that?")
        if isinstance(event, Received) and event.message == "my mistake":
            raise UsageError("of one's own")
        return super().handle(event)


class Coroner(Instrument):
    """Records exceptions and deaths of nodes."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, str]] = []

    def raised(self, host: Host, failure: Exception) -> None:
        self.noted.append((host.name, describe(failure)))

    def down(self, host: Host) -> None:
        self.noted.append((host.name, "down"))


def fragile(instrument: Instrument | None = None) -> Simulation:
    made = Simulation(7, ["n1", "n2"], Fragile, conditions=PROMPT, disk=Constant(2 * MS), instrument=instrument)
    made.start()
    made.run_until(START_WITHIN_NS)
    return made


@pytest.mark.parametrize("instrument", [None, Coroner(), Instruments(Coroner(), Instrument())])
def test_a_node_that_raises_dies_with_its_disk_as_it_is_and_stays_down_until_it_is_started(
    instrument: Instrument | None,
) -> None:
    sim = fragile(instrument)
    send(sim, "count")
    pass_time(sim, 10 * MS)
    send(sim, "break")
    send(sim, "count")
    pass_time(sim, 1_000 * MS)
    host = sim.hosts["n2"]
    assert not host.up and sim.hosts["n1"].up
    assert observe(sim, "n2") == Fail("connection refused")
    host.start()
    assert host.up and host.boots == 2 and node(sim, "n2").state == {"kept": 1}


def test_a_node_that_raises_as_it_is_made_is_down() -> None:
    instrument = Coroner()
    sim = fragile(instrument)
    host = sim.hosts["n2"]
    host.kill()
    host.disk.content = b'{"kept": 2}'
    host.start()
    assert not host.up and [name for name, _ in instrument.noted] == ["n2", "n2"]
    host.disk.wipe()
    host.start()
    assert host.up


def test_a_node_that_raises_is_told_to_a_watch_and_one_that_has_raised_before_too() -> None:
    sim = fragile()
    send(sim, "break")
    pass_time(sim, 10 * MS)
    told: list[Incident] = []
    watch = SimCluster(sim).watch(told.append)
    assert [(each.f, each.node) for each in told] == [("ended", "n2")]
    assert "what is that?" in told[0].facts["error"]
    sim.hosts["n2"].start()
    send(sim, "break")
    pass_time(sim, 10 * MS)
    assert [(each.f, each.node) for each in told] == [("ended", "n2")] * 2
    sim.hosts["n2"].start()
    sim.hosts["n2"].kill()
    watch.stop()
    send(sim, "break")
    assert len(told) == 2


def test_an_instrument_gets_the_exception_and_its_line_before_the_death() -> None:
    instrument = Coroner()
    sim = fragile(Instruments(instrument, Instrument()))
    send(sim, "break")
    pass_time(sim, 10 * MS)
    (who, what), death = instrument.noted
    assert who == "n2" and death == ("n2", "down")
    assert what.startswith("LookupError: what is that? (test_sim_hosts.py, line ") and what.endswith("in handle)")


@pytest.mark.parametrize("instrument", [None, Coroner()])
def test_a_request_that_kills_its_node_and_those_pending_are_unknown_at_once(
    instrument: Instrument | None,
) -> None:
    class DiesOfQuestions(Recorded):
        def handle(self, event: Event) -> list[Effect]:
            if isinstance(event, ConfirmAsked):
                raise LookupError("no answer")
            return super().handle(event)

    sim = Simulation(7, ["n1", "n2"], DiesOfQuestions, conditions=PROMPT, instrument=instrument)
    sim.start()
    sim.run_until(START_WITHIN_NS)
    cluster = SimCluster(sim)
    assert sim.kernel.run(cluster.confirm("n2", 100 * MS)) == Unknown("the connection broke")
    assert not sim.hosts["n2"].up


@pytest.mark.parametrize("instrument", [None, Coroner()])
def test_a_usage_error_raised_by_a_node_ends_the_simulation(instrument: Instrument | None) -> None:
    sim = fragile(instrument)
    send(sim, "my mistake")
    with pytest.raises(UsageError, match="of one's own"):
        pass_time(sim, 10 * MS)


# Instruments


def test_an_instrument_sees_each_effect_before_it_happens_and_may_kill_the_node_then() -> None:
    class KillsAtThree(Instrument):
        seen: list[Effect]

        def __init__(self) -> None:
            self.seen = []

        def effect(self, host: Host, effect: Effect) -> None:
            self.seen.append(effect)
            if len(self.seen) == 3:
                host.kill()

    instrument = KillsAtThree()
    sim = simulation(instrument=instrument)
    batch: list[Effect] = [Send("n1", "", number) for number in range(5)]
    node(sim, "n2").script["go"] = batch
    send(sim, "go")
    pass_time(sim, 10 * MS)
    assert instrument.seen == batch[:3]
    assert node(sim, "n1").messages() == [0, 1]


def test_an_instrument_may_kill_a_node_before_any_effect_of_an_event() -> None:
    class KillsAfterEvent(Instrument):
        def after(self, host: Host, event: Event) -> None:
            if isinstance(event, Received):
                host.kill()

    sim = simulation(instrument=KillsAfterEvent())
    node(sim, "n2").script["go"] = [Send("n1", "", "never")]
    send(sim, "go")
    pass_time(sim, 10 * MS)
    assert node(sim, "n1").messages() == []
