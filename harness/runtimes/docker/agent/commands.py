"""The host's own programs, run for their effect or their words."""

from __future__ import annotations

import subprocess


class Refused(Exception):
    """A request that could not be carried out; the words go back to the controller."""


def run(*command: str, given: str = "") -> str:
    """What the command prints, ``given`` being its input. Raises Refused with its complaint when it fails."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
