"""Generated histories of the judging benchmark have the properties of their kind."""

from __future__ import annotations

import sys

import pytest

from splitbrain.bench import judging as bench
from splitbrain.checkers.history import History
from splitbrain.checkers.judge import judge
from splitbrain.checkers.verdict import Outcome


def test_the_plausible_history_is_valid() -> None:
    history = History.from_lines(bench.lines(10_000, 5, "plausible"))
    assert (len(history.observations), len(history.leaderships)) == (10_000, 4)
    judgement = judge(history)
    assert judgement.outcome is Outcome.VALID


@pytest.mark.parametrize("kind", ["adversarial", "keyless"])
def test_every_claim_is_a_reign_in_the_adversarial_and_keyless_histories(kind: str) -> None:
    history = History.from_lines(bench.lines(1_000, 5, kind))
    assert len(history.leaderships) == 1_000


def test_all_nodes_lead_at_once_in_the_overlapping_history() -> None:
    judged = judge(History.from_lines(bench.lines(1_000, 5, "overlapping")))["exclusivity"]
    assert (judged.outcome, judged.found.facts["conflicting_reigns"]) == (Outcome.INVALID, 500)


def test_the_benchmark_prints_its_figures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--observations", "500"])
    bench.main()
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("read", "judge", "peak", "exclusivity"))
