"""The restoring of a node's disk after a power loss, with files of the test in the place of devices."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from splitbrain.runtimes.docker.agent import loop_devices, power_loss
from splitbrain.runtimes.docker.agent.messages import DiskRestored
from splitbrain.runtimes.docker.agent.power_loss import FLUSHED, UNFLUSHED

Held = tuple[dict[str, str], bytes | None]
KILLED: Held = ({"vote": "of term 6", "log": "of two", "new": "file"}, UNFLUSHED)
CUT: Held = ({"vote": "of term 5", "log": "of two"}, FLUSHED)


def put_back(folder: Path, monkeypatch: pytest.MonkeyPatch, killed: Held, cut: Held) -> DiskRestored:
    """The reply when the disk of a node is restored, with these files after the kill and at the power loss."""
    image, device = folder / "n1", folder / "device"
    image.write_bytes(b"as killed")
    device.write_bytes(bytes(9))
    power_loss.copy_of(image).write_bytes(b"as cut")
    monkeypatch.setattr(power_loss, "BACKING", folder)
    monkeypatch.setattr(loop_devices, "contents_of", lambda held: killed if held == image else cut)
    monkeypatch.setattr(fcntl, "ioctl", lambda *asked: 0)
    made = loop_devices.LoopDevices()
    monkeypatch.setitem(made._held, "n1", (device, -1))
    restored = made.restore("n1")
    assert device.read_bytes() == b"as cut\0\0\0"
    assert not power_loss.copy_of(image).exists()
    return restored


def test_the_disk_of_a_power_loss_is_restored_and_files_that_differ_from_a_kill_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert put_back(tmp_path, monkeypatch, KILLED, CUT) == DiskRestored(changed=2, problem=None)
    assert put_back(tmp_path, monkeypatch, (CUT[0], UNFLUSHED), CUT) == DiskRestored(changed=0, problem=None)


@pytest.mark.parametrize(
    ("killed", "cut", "wrong"),
    [
        (UNFLUSHED, UNFLUSHED, "an unflushed write is on its disk"),
        (UNFLUSHED, None, "a flushed write is missing from its disk"),
        (FLUSHED, FLUSHED, "the kill alone would have lost the same writes"),
    ],
)
def test_a_marker_that_contradicts_the_power_loss_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bytes | None, cut: bytes | None, wrong: str
) -> None:
    assert put_back(tmp_path, monkeypatch, (KILLED[0], killed), (CUT[0], cut)).problem == wrong


def test_a_disk_is_left_alone_while_it_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "device").touch()
    left = [errno.EBUSY, errno.EBUSY]
    real = os.open

    def busy(path: Path, flags: int) -> int:
        if left:
            raise OSError(left.pop(), "mounted")
        return real(path, flags & ~os.O_EXCL)

    monkeypatch.setattr(os, "open", busy)
    found = loop_devices.claim(tmp_path / "device")
    assert found is not None and not left
    os.close(found)
    monkeypatch.setattr(loop_devices, "UNMOUNTED_SECONDS", 0)
    left += [errno.EBUSY] * 9
    made = loop_devices.LoopDevices()
    monkeypatch.setitem(made._held, "n1", (tmp_path / "device", -1))
    assert "stayed mounted" in (made.restore("n1").problem or "")
    left[:] = [errno.ENXIO]
    with pytest.raises(OSError, match="mounted"):
        loop_devices.claim(tmp_path / "device")


def test_a_device_request_has_the_layout_that_the_kernel_expects() -> None:
    asked = loop_devices.configuration(7, "n1")
    assert len(asked) == 304  # sizeof(struct loop_config)
    assert int.from_bytes(asked[:4], "little") == 7
    flags = 8 + 5 * 8 + 3 * 4
    assert int.from_bytes(asked[flags : flags + 4], "little") == loop_devices.AUTOCLEAR
    assert asked[flags + 4 : flags + 7] == b"n1\0"


def test_a_device_file_created_concurrently_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def taken(*_: Any) -> None:
        raise FileExistsError(errno.EEXIST, "File exists")

    def opens(path: Any, _: int) -> int:
        opened.append(str(path))
        return os.dup(0)

    monkeypatch.setattr(os, "mknod", taken)
    monkeypatch.setattr(os, "open", opens)
    monkeypatch.setattr(fcntl, "ioctl", lambda _, asked, *rest: 3 if asked == loop_devices.LOOP_CTL_GET_FREE else 0)
    device, held = loop_devices.attach(tmp_path / "n1")
    os.close(held)
    assert str(device) == "/dev/loop3" == opened[-1]
