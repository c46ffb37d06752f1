"""Writers that use their leadership: a dual leadership with and without a fence, and resources with planted
bugs, each of which its rule must catch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers.judgement import JudgedProperty
from splitbrain.core import lifecycle as drive
from splitbrain.core.experiment import asked_for
from splitbrain.core.leader_view import LeaderView
from splitbrain.core.promises import promises_to_writers
from splitbrain.errors import UsageError
from splitbrain.names import Promises
from splitbrain.nemesis.faults import Kill
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nodes.clients.base import Fail, Ok, Reply
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.runtimes.base import Cluster
from splitbrain.units import MS
from splitbrain.user_systems import runs
from splitbrain.user_systems.sim_run import SimRun
from splitbrain.workloads import Workload
from splitbrain.workloads.clients import ClientGroup, OperationRecorder
from splitbrain.workloads.resources import FencedLedger, Latency, Ledger, LedgerService, RemoteLedger, Sleep
from splitbrain.workloads.writers import TokenOf, Writers, term

pytestmark = pytest.mark.simulation

WRITES = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["n1", "n2"])), max_size=12)


@given(WRITES)
def test_a_fence_accepts_no_older_token_and_no_token_of_two_holders(
    writes: list[tuple[int, str]],
) -> None:
    ledger = FencedLedger()
    for number, (token, holder) in enumerate(writes):
        before = [write.token or 0 for write in ledger.accepted]
        write = ledger.append(token, holder, str(number))
        assert write.accepted or token < max(before) or holder != ledger.accepted[-1].holder
        assert write is ledger.log[number]
    tokens = [write.token or 0 for write in ledger.accepted]
    assert tokens == sorted(tokens)
    assert len({(write.token, write.holder) for write in ledger.accepted}) == len(set(tokens))


def test_an_unfenced_ledger_accepts_writes_that_a_fence_refuses() -> None:
    for ledger, accepted in ((Ledger(), 4), (FencedLedger(), 2)):
        for token, holder in ((1, "n1"), (2, "n2"), (1, "n1"), (2, "n1")):
            ledger.append(token, holder, "")
        assert (len(ledger.accepted), len(ledger.log)) == (accepted, 4)
    assert FencedLedger().append(None, "n1", "").refusal == "there is no token"


def isolated(workload: Any, *, seed: int = 3, strict: bool = True, system: str = "raft-basic") -> SimRun:
    run = runs.run(system, nemesis="isolated-leader", seconds=10, seed=seed, workload=workload, strict=strict)
    assert isinstance(run, SimRun)
    return run


def test_the_same_dual_leadership_corrupts_an_unfenced_ledger_and_not_a_fenced_one() -> None:
    unfenced, fenced = isolated("ledger-unfenced"), isolated("ledger")
    for run in (unfenced, fenced):
        assert run.judgement["exclusivity"].observed == "violated"
        assert run.judgement["fencing"].found.facts["stale_attempted"] > 20
    corrupted, kept = unfenced.judgement["fencing"], fenced.judgement["fencing"]
    assert corrupted.observed == "violated"
    assert corrupted.found.facts["stale_accepted"] == corrupted.found.facts["stale_attempted"]
    assert corrupted.found.findings[0].facts["rules"] == ["F1", "F3"]
    assert (kept.outcome.word, kept.promises, kept.found.findings) == ("valid", {"fencing": "guaranteed"}, ())
    assert kept.found.facts["stale_refused"] == kept.found.facts["stale_attempted"]
    # Only the resource differs: both received the same requests until the first stale write.
    assert [entry for entry in unfenced.entries[:200] if entry.f != "append"] == [
        entry for entry in fenced.entries[:200] if entry.f != "append"
    ]


def test_the_replay_command_names_the_workload() -> None:
    assert isolated("lock", strict=False).again[-1].endswith("--seed 3 --observe-period 100 --workload lock")


@pytest.mark.parametrize("workload", ["ledger", "lock"])
def test_a_run_with_writers_is_reproduced_by_its_seed(workload: Any) -> None:
    run = isolated(workload, strict=False)
    assert run.repeat().differs_at is None


@pytest.mark.parametrize(("system", "nemesis"), [("raft", "partition"), ("raft", "pause"), ("raft-lease", "partition")])
def test_terms_of_a_system_that_keeps_them_are_sound_tokens(system: str, nemesis: str) -> None:
    run = runs.run(system, nemesis=nemesis, seconds=15, seed=5, workload="ledger")
    found = run.found("fencing")
    assert found.outcome.word == "valid", found.words
    assert found.found.facts["appends_accepted"] > 100


def test_leadership_without_a_lease_is_no_lock_and_lost_writes_show_it() -> None:
    run = isolated("lock")
    assert run.judgement["mutual-exclusion"].observed == "violated"
    assert run.judgement["lost-updates"].observed == "violated"
    assert run.judgement["lost-updates"].found.facts["additions_lost"] > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_leadership_with_a_lease_is_a_lock(seed: int) -> None:
    run = runs.run("raft-lease", nemesis="partition,kill", seconds=15, seed=seed, workload="lock")
    found = run.judgement["mutual-exclusion"]
    assert (found.outcome.word, found.promises["exclusivity"]) == ("valid", "guaranteed"), found.words
    assert found.found.facts["holds"] > 50


def test_a_cluster_that_lost_every_term_is_refused_by_the_fence_for_ever() -> None:
    """Three elections, then all disks are lost: terms restart below the latest one in the ledger."""
    deaths = [Step(at_ms=at, for_ms=300, fault=Kill(target="leader")) for at in (4_000, 6_000, 8_000)]
    forgetting = Step(at_ms=10_000, for_ms=200, fault=Kill(target="all", state="lost"))
    schedule = Schedule(steps=(*deaths, forgetting), length_ms=20_000)
    found = runs.run("raft", schedule=schedule, seed=1, workload="ledger").judgement["fencing"]
    assert (found.promises["fencing"], found.observed) == ("known-weakness", "violated"), found.words
    assert [finding.facts["rules"] for finding in found.found.findings] == [["F5"]]


# Resources with planted bugs


class TwoSteps:
    """Planted bug: checks the token and writes some time later, so that another write may come between."""

    def __init__(self, rng: Random) -> None:
        self._fence, self._kept = FencedLedger(), Ledger()
        self._rngs = rng
        self._latency = Latency(rng)

    async def append(self, token: int | None, holder: str, entry: str, sleep: Sleep) -> Reply:
        await self._latency.wait(sleep)
        refusal = self._fence.append(token, holder, entry).refusal
        if refusal is not None:
            return Fail(refusal)
        await sleep(self._rngs.randint(1 * MS, 40 * MS))
        self._kept.append(token, holder, entry)
        position = len(self._kept.accepted) - 1
        await self._latency.wait(sleep)
        return Ok({"position": position})

    async def read(self, sleep: Sleep) -> Reply:
        return Ok({"entries": self._kept.read()})


def own_counter(answer: Mapping[str, Any]) -> int:
    """Planted bug: each node's token is the number of its wins."""
    return int(str(answer["reign"]).rpartition("-")[2])


def planted(
    monkeypatch: pytest.MonkeyPatch, service: LedgerService, token_of: TokenOf = term, seed: int = 3
) -> JudgedProperty:
    """A run with that bug in its ledger or tokens, with fencing judged as promised."""

    def groups(
        cluster: Cluster, operations: OperationRecorder, view: LeaderView, workload: Workload, seed: int
    ) -> Sequence[ClientGroup]:
        return [Writers(cluster, operations, view, workload, seed, service, token_of)]

    monkeypatch.setattr(drive, "writers", groups)
    return isolated("ledger", seed=seed, strict=False).found("fencing")


def rules(found: JudgedProperty) -> set[str]:
    return {rule for finding in found.found.findings for rule in finding.facts["rules"]}


def test_a_resource_with_nothing_planted_keeps_every_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rules(planted(monkeypatch, RemoteLedger(FencedLedger(), Random(1)))) == set()


def test_a_resource_without_a_check_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    found = planted(monkeypatch, RemoteLedger(Ledger(), Random(1)))
    assert rules(found) == {"F1", "F3"}
    assert found.outcome.word == "invalid"


def test_a_resource_whose_check_and_write_are_two_steps_is_caught_by_the_order_of_its_ledger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes two writes at one moment, the old leader's last and the new one's first; not every run has that."""
    caught = [rules(planted(monkeypatch, TwoSteps(Random(seed)), seed=seed)) for seed in range(5)]
    assert {"F1"} in caught
    assert all(found <= {"F1"} for found in caught)


def test_tokens_that_each_node_counts_for_itself_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    found = planted(monkeypatch, RemoteLedger(Ledger(), Random(1)), own_counter)
    assert "F2" in rules(found)
    assert found.outcome.word == "invalid"


# Promises


def test_without_a_fence_fencing_is_no_better_than_exclusivity() -> None:
    promises: Promises = {"term-safety": "guaranteed", "exclusivity": "guaranteed", "fencing": "guaranteed"}
    weak: Promises = {**promises, "exclusivity": "known-weakness"}
    assert promises_to_writers(promises, "ledger") == promises
    assert promises_to_writers(promises, "ledger-unfenced")["fencing"] == "not-promised"
    assert promises_to_writers(weak, "lock")["fencing"] == "known-weakness"


def test_an_unknown_workload_is_refused() -> None:
    nothing: Any = "bank"
    with pytest.raises(UsageError, match="workload: expected one of election, ledger, ledger-unfenced, lock"):
        runs.run(SYSTEMS["raft"], workload=nothing)


@pytest.mark.parametrize("kind", ["ledger", "ledger-unfenced"])
@pytest.mark.parametrize(("system", "instead"), [("redlock", "lock"), ("sentinel", "lock or writes")])
def test_a_system_without_tokens_is_not_asked_to_write_to_a_ledger(system: str, instead: str, kind: str) -> None:
    with pytest.raises(UsageError, match=f"{system} gives out no tokens.*expected {instead}, got {kind}"):
        asked_for(SYSTEMS[system], ("none",), "docker", None, 20.0, 1, kind=kind)
    assert asked_for(SYSTEMS[system], ("none",), "docker", None, 20.0, 1, kind="lock").workload.kind == "lock"
