"""A node that runs out of memory: its first process takes more than its container has, and the kernel ends it.

The limit of the container is the engine's doing. The memory is the node's own: one thread of it is held (ptrace(2)),
and made to map so many bytes and to touch them all (mmap(2), MAP_POPULATE), by the system call instruction that its
vDSO has. So it needs nothing in the node's image, and works for any program, static ones too. The process never runs
a line of its own code afterwards: either the kernel's OOM killer ends it or we do. Nothing is put back.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.runtimes.docker.agent import processes
from harness.runtimes.docker.agent.stillness import (
    GENERAL_REGISTERS,
    GETREGSET,
    INTERRUPT,
    REGISTERS_BYTES,
    SEIZE,
    WAIT_ALL,
    Gone,
    ptrace,
)
from harness.runtimes.docker.agent.vdso import Unsupported, vdso_of

SETREGSET, SINGLE_STEP = 0x4205, 9
READ_WRITE = 1 | 2
PRIVATE_ANONYMOUS_POPULATED = 0x02 | 0x20 | 0x4000 | 0x8000  # MAP_NORESERVE too
NO_FILE = 2**64 - 1
FIRST_TO_DIE = 1_000  # of /proc/PID/oom_score_adj: not a bigger process beside it
GROW_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Calling:
    """How a system call is made on a kind of processor: general registers by their places, and the instruction."""

    instruction: bytes
    step: int  # instructions begin at multiples of this
    map_memory: int  # the number of mmap
    number: int
    arguments: tuple[int, int, int, int, int, int]
    counter: int
    interrupted: int | None = None  # says which call is to be begun again, unless it says none


CALLING: Mapping[str, Calling] = {
    "x86_64": Calling(
        instruction=b"\x0f\x05",
        step=1,
        map_memory=9,
        number=10,
        arguments=(14, 13, 12, 7, 9, 8),
        counter=16,
        interrupted=15,
    ),
    "aarch64": Calling(
        instruction=b"\x01\x00\x00\xd4",
        step=4,
        map_memory=222,
        number=8,
        arguments=(0, 1, 2, 3, 4, 5),
        counter=32,
    ),
}


def grow(size: int) -> dict[str, Any]:
    """Have the node's first process take that many bytes. ``wrong`` says why the kernel has not killed it for that.

    It is dead afterwards in any case, and all its kin.
    """
    first = next((pid for pid in processes.node_processes() if processes.parent(pid) == 0), None)
    wrong: str | None = None
    try:
        if first is None:
            wrong = "it had no first process that could grow"
        elif not made_to_grow(first, size):
            wrong = "with its memory at the limit it lived on, and was killed"
    except (Gone, Unsupported, OSError) as failure:
        wrong = f"it could not be made to grow: {failure}"
    finally:
        processes.kill()
    return {"wrong": wrong}


def made_to_grow(pid: int, size: int) -> bool:
    """Whether something killed the process while it took that many bytes. If not, it stands still as our tracee."""
    calling = CALLING.get(platform.machine())
    if calling is None:
        raise Unsupported(f"not known how a system call is made on {platform.machine()}")
    instruction = _instruction(pid, calling)
    Path(f"/proc/{pid}/oom_score_adj").write_text(str(FIRST_TO_DIE))
    ptrace(SEIZE, pid)
    ptrace(INTERRUPT, pid)
    give_up = time.monotonic() + GROW_SECONDS
    if _killed(pid, give_up):
        raise Gone(f"process {pid} ended before it could grow")
    registers = _registers(pid)
    called = (0, size, READ_WRITE, PRIVATE_ANONYMOUS_POPULATED, NO_FILE, 0)
    for place, value in zip(calling.arguments, called, strict=True):
        registers[place] = value
    registers[calling.number] = calling.map_memory
    registers[calling.counter] = instruction
    if calling.interrupted is not None:
        registers[calling.interrupted] = NO_FILE  # minus one: none
    _set_registers(pid, registers)
    ptrace(SINGLE_STEP, pid)
    return _killed(pid, give_up)


def _instruction(pid: int, calling: Calling) -> int:
    """Where in its memory the process has an instruction that calls the system: its vDSO falls back on that."""
    first, last = vdso_of(pid)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        image = os.pread(memory.fileno(), last - first, first)
    at = image.find(calling.instruction)
    while at % calling.step:
        at = image.find(calling.instruction, at + 1)
    if at < 0:
        raise Unsupported("its vDSO makes no system call")
    return first + at


def _killed(pid: int, give_up: float) -> bool:
    """Wait for the thread's next stop; whether it was killed instead. Raises OSError if neither comes in time."""
    while time.monotonic() < give_up:
        found, status = os.waitpid(pid, os.WNOHANG | WAIT_ALL)
        if found:
            return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        time.sleep(0.001)
    raise OSError(errno.EBUSY, f"process {pid} could not be held")


def _registers(pid: int) -> list[int]:
    room = ctypes.create_string_buffer(REGISTERS_BYTES)
    vector = (ctypes.c_uint64 * 2)(ctypes.addressof(room), REGISTERS_BYTES)
    ptrace(GETREGSET, pid, GENERAL_REGISTERS, ctypes.addressof(vector))
    return list(struct.unpack_from(f"<{vector[1] // 8}Q", room))


def _set_registers(pid: int, registers: list[int]) -> None:
    packed = struct.pack(f"<{len(registers)}Q", *registers)
    room = ctypes.create_string_buffer(packed, len(packed))
    vector = (ctypes.c_uint64 * 2)(ctypes.addressof(room), len(packed))
    ptrace(SETREGSET, pid, GENERAL_REGISTERS, ctypes.addressof(vector))
