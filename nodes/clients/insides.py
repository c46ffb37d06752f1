"""The interface to the containers of machines, for systems that are asked by commands or through their logs.

Clients get it from the runtime, and know no engine. Nothing that is started here counts as a process of the node:
faults leave it alone, unless they freeze or end the whole container.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol


class Process(Protocol):
    """A command that runs in a machine's container. ``errors`` is the end of what it wrote to standard error."""

    errors: str

    async def read(self) -> bytes:
        """More of its standard output; empty at its end. Raises OperationFailed if it is more than anyone can want."""
        ...

    async def write(self, data: bytes) -> None: ...

    async def status(self) -> int | None:
        """Its exit status once its output has ended; None while it runs."""
        ...

    def close(self) -> None:
        """Close its input and its output. A command that reads its input ends by that."""
        ...


class Insides(Protocol):
    """The containers of the machines of a running cluster."""

    async def start(self, machine: str, command: Sequence[str]) -> Process:
        """Start a command in the container of that machine. Raises OperationFailed if it cannot be started."""
        ...


class NoInsides:
    """Of clusters without containers to go into."""

    async def start(self, machine: str, command: Sequence[str]) -> Process:
        raise AssertionError(f"{machine} has no container to run {command} in")


NO_INSIDES: Final = NoInsides()
