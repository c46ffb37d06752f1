"""The store of runs: ``store/<system>-<nemesis>/<UTC time>-<seed>/``, and links to the newest.

A file is written beside its place and then renamed into it, so a reader never sees half of one.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.checkers.files import read_whole
from splitbrain.errors import EnvironmentFailure, UsageError
from splitbrain.reports import atomic

HISTORY = "history.jsonl"
EXPERIMENT = "experiment.json"
SCHEDULE = "schedule.json"
VERDICTS = "verdicts.json"
REPORT = "report.html"
LATEST = "latest"


class ReadOnly(EnvironmentFailure):
    """A run in a folder that may not be changed: its verdict can still be printed."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run's folder."""

    path: Path

    @property
    def history(self) -> Path:
        return self.path / HISTORY

    @property
    def report(self) -> Path:
        return self.path / REPORT

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Raises EnvironmentFailure when the disk does not take it, ReadOnly for a folder that may not be changed."""
        target = self.path / name
        try:
            atomic.write(target, (json.dumps(value, indent=2) + "\n").encode())
        except OSError as failure:
            kind = ReadOnly if failure.errno in (errno.EROFS, errno.EACCES, errno.EPERM) else EnvironmentFailure
            raise kind(_words(target, failure)) from failure

    def read_json(self, name: str) -> dict[str, Any]:
        """The object in a file; an empty one if there is no such file or it holds no object.

        The records of a run help to show it, and an incomplete run can still be judged.
        """
        try:
            value = msgspec.json.decode(read_whole(self.path / name))
        except (OSError, ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


def make_store(store: Path) -> None:
    """Make the directory of a store, before anything is measured that is to be kept there.

    Raises UsageError for a place that can hold none.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UsageError(f"{store}: expected a directory for the store") from None
    except (FileNotFoundError, NotADirectoryError, PermissionError) as failure:
        raise UsageError(f"{store}: cannot be the store: {failure.strerror}") from failure
    except OSError as failure:
        raise EnvironmentFailure(_words(store, failure)) from failure


def new_run(store: Path, name: str, seed: int) -> RunDirectory:
    """A new folder for a run; two runs of one second and one seed get two."""
    make_store(store)
    make_store(store / name)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for attempt in range(1, 1000):
        suffix = "" if attempt == 1 else f".{attempt}"
        path = store / name / f"{stamp}-{seed}{suffix}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as failure:
            raise EnvironmentFailure(_words(path, failure)) from failure
        return RunDirectory(path)
    raise EnvironmentFailure(f"{store / name}: too many runs in one second")


def link_latest(store: Path, run: RunDirectory) -> None:
    """Point ``store/latest`` and ``store/<name>/latest`` to the run. Raises EnvironmentFailure if the disk refuses."""
    for folder in (store, run.path.parent):
        beside = folder / f".{LATEST}.{os.getpid()}"
        try:
            beside.unlink(missing_ok=True)
            beside.symlink_to(run.path.relative_to(folder) if folder in run.path.parents else run.path.resolve())
            beside.replace(folder / LATEST)
        except OSError as failure:
            raise EnvironmentFailure(_words(folder / LATEST, failure)) from failure


def existing_run(path: Path) -> RunDirectory:
    """The run at ``path``; raises UsageError when it holds no history."""
    if not path.is_dir():
        raise UsageError(f"{path}: expected a run's directory")
    run = RunDirectory(path)
    if not run.history.is_file():
        raise UsageError(f"{path}: expected a run's directory, and there is no {HISTORY} in it")
    return run


def _words(path: Path, failure: OSError) -> str:
    reason = "the disk is full" if failure.errno == errno.ENOSPC else failure.strerror
    return f"{path}: cannot be written: {reason}"
