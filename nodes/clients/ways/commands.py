"""A command in the node's container for every question: one shell in it that runs the command each time it is asked to.

A fresh process in a container costs the engine some 70 ms. So a shell is started there once, and runs the command for
every line that it is sent; the line is a nonce, which comes back after the output with the exit status. While a
command runs, a helper waits for the end of the shell's input, which comes when the question is given up, and kills it:
nothing is left behind. Where an image has no shell, each question is a process of its own.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import deque
from typing import Final

from splitbrain.nodes.clients.answers import Answer, check_size
from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown
from splitbrain.nodes.clients.connections import CLOSED, ConnectionPool
from splitbrain.nodes.clients.insides import Process
from splitbrain.nodes.clients.ways import Target
from splitbrain.nodes.systems.probes import Exec, filled

# The helper has ended before the nonce is written, so it cannot take the next line.
LOOP: Final = """\
exec 3<&0
while IFS= read -r nonce <&3; do
  "$@" </dev/null 3<&- & command=$!
  { IFS= read -r line <&3; kill -9 $command; } 2>/dev/null & helper=$!
  wait $command; status=$?
  { kill -9 $helper; wait $helper; } 2>/dev/null
  printf '\\n%s %s\\n' "$nonce" "$status"
done
"""
NO_SHELL: Final = ("executable file not found", "no such file or directory")
EXIT_STATUS: Final = "exit status"
COSTS: Final = 32  # of the latest questions


class Cost:
    """The time that recent questions took (ns)."""

    def __init__(self) -> None:
        self._latest: deque[int] = deque(maxlen=COSTS)

    def took(self, ns: int) -> None:
        self._latest.append(ns)

    @property
    def median_ns(self) -> int:
        """The median; 0 before the first."""
        return sorted(self._latest)[len(self._latest) // 2] if self._latest else 0


class ExecAsker:
    """Asks by a command in the node's container."""

    def __init__(self, way: Exec, target: Target) -> None:
        self._target = target
        self._command = [filled(word, target.own) for word in way.command]
        self._shells: ConnectionPool[_Shell] = ConnectionPool(self._start)
        self._without_shell = False
        self._hanging: Process | None = None
        self._cost = Cost()

    @property
    def cost_ns(self) -> int:
        return self._cost.median_ns

    async def ask(self) -> Answer:
        began = time.monotonic_ns()
        answer = await (self._once() if self._without_shell else self._in_shell())
        self._cost.took(time.monotonic_ns() - began)
        return answer

    async def close(self) -> None:
        self._shells.close()
        if self._hanging is not None:
            self._hanging.close()

    async def _in_shell(self) -> Answer:
        try:
            return await self._shells.ask(lambda shell: shell.ask())
        except NoShell:
            self._without_shell = True
            return await self._once()

    async def _start(self) -> _Shell:
        return _Shell(
            await self._target.inside.start(self._target.name, ["/bin/sh", "-c", LOOP, "ask", *self._command])
        )

    async def _once(self) -> Answer:
        """One process for this question. One that hangs cannot be ended, so no other is started meanwhile."""
        if self._hanging is not None and await self._hanging.status() is None:
            raise OperationFailed("no answer: the command that was asked before still runs")
        process = self._hanging = await self._target.inside.start(self._target.name, self._command)
        body = bytearray()
        try:
            while data := await process.read():
                body += data
                check_size(body)
            status = await process.status()
        finally:
            process.close()
        if status is None:
            raise OutcomeUnknown(CLOSED)
        self._hanging = None
        return _answer(bytes(body), status, process.errors)


class NoShell(OperationFailed):
    """The image has no shell."""


class _Shell:
    """A shell that runs the command for each nonce."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def ask(self) -> Answer:
        nonce = secrets.token_hex(8)
        with contextlib.suppress(OperationFailed):  # it has ended, and what it wrote may say why
            await self._process.write(f"{nonce}\n".encode())
        mark = f"\n{nonce} ".encode()
        came = bytearray()
        while (at := came.find(mark)) < 0 or not came.endswith(b"\n"):
            data = await self._process.read()
            if not data:
                raise await self._ended(bytes(came))
            came += data
            check_size(came)
        return _answer(bytes(came[:at]), int(came[at + len(mark) :]), self._process.errors)

    async def _ended(self, came: bytes) -> OperationFailed | OutcomeUnknown:
        words = came.decode(errors="replace") + self._process.errors
        if any(each in words.lower() for each in NO_SHELL) and "/bin/sh" in words:
            return NoShell("there is no /bin/sh")
        return OutcomeUnknown(f"incomplete answer: the shell ended: {words.strip() or 'it was closed'}")

    def close(self) -> None:
        self._process.close()


def _answer(body: bytes, status: int, errors: str) -> Answer:
    """The answer; a command that failed without output shows what it wrote to standard error."""
    return Answer(status=status, body=body or (errors.encode() if status else b""), counts=EXIT_STATUS)
