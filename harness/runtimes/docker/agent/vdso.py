"""Replacement of a process's clock functions in its vDSO, whatever language it is written in or linked with.

The kernel maps a small shared library into every process, the vDSO (vdso(7)), with the functions that read the clocks.
Its pages are private to the process, and a tracer may write them through ``/proc/PID/mem``. ``hook`` writes our code
after the end of that library, in the rest of its last page, and a jump to it over the first bytes of each clock
function. The rest of the library stays as it is, so a thread in the middle of one of the functions ends it undisturbed.

The code adds an error to each clock, from a table beside it. ``Hook.show`` changes the table while the process runs: no
thread waits, and each reads either all errors from before the change or all from after it (see ``clock_x86_64.S``).

Direct system calls, timers kept by the kernel, and file times do not go through the vDSO and are not reached.
"""

from __future__ import annotations

import os
import platform
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from splitbrain.runtimes.docker.agent.ptrace import ProcessGone, StoppedProcess

CLOCKS = 8
"""The table of errors has an entry for each clock id from 0 (CLOCK_REALTIME) up to this number."""
GAIN_ONE = 1 << 32
TRIES = 50
ERROR = struct.Struct("<qqq")
TURN = struct.Struct("<Q")


class Unsupported(Exception):
    """The clocks of this process, or of any process on this machine, cannot be changed; the message says why."""


@dataclass(frozen=True, slots=True)
class ClockError:
    """The error of a clock: ``offset`` ns at the true time ``since``, plus ``gain`` / 2**32 ns for each ns after it."""

    since: int = 0
    offset: int = 0
    gain: int = 0

    def at(self, now: int) -> int:
        """Return the error in ns at the true time ``now``."""
        return self.offset + ((now - self.since) * self.gain >> 32)


NO_ERROR = ClockError()


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """The parts that depend on the processor architecture.

    ``code`` is assembled from ``clock_<name>.S``; ``functions`` gives the offset in it of each vDSO function's
    replacement; the table follows the code. ``counter`` is the index of the instruction counter among a thread's
    general registers.
    """

    code: bytes
    functions: Mapping[str, int]
    jump: Callable[[int], bytes]
    counter: int

    @property
    def turn(self) -> int:
        return len(self.code)

    def slot(self, turn: int) -> int:
        """Return the offset of the errors that are valid in that turn."""
        return self.turn + TURN.size + (turn & 1) * CLOCKS * ERROR.size

    @property
    def size(self) -> int:
        return self.slot(1) + CLOCKS * ERROR.size


def _jump_x86_64(distance: int) -> bytes:
    return b"\xe9" + struct.pack("<i", distance - 5)


def _jump_aarch64(distance: int) -> bytes:
    """Assemble a landing pad (``bti c``, a no-op on older processors) and the branch."""
    return struct.pack("<II", 0xD503245F, 0x14000000 | ((distance - 4) >> 2 & 0x3FFFFFF))


ARCHITECTURES: Mapping[str, Architecture] = {
    "x86_64": Architecture(
        code=bytes.fromhex(
            "b8e40000000f0585c0756b83ff0777664c8b0e4d69c900ca9a3b4c034e0889f98d0c494c8b05ae00"
            "00004489c283e20169d2c00000004c8d15a30000004901d24d8d14ca4c89c8492b0249f76a10480f"
            "acd020490342084c3b057a00000075c34c01c831d2b900ca9a3b48f7f14889064889560831c0c390"
            "4885f674134989f831ffb8600000000f054c89c785c0752731c04885ff74204889fe31ffe85fffff"
            "ff85c075128b460831d2b9e8030000f7f14889460831c0c3574883ec104889e631ffe839ffffff58"
            "5a5f4885ff7403488907c30f1f440000"
        ),
        functions={"__vdso_clock_gettime": 0x00, "__vdso_gettimeofday": 0x78, "__vdso_time": 0xB8},
        jump=_jump_x86_64,
        counter=16,
    ),
    "aarch64": Architecture(
        code=bytes.fromhex(
            "e903002a280e80d2010000d4000400b53f1d0071c80300542a2c40a90c4099d24c73a7f24a2d0c9b"
            "0d0380522d7dad9b4e050010cffddfc842050010e3014092041880d26208049b42000d8b431040a9"
            "450840f9bf3903d5c20140f95f000feba1feff54430103cb627c459b637c059b4380c3936300048b"
            "4a01038b4209cc9a43a80c9b220c00a9000080d2c0035fd6e7031eaae60300aaa10000b4000080d2"
            "281580d2010000d4400100b5000080d2060100b4e10306aad2ffff97a00000b5220440f9037d80d2"
            "4208c39a220400f9fe0307aac0035fd6"
        ),
        functions={"__kernel_clock_gettime": 0x00, "__kernel_gettimeofday": 0x90},
        jump=_jump_aarch64,
        counter=32,
    ),
}


def architecture() -> Architecture:
    """Return the architecture of this machine. Raises Unsupported for an unknown one."""
    name = platform.machine()
    if name not in ARCHITECTURES:
        raise Unsupported(f"clocks: expected {' or '.join(ARCHITECTURES)}, got the architecture {name}")
    return ARCHITECTURES[name]


# The library in a process's memory


@dataclass(frozen=True, slots=True)
class Library:
    """The vDSO as mapped: its address, its bytes up to the end of its last page, its functions and its end."""

    start: int
    image: bytes
    functions: Mapping[str, tuple[int, int]]  # name -> (offset, length)
    end: int  # offset of the first unused byte


def library(start: int, image: bytes) -> Library:
    """Parse a 64-bit ELF image as mapped in memory. Raises Unsupported if it is not one."""
    if image[:6] != b"\x7fELF\x02\x01":
        raise Unsupported("its vDSO is not a 64-bit ELF library: it may be a 32-bit process")
    headers_at, sections_at = struct.unpack_from("<QQ", image, 32)
    header_size, headers, section_size, sections = struct.unpack_from("<HHHH", image, 54)
    end = sections_at + section_size * sections
    dynamic: dict[int, int] = {}
    for number in range(headers):
        kind, _, offset, _, _, in_file, in_memory, _ = struct.unpack_from(
            "<IIQQQQQQ", image, headers_at + header_size * number
        )
        if kind == 1:  # loaded
            end = max(end, offset + in_memory)
        if kind == 2:  # the dynamic section
            dynamic = dict(struct.iter_unpack("<QQ", image[offset : offset + in_file]))
    return Library(start, image, dict(_functions(image, dynamic)), end)


def _functions(image: bytes, dynamic: Mapping[int, int]) -> Iterator[tuple[str, tuple[int, int]]]:
    names, symbols = dynamic[5], dynamic[6]
    # The symbol table does not give its length; in every vDSO the string table comes right after it.
    for at in range(symbols, names, 24):
        name, info, _, _, value, size = struct.unpack_from("<IBBHQQ", image, at)
        if info & 15 == 2 and size:
            begins = names + name
            yield image[begins : image.index(b"\0", begins)].decode(), (value, size)


def vdso_of(pid: int) -> tuple[int, int]:
    """Return the address range of the process's vDSO.

    Raises ProcessGone also for a process that has none, for instance one about to execute another program.
    """
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError as error:
        raise ProcessGone(f"process {pid} has ended") from error
    for line in maps.splitlines():
        if line.endswith("[vdso]"):
            first, _, last = line.split(maxsplit=1)[0].partition("-")
            return int(first, 16), int(last, 16)
    raise ProcessGone(f"process {pid} has no vDSO")


# Patching


class Hook:
    """Our code in the program that a process executes, and its table of errors.

    When the process ends, or executes another program, every use raises ProcessGone.
    """

    def __init__(self, pid: int, memory: int, architecture: Architecture, at: int, jumps: Mapping[int, bytes]) -> None:
        self.pid = pid
        self.stopped = StoppedProcess(pid)
        self._memory = memory
        self._architecture = architecture
        self._at = at
        self._jumps = jumps

    def close(self) -> None:
        """Close the handle on the process's memory; the code stays there."""
        os.close(self._memory)

    def show(self, errors: Sequence[ClockError]) -> None:
        """Set the errors of the process's clocks, one for each clock id."""
        (turn,) = TURN.unpack(self._read(self._at + self._architecture.turn, TURN.size))
        packed = b"".join(ERROR.pack(error.since, error.offset, error.gain) for error in errors)
        self._write(self._at + self._architecture.slot(turn + 1), packed)
        self._write(self._at + self._architecture.turn, TURN.pack(turn + 1))

    def shown(self) -> tuple[ClockError, ...]:
        """Read the errors from the process's memory. Raises Unsupported if our code is not there."""
        if not self.holds():
            raise Unsupported(f"process {self.pid} does not have the clock functions that were installed")
        (turn,) = TURN.unpack(self._read(self._at + self._architecture.turn, TURN.size))
        packed = self._read(self._at + self._architecture.slot(turn), CLOCKS * ERROR.size)
        return tuple(ClockError(*error) for error in ERROR.iter_unpack(packed))

    def holds(self) -> bool:
        """True if the code and every jump to it are in place."""
        return self._read(self._at, len(self._architecture.code)) == self._architecture.code and all(
            self._read(address, len(jump)) == jump for address, jump in self._jumps.items()
        )

    def alive(self) -> bool:
        """True while the process executes the program that was patched; cheap."""
        try:
            return bool(os.pread(self._memory, 1, self._at))
        except OSError:
            return False

    def install(self) -> None:
        """Write the code and the jumps at an instant when no thread is at a place that a jump overwrites."""
        for _ in range(TRIES):
            with StoppedProcess(self.pid) as self.stopped:
                if not any(
                    address < counter < address + len(jump)
                    for counter in self.stopped.counters(self._architecture.counter)
                    for address, jump in self._jumps.items()
                ):
                    self.overwrite()
                    break
            time.sleep(0.001)
        else:
            raise Unsupported(f"process {self.pid} was inside its clock functions in all {TRIES} tries")

    def overwrite(self) -> None:
        """Write the code and the jumps, while no thread executes them."""
        blank = bytes(self._architecture.size - len(self._architecture.code))
        self._write(self._at, self._architecture.code + blank)
        for address, jump in self._jumps.items():
            self._write(address, jump)

    def _read(self, address: int, size: int) -> bytes:
        try:
            found = os.pread(self._memory, size, address)
        except OSError as error:
            raise ProcessGone(f"process {self.pid}: {error}") from error
        if len(found) < size:
            raise ProcessGone(f"the memory of process {self.pid} is gone")
        return found

    def _write(self, address: int, data: bytes) -> None:
        try:
            written = os.pwrite(self._memory, data, address)
        except OSError as error:
            if not self.alive():
                raise ProcessGone(f"process {self.pid}: {error}") from error
            raise Unsupported(f"the kernel does not let the vDSO of process {self.pid} be written: {error}") from error
        if written < len(data):
            raise ProcessGone(f"the memory of process {self.pid} is gone")


def hook(pid: int) -> Hook:
    """Patch the program that the process executes, with errors of zero; children of a patched process have the patch.

    The process is stopped for some tenths of a millisecond. Raises ProcessGone, Unsupported.
    """
    return _hooked(pid, Hook.install)


def hook_waiting(pid: int) -> Hook:
    """Patch a program of one thread that waits in the kernel, as ``hook`` does, without stopping it."""
    return _hooked(pid, Hook.overwrite)


def _hooked(pid: int, install: Callable[[Hook], None]) -> Hook:
    machine = architecture()
    start, end = vdso_of(pid)
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        kind = ProcessGone if isinstance(error, FileNotFoundError) else Unsupported
        raise kind(f"process {pid}: {error}") from error
    try:
        found = library(start, _image(memory, pid, start, end))
        at = -(-found.end // 16) * 16
        if at + machine.size > len(found.image):
            raise Unsupported(f"the vDSO has no room for {machine.size} bytes after its end at {found.end:#x}")
        jumps = {
            start + found.functions[name][0]: machine.jump(at + offset - found.functions[name][0])
            for name, offset in machine.functions.items()
            if name in found.functions
        }
        if not jumps:
            raise Unsupported(f"the vDSO has none of the functions {', '.join(machine.functions)}")
        made = Hook(pid, memory, machine, start + at, jumps)
        if not made.holds():
            install(made)
    except BaseException:
        os.close(memory)
        raise
    return made


def _image(memory: int, pid: int, start: int, end: int) -> bytes:
    image = os.pread(memory, end - start, start)
    if len(image) < end - start:
        raise ProcessGone(f"the memory of process {pid} is gone")
    return image
