"""Programs of the host image, run for their effect or their output."""

from __future__ import annotations

import subprocess


class RequestFailed(Exception):
    """A request that could not be carried out; the message is the reply's error."""


def run(*command: str, given: str = "") -> str:
    """Run a command with ``given`` as its input and return its output. Raises RequestFailed when it fails."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RequestFailed(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
