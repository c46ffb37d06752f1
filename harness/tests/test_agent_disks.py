"""The agent's work on a node's folder, with a process of the test in the node's place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from splitbrain.runtimes.docker.agent import disks, processes
from splitbrain.runtimes.docker.agent.commands import RequestFailed
from splitbrain.runtimes.docker.agent.messages import DiskLeft


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a node that stands still when asked to; it is reached through this very process."""
    monkeypatch.setattr(disks, "COPY", tmp_path / "copy")
    monkeypatch.setattr(processes, "node_processes", lambda: [os.getpid()])
    monkeypatch.setattr(processes, "pause", lambda: None)
    monkeypatch.setattr(processes, "resume", lambda: None)
    place = tmp_path / "data"
    (place / "wal").mkdir(parents=True)
    (place / "vote").write_text("term 1")
    (place / "wal" / "0").write_bytes(b"\0" * 5_000)
    (place / "newest").symlink_to("wal/0")
    yield place


def test_writes_changes_and_removals_since_the_copy_are_rolled_back(folder: Path) -> None:
    (folder / "vote").chmod(0o600)
    before = disks.listing(folder)
    assert disks.copy_folder(str(folder)).files == 3
    (folder / "vote").write_text("term 9")
    (folder / "wal" / "1").write_text("new")
    (folder / "newest").unlink()
    assert disks.lose(str(folder), "old", None) == DiskLeft(changed=3, problem=None)
    assert disks.listing(folder) == before
    assert (folder / "vote").read_text() == "term 1"
    assert disks.lose(str(folder), "old", None) == DiskLeft(changed=0, problem=None)


def test_a_second_copy_takes_the_place_of_the_first(folder: Path) -> None:
    disks.copy_folder(str(folder))
    (folder / "vote").unlink()
    disks.copy_folder(str(folder))
    (folder / "vote").write_text("term 9")
    disks.lose(str(folder), "old", None)
    assert not (folder / "vote").exists()


def test_all_files_are_lost_or_only_those_of_a_pattern(folder: Path) -> None:
    assert disks.lose(str(folder), "lost", "wal/*") == DiskLeft(changed=1, problem=None)
    assert sorted(disks.listing(folder)) == ["newest", "vote"]
    assert disks.lose(str(folder), "lost", None) == DiskLeft(changed=2, problem=None)
    assert list(folder.iterdir()) == []


def test_a_failed_disk_operation_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no copy" in (disks.lose(str(folder), "old", None).problem or "")
    assert "path like w" in (disks.lose(str(folder), "lost", "w").problem or "")
    disks.copy_folder(str(folder))
    (folder / "vote").write_text("term 9")
    monkeypatch.setattr(disks, "empty", lambda place: None)
    monkeypatch.setattr(disks, "copy", lambda source, target: 0)
    assert "not as requested: vote" in (disks.lose(str(folder), "old", None).problem or "")
    monkeypatch.setattr(processes, "node_processes", list)
    assert "no process" in (disks.lose(str(folder), "lost", None).problem or "")
    with pytest.raises(RequestFailed, match="no process"):
        disks.copy_folder(str(folder))


def test_a_node_without_data_has_nothing_to_copy_or_restore(folder: Path, tmp_path: Path) -> None:
    disks.copy_folder(str(folder))  # of another run's machine, as it were
    assert disks.copy_folder(str(tmp_path / "none")).files == 0
    assert "no process that sees" in (disks.lose(str(tmp_path / "none"), "old", None).problem or "")
    assert disks.lose(str(folder), "old", None).problem == "no copy of its disk was made"
