"""The agent's power loss, with a folder and a file of the test in the place of the node's disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from splitbrain.runtimes.docker.agent import power_loss, processes
from splitbrain.runtimes.docker.agent.commands import RequestFailed
from splitbrain.runtimes.docker.agent.disks import MARKER
from splitbrain.runtimes.docker.agent.power_loss import FLUSHED, UNFLUSHED

QUIET = (10, 0, 0)
BUSY = (10, 0, 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a node that stands still when asked to, on a loop device that is quiet, and its backing file."""
    backing, place = tmp_path / "backing", tmp_path / "data"
    device = tmp_path / "sys" / power_loss.numbers(tmp_path.stat().st_dev) / "loop"
    for made in (backing, place, device):
        made.mkdir(parents=True)
    (backing / "n1").write_bytes(b"as flushed")
    (device / "backing_file").write_text("/somewhere/else/n1\n")
    monkeypatch.setattr(power_loss, "BACKING", backing)
    monkeypatch.setattr(power_loss, "SYSFS", tmp_path / "sys")
    monkeypatch.setattr(processes, "node_processes", lambda: [os.getpid()])
    monkeypatch.setattr(processes, "pause", lambda: None)
    monkeypatch.setattr(power_loss, "run", lambda *command: "")
    looks(monkeypatch, [QUIET, QUIET])
    power_loss.write_marker(str(place))
    return place


def looks(monkeypatch: pytest.MonkeyPatch, written: list[tuple[int, int, int]]) -> None:
    """Successive states of the device as the kernel reports them; the last one repeats."""
    left: Iterator[tuple[int, int, int]] = iter(written)
    monkeypatch.setattr(power_loss, "writes", lambda device: next(left, written[-1]))


def copied(folder: Path) -> bytes:
    return (folder.parent / "backing" / "n1.cut").read_bytes()


def test_a_disk_is_copied_once_its_marker_has_been_written_to_and_not_flushed(folder: Path) -> None:
    left = power_loss.copy_flushed(str(folder))
    assert left.problem is None and left.cut_ms is not None and left.cut_ms >= 0
    assert copied(folder) == b"as flushed"
    assert (folder / MARKER).read_bytes() == UNFLUSHED


def test_a_disk_that_was_written_to_while_it_was_copied_is_copied_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[Path] = []
    monkeypatch.setattr(power_loss, "copy", lambda image, target: copies.append(target))
    looks(monkeypatch, [QUIET, (11, 0, 0), (11, 0, 1), (11, 0, 1), (12, 0, 0), (12, 0, 0)])
    assert power_loss.copy_flushed(str(folder)).problem is None
    assert len(copies) == 3
    monkeypatch.setattr(power_loss, "COPY_SECONDS", 0)
    looks(monkeypatch, [BUSY])
    assert "written to throughout the copy" in (power_loss.copy_flushed(str(folder)).problem or "")


def test_an_impossible_power_loss_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / MARKER).unlink()
    assert "marker in" in (power_loss.copy_flushed(str(folder)).problem or "")
    (folder.parent / "backing" / "n1").unlink()
    assert "cannot lose power" in (power_loss.copy_flushed(str(folder)).problem or "")
    monkeypatch.setattr(processes, "node_processes", list)
    assert "no process that sees" in (power_loss.copy_flushed(str(folder)).problem or "")
    assert "no process that sees" in (power_loss.check_marker(str(folder)).problem or "")
    with pytest.raises(RequestFailed, match="no process that sees"):
        power_loss.write_marker(str(folder))


@pytest.mark.parametrize(
    ("left", "problem"),
    [
        (FLUSHED, None),
        (UNFLUSHED, "an unflushed write is on its disk"),
        (b"", "an unflushed write is on its disk"),
        (None, "a flushed write is missing from its disk"),
    ],
)
def test_after_a_power_loss_the_disk_holds_only_flushed_data(
    folder: Path, left: bytes | None, problem: str | None
) -> None:
    if left is None:
        (folder / MARKER).unlink()
    else:
        (folder / MARKER).write_bytes(left)
    assert power_loss.check_marker(str(folder)).problem == problem
    assert power_loss.check_marker(str(folder)).problem is None, "it is ready for the next cut"


def test_a_copy_keeps_the_holes_of_a_sparse_file(tmp_path: Path) -> None:
    image, copy = tmp_path / "image", tmp_path / "copy"
    with image.open("wb") as file:
        file.truncate(64 << 20)
        for at in (0, 5 << 20, (64 << 20) - 3):
            os.pwrite(file.fileno(), b"abc", at)
    copy.write_bytes(b"what was there before")
    power_loss.copy(image, copy)
    assert copy.read_bytes() == image.read_bytes()
    assert copy.stat().st_blocks <= image.stat().st_blocks < 1_000
