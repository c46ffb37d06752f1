from __future__ import annotations

import json
from pathlib import Path

import pytest

from splitbrain import cli
from splitbrain.core.store import RunDirectory, existing_run, link_latest, new_run
from splitbrain.errors import EnvironmentFailure, UsageError


def test_two_runs_of_one_second_and_one_seed_get_a_folder_each(tmp_path: Path) -> None:
    first, second = new_run(tmp_path, "raft-partition", 7), new_run(tmp_path, "raft-partition", 7)
    assert first.path != second.path
    assert first.path.parent == second.path.parent == tmp_path / "raft-partition"


def test_latest_points_to_the_newest_run_of_the_store_and_of_its_name(tmp_path: Path) -> None:
    old, new = new_run(tmp_path, "raft-partition", 1), new_run(tmp_path, "raft-partition", 2)
    for run in (old, new):
        link_latest(tmp_path, run)
    assert (tmp_path / "latest").resolve() == new.path
    assert (tmp_path / "raft-partition" / "latest").resolve() == new.path
    assert not (tmp_path / "latest").readlink().is_absolute(), "a store may be moved"


def test_a_path_that_is_not_a_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        new_run(tmp_path / "file", "raft-partition", 1)


@pytest.mark.parametrize("command", ["compare", "hunt raft", "matrix", "soak"])
def test_a_campaign_refuses_a_store_that_cannot_be_before_it_measures(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as ended:
        cli.main([*command.split(), "--store", str(tmp_path / "file")])
    assert ended.value.code == 64
    assert f"{tmp_path / 'file'}: expected a directory for the store" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "gone")
    with pytest.raises(EnvironmentFailure, match="cannot be written"):
        run.write_json("verdicts.json", {})


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.write_json("verdicts.json", {"verdict": "valid"})
    run.write_json("verdicts.json", {"verdict": "invalid"})
    assert json.loads((tmp_path / "verdicts.json").read_text()) == {"verdict": "invalid"}
    assert [path.name for path in tmp_path.iterdir()] == ["verdicts.json"]


def test_the_record_of_a_run_may_be_missing_or_broken(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert run.read_json("experiment.json") == {}
    (tmp_path / "experiment.json").write_text("[1, 2")
    assert run.read_json("experiment.json") == {}


def test_a_folder_without_a_history_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no history\.jsonl"):
        existing_run(tmp_path)
