from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from splitbrain import reports
from splitbrain.reports.store import runs
from splitbrain.reports.tests.runs import HOSTILE, Page


def store_run(store: Path, name: str, run: str, verdict: str = "valid", **experiment: Any) -> Path:
    directory = store / name / run
    directory.mkdir(parents=True)
    properties = {
        "exclusivity": {"verdict": verdict, "weakness": "shown" if verdict == "valid" else None, "findings": [{}]},
        "stall": {"verdict": "valid"},
    }
    (directory / "verdicts.json").write_text(json.dumps({"verdict": verdict, "properties": properties}))
    known = {"system": name, "nemesis": ["kill"], "seed": 7, "durations_s": {"set_up": 3.1, "faults": 60}}
    (directory / "experiment.json").write_text(json.dumps(known | experiment))
    (directory / "report.html").write_text("")
    return directory


def test_runs_are_listed_newest_first_whatever_their_system(tmp_path: Path) -> None:
    store_run(tmp_path, "raft", "20251123T190000Z-7")
    store_run(tmp_path, "bully", "20251124T080000Z-1", "invalid")
    store_run(tmp_path, "zoo", "20251122T080000Z-1", "unknown")
    found = runs(tmp_path)
    assert [(row.system, row.verdict) for row in found] == [("bully", "invalid"), ("raft", "valid"), ("zoo", "unknown")]
    assert found[0].started == "2025-11-24 08:00:00"
    assert [row.found for row in found] == [
        "violated: exclusivity",
        "violated, and permitted: exclusivity",
        "inconclusive: exclusivity",
    ]
    assert [row.duration for row in found] == ["63.1"] * 3
    assert found[0].link == "bully/20251124T080000Z-1/report.html"


def test_a_broken_run_is_listed_with_the_reason_and_hides_no_other(tmp_path: Path) -> None:
    store_run(tmp_path, "raft", "20251123T190000Z-7")
    (store_run(tmp_path, "raft", "20251123T190001Z-7") / "verdicts.json").write_text('{"verdict": ')
    (store_run(tmp_path, "raft", "20251123T190002Z-7") / "verdicts.json").unlink()
    (store_run(tmp_path, "raft", "20251123T190003Z-7") / "experiment.json").write_bytes(b"\xff\xfe")
    (store_run(tmp_path, "raft", "20251123T190004Z-7") / "verdicts.json").write_text("[1, 2]")
    (tmp_path / "raft" / "20251123T190005Z-9").mkdir()
    found = runs(tmp_path)
    assert [row.verdict for row in found] == ["unreadable", "unreadable", "valid", "unreadable", "unreadable", "valid"]
    assert found[0].note == "no verdicts.json; no experiment.json"
    assert (found[0].seed, found[0].link) == ("9", "raft/20251123T190005Z-9/")
    assert found[2].note.startswith("experiment.json: ")
    assert found[5].note == ""


def test_a_duration_that_cannot_be_is_none(tmp_path: Path) -> None:
    store_run(tmp_path, "raft", "20251123T190000Z-7", durations_s={"set_up": 10**400, "faults": float("nan")})
    store_run(tmp_path, "raft", "20251123T190001Z-7", durations_s={"set_up": -(10**400), "faults": 60})
    assert [row.duration_s for row in runs(tmp_path)] == [60.0, None]


def test_links_to_the_newest_run_are_not_runs_of_their_own(tmp_path: Path) -> None:
    newest = store_run(tmp_path, "raft", "20251123T190000Z-7")
    (tmp_path / "latest").symlink_to(newest)
    (tmp_path / "raft" / "latest").symlink_to(newest)
    (tmp_path / "notes.txt").write_text("not a run")
    assert len(runs(tmp_path)) == 1


def test_an_unknown_verdict_word_is_never_listed_as_a_pass(tmp_path: Path) -> None:
    store_run(tmp_path, "raft", "20251123T190000Z-7", "splendid")
    assert runs(tmp_path)[0].verdict == "unknown"


def test_the_index_is_one_page_of_its_own_with_a_link_a_run(tmp_path: Path) -> None:
    store_run(tmp_path, "raft", "20251123T190000Z-7")
    store_run(tmp_path, "raft#1?", "20251123T190001Z-7")
    path = reports.index(tmp_path)
    assert path == tmp_path / "index.html"
    links = Page(path.read_text()).loads()
    assert sorted(links) == ["raft%231%3F/20251123T190001Z-7/report.html", "raft/20251123T190000Z-7/report.html"]


def test_an_empty_store_says_how_to_make_a_run(tmp_path: Path) -> None:
    assert "No run is stored here yet." in Page(reports.index(tmp_path).read_text()).words


def test_every_word_of_a_hostile_store_stays_a_word(tmp_path: Path) -> None:
    store_run(tmp_path, "raft", "20251123T190000Z-7", system=HOSTILE, nemesis=[HOSTILE], seed=HOSTILE)
    page = Page(reports.index(tmp_path).read_text())
    assert (page.count("script"), page.count("img")) == (1, 0)
