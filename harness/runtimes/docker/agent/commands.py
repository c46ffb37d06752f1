"""Programs of the host image, run for their effect or their output."""

from __future__ import annotations

import subprocess

INCOMPATIBLE = "is incompatible, use 'nft' tool"
FOREIGN_RULES = (
    " (something on this host has added rules of nft, which iptables can neither read nor change: software that sets"
    " packet filters itself, such as a firewall or a service mesh, cannot run beside the rules of a test)"
)
"""What iptables-nft means when it calls a chain or a table incompatible."""


class RequestFailed(Exception):
    """A request that could not be carried out; the message is the reply's error."""


def run(*command: str, given: str = "") -> str:
    """Run a command with ``given`` as its input and return its output. Raises RequestFailed when it fails."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = done.stderr.strip() or done.stdout.strip()
        raise RequestFailed(f"{' '.join(command)}: {words}{FOREIGN_RULES if INCOMPATIBLE in words else ''}")
    return done.stdout
