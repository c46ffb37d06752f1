"""The interface to the containers of machines, for systems that are asked by commands or through their logs.

Clients get it from the runtime, and know no engine. Nothing that is started here counts as a process of the node:
faults leave it alone, unless they freeze or end the whole container.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol


class Output(Protocol):
    """What comes from a container, as it comes."""

    async def read(self) -> bytes:
        """More of it; empty at its end. Raises OperationFailed if more is waiting than anyone can want."""
        ...

    def close(self) -> None: ...


class Process(Output, Protocol):
    """A command that runs in a machine's container, and its standard output.

    ``errors`` is the end of what it wrote to standard error. ``close`` closes its input too, and a command that reads
    that ends by it.
    """

    errors: str

    async def write(self, data: bytes) -> None: ...

    async def status(self) -> int | None:
        """Its exit status once its output has ended; None while it runs."""
        ...


class Insides(Protocol):
    """The containers of the machines of a running cluster."""

    async def start(self, machine: str, command: Sequence[str]) -> Process:
        """Start a command in the container of that machine. Raises OperationFailed if it cannot be started."""
        ...

    async def log(self, machine: str) -> Output:
        """The log of that machine since its software started, whose output ends when the software does. Raises
        OperationFailed if it does not run."""
        ...

    async def stands_still(self, machine: str) -> bool:
        """True if all processes of the machine are stopped or frozen. Raises OperationFailed if none runs."""
        ...


class NoInsides:
    """Of clusters without containers to go into."""

    async def start(self, machine: str, command: Sequence[str]) -> Process:
        raise AssertionError(f"{machine} has no container to run {command} in")

    async def log(self, machine: str) -> Output:
        raise AssertionError(f"{machine} has no log")

    async def stands_still(self, machine: str) -> bool:
        raise AssertionError(f"{machine} has no container")


NO_INSIDES: Final = NoInsides()
