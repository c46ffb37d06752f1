"""System calls that a process makes on our behalf, by one of its threads while the process is stopped.

The instruction is one that the vDSO has, so the process's image needs nothing of ours, and any program will do,
statically linked ones too.
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
    ProcessGone,
    StoppedProcess,
    ptrace,
    registers_of,
)
from splitbrain.runtimes.docker.agent.vdso import Unsupported, vdso_of

SETREGSET, SINGLE_STEP, GETSIGMASK, SETSIGMASK = 0x4205, 9, 0x420A, 0x420B
ALL_BUT_STEPS = ~(1 << (signal.SIGTRAP - 1)) & (1 << 64) - 1
NONE = 2**64 - 1  # -1: no file, no system call
LAST_ERROR = 4_095
CALL_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SyscallAbi:
    """The system call convention of an architecture: its instruction, and general registers by their index.

    ``numbers`` are the calls' numbers by name, ``arch`` is the kernel's AUDIT_ARCH constant (linux/audit.h). ``starts``
    are calls that programs make as they set themselves up, before any code of their own, of which each makes one: for
    thread-local storage, or in a Go program without the C library to count the processors.
    """

    instruction: bytes
    step: int  # alignment of instructions
    number: int
    arguments: tuple[int, int, int, int, int, int]
    result: int
    counter: int
    interrupted: int | None = None  # holds the call to restart after a signal, or NONE
    arch: int
    numbers: Mapping[str, int]
    starts: tuple[str, ...]


ABIS: Mapping[str, SyscallAbi] = {
    "x86_64": SyscallAbi(
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
            "arch_prctl": 158,
            "sync_file_range": 277,
            "syncfs": 306,
            "seccomp": 317,
        },
        starts=("arch_prctl",),
    ),
    "aarch64": SyscallAbi(
        instruction=b"\x01\x00\x00\xd4",
        step=4,
        number=8,
        arguments=(0, 1, 2, 3, 4, 5),
        result=0,
        counter=32,
        arch=0xC00000B7,
        numbers={
            "close": 57,
            "set_tid_address": 96,
            "sched_getaffinity": 123,
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
        starts=("set_tid_address", "sched_getaffinity"),
    ),
}


def syscall_abi() -> SyscallAbi:
    """Return the convention of this machine. Raises Unsupported for an unknown architecture."""
    found = ABIS.get(platform.machine())
    if found is None:
        raise Unsupported(f"system calls: expected {' or '.join(ABIS)}, got the architecture {platform.machine()}")
    return found


def instruction_of(pid: int) -> int:
    """Find the address of a system call instruction in the process: its vDSO has one to fall back on."""
    abi = syscall_abi()
    first, last = vdso_of(pid)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        image = os.pread(memory.fileno(), last - first, first)
    at = image.find(abi.instruction)
    while at % abi.step:
        at = image.find(abi.instruction, at + 1)
    if at < 0:
        raise Unsupported("its vDSO has no system call instruction")
    return first + at


def begin(thread: int, instruction: int, name: str, *arguments: int) -> None:
    """Make a held thread start one system call; it stops again afterwards, unless the call ends it."""
    abi = syscall_abi()
    registers = registers_of(thread)
    for place, value in zip(abi.arguments, (*arguments, *(6 - len(arguments)) * (0,)), strict=True):
        registers[place] = value
    registers[abi.number] = abi.numbers[name]
    registers[abi.counter] = instruction
    if abi.interrupted is not None:
        registers[abi.interrupted] = NONE
    set_registers(thread, registers)
    ptrace(SINGLE_STEP, thread)


class RemoteThread:
    """A thread that makes system calls, ``with StoppedProcess(pid) as held, RemoteThread(held) as thread:``.

    Afterwards its registers and signal mask are restored; no signal reaches it in between. Raises ProcessGone,
    Unsupported, and OSError if no thread can be stopped.
    """

    def __init__(self, held: StoppedProcess) -> None:
        self._pid = held.pid
        self._thread = held.any_thread()
        self._instruction = instruction_of(held.pid)

    def __enter__(self) -> RemoteThread:
        self._registers = registers_of(self._thread)
        self._mask = ctypes.c_uint64()
        ptrace(GETSIGMASK, self._thread, 8, ctypes.addressof(self._mask))
        # A signal would be delivered before the call is made, to code that does not expect it.
        ptrace(SETSIGMASK, self._thread, 8, ctypes.addressof(ctypes.c_uint64(ALL_BUT_STEPS)))
        return self

    def __exit__(
        self, abi: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, ProcessGone):
            set_registers(self._thread, self._registers)
            ptrace(SETSIGMASK, self._thread, 8, ctypes.addressof(self._mask))

    def call(self, name: str, *arguments: int) -> int:
        """Make the thread execute a system call, and return its result. Raises OSError with its error."""
        begin(self._thread, self._instruction, name, *arguments)
        self._await(name)
        result = registers_of(self._thread)[syscall_abi().result]
        if result > NONE - LAST_ERROR:
            number = NONE + 1 - result
            raise OSError(number, f"{name} by process {self._pid}: {os.strerror(number)}")
        return result

    def _await(self, name: str) -> None:
        give_up = time.monotonic() + CALL_SECONDS
        while True:
            found, status = os.waitpid(self._thread, os.WNOHANG | WAIT_ALL)
            if found and not os.WIFSTOPPED(status):
                raise ProcessGone(f"process {self._pid} ended in {name}")
            if found and status >> 8 == signal.SIGTRAP:
                return
            if found:  # stopped by a pause, which is sent again until it holds
                ptrace(SINGLE_STEP, self._thread)
            if time.monotonic() > give_up:
                raise OSError(errno.EBUSY, f"{name} by process {self._pid} does not end")
            time.sleep(0.000_05)


def set_registers(thread: int, registers: list[int]) -> None:
    """Write the general registers of a held thread."""
    packed = struct.pack(f"<{len(registers)}Q", *registers)
    room = ctypes.create_string_buffer(packed, len(packed))
    vector = (ctypes.c_uint64 * 2)(ctypes.addressof(room), len(packed))
    ptrace(SETREGSET, thread, GENERAL_REGISTERS, ctypes.addressof(vector))
