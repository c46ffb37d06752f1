"""System calls that a process makes on our behalf, by a thread of it that is held still.

The instruction for it is one that its vDSO has, so nothing need be in the process's image, and any program will do,
static ones too.
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
from types import TracebackType

from splitbrain.runtimes.docker.agent.ptrace import (
    GENERAL_REGISTERS,
    WAIT_ALL,
    Gone,
    Still,
    ptrace,
    registers_of,
)
from splitbrain.runtimes.docker.agent.vdso import Unsupported, vdso_of

SETREGSET, SINGLE_STEP, GETSIGMASK, SETSIGMASK = 0x4205, 9, 0x420A, 0x420B
ALL_BUT_STEPS = ~(1 << (signal.SIGTRAP - 1)) & (1 << 64) - 1
NONE = 2**64 - 1  # minus one: no file, no system call
LAST_ERROR = 4_095
CALL_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Calling:
    """How a system call is made on a kind of processor: general registers by their places, and the instruction.

    ``numbers`` are those of the calls by name, ``arch`` is what the kernel calls the kind (linux/audit.h).
    """

    instruction: bytes
    step: int  # instructions begin at multiples of this
    number: int
    arguments: tuple[int, int, int, int, int, int]
    result: int
    counter: int
    interrupted: int | None = None  # says which call is to be begun again, unless it says none
    arch: int
    numbers: Mapping[str, int]


CALLING: Mapping[str, Calling] = {
    "x86_64": Calling(
        instruction=b"\x0f\x05",
        step=1,
        number=10,
        arguments=(14, 13, 12, 7, 9, 8),
        result=10,
        counter=16,
        interrupted=15,
        arch=0xC000003E,
        numbers={
            "close": 3,
            "mmap": 9,
            "munmap": 11,
            "msync": 26,
            "fsync": 74,
            "fdatasync": 75,
            "prctl": 157,
            "sync_file_range": 277,
            "syncfs": 306,
            "seccomp": 317,
        },
    ),
    "aarch64": Calling(
        instruction=b"\x01\x00\x00\xd4",
        step=4,
        number=8,
        arguments=(0, 1, 2, 3, 4, 5),
        result=0,
        counter=32,
        arch=0xC00000B7,
        numbers={
            "close": 57,
            "mmap": 222,
            "munmap": 215,
            "msync": 227,
            "fsync": 82,
            "fdatasync": 83,
            "prctl": 167,
            "sync_file_range": 84,
            "syncfs": 267,
            "seccomp": 277,
        },
    ),
}


def calling() -> Calling:
    """This machine's; raises Unsupported for one that is not known."""
    found = CALLING.get(platform.machine())
    if found is None:
        raise Unsupported(f"not known how a system call is made on {platform.machine()}")
    return found


def instruction_of(pid: int) -> int:
    """Where in its memory the process has an instruction that calls the system: its vDSO falls back on that."""
    kind = calling()
    first, last = vdso_of(pid)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        image = os.pread(memory.fileno(), last - first, first)
    at = image.find(kind.instruction)
    while at % kind.step:
        at = image.find(kind.instruction, at + 1)
    if at < 0:
        raise Unsupported("its vDSO makes no system call")
    return first + at


def begin(thread: int, instruction: int, name: str, *arguments: int) -> None:
    """Let a thread that is held make that one call; it is held again after it, unless the call ends it."""
    kind = calling()
    registers = registers_of(thread)
    for place, value in zip(kind.arguments, (*arguments, *(6 - len(arguments)) * (0,)), strict=True):
        registers[place] = value
    registers[kind.number] = kind.numbers[name]
    registers[kind.counter] = instruction
    if kind.interrupted is not None:
        registers[kind.interrupted] = NONE
    set_registers(thread, registers)
    ptrace(SINGLE_STEP, thread)


class Borrowed:
    """``with Still(pid) as held, Borrowed(held) as thread:`` one thread of the process makes calls for us.

    Afterwards it stands where it stood: no register is another, and no signal has reached it meanwhile. Raises Gone,
    Unsupported, and OSError when no thread can be held.
    """

    def __init__(self, held: Still) -> None:
        self._pid = held.pid
        self._thread = held.any_thread()
        self._instruction = instruction_of(held.pid)

    def __enter__(self) -> Borrowed:
        self._registers = registers_of(self._thread)
        self._mask = ctypes.c_uint64()
        ptrace(GETSIGMASK, self._thread, 8, ctypes.addressof(self._mask))
        # A signal that came now would be delivered before the call is made, to code that does not expect it.
        ptrace(SETSIGMASK, self._thread, 8, ctypes.addressof(ctypes.c_uint64(ALL_BUT_STEPS)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Gone):
            set_registers(self._thread, self._registers)
            ptrace(SETSIGMASK, self._thread, 8, ctypes.addressof(self._mask))

    def call(self, name: str, *arguments: int) -> int:
        """The call's result. Raises OSError with its error."""
        begin(self._thread, self._instruction, name, *arguments)
        self._await(name)
        result = registers_of(self._thread)[calling().result]
        if result > NONE - LAST_ERROR:
            number = NONE + 1 - result
            raise OSError(number, f"{name} by process {self._pid}: {os.strerror(number)}")
        return result

    def _await(self, name: str) -> None:
        give_up = time.monotonic() + CALL_SECONDS
        while True:
            found, status = os.waitpid(self._thread, os.WNOHANG | WAIT_ALL)
            if found and not os.WIFSTOPPED(status):
                raise Gone(f"process {self._pid} ended in {name}")
            if found and status >> 8 == signal.SIGTRAP:
                return
            if found:  # a pause has struck, which is done again until it holds
                ptrace(SINGLE_STEP, self._thread)
            if time.monotonic() > give_up:
                raise OSError(errno.EBUSY, f"{name} by process {self._pid} does not end")
            time.sleep(0.000_05)


def set_registers(thread: int, registers: list[int]) -> None:
    packed = struct.pack(f"<{len(registers)}Q", *registers)
    room = ctypes.create_string_buffer(packed, len(packed))
    vector = (ctypes.c_uint64 * 2)(ctypes.addressof(room), len(packed))
    ptrace(SETREGSET, thread, GENERAL_REGISTERS, ctypes.addressof(vector))
