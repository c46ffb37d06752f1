"""A process's own clock functions, replaced in its vDSO: code it has mapped, whatever it is written in or linked with.

The kernel maps a small shared library into every process, the vDSO (vdso(7)), whose functions read the clocks. Its
pages are private to the process, and whoever may trace it may write them through ``/proc/PID/mem``. ``hook`` puts code
of our own behind the end of that library, in the rest of its last page, and over the first bytes of each clock function
a jump to it. All else of the library stays as it is, so a thread that is in the middle of one of the functions ends it
undisturbed.

The code adds to each clock an error that a table beside it gives. ``Hook.show`` changes the table while the process
runs: no thread waits, and each reads the errors from before or those from after (see ``clock_x86_64.S``).

What does not go through the vDSO is not reached: a program that makes the system call itself, timers that the kernel
keeps, the times of files.
"""

from __future__ import annotations

import os
import platform
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from splitbrain.runtimes.docker.agent.ptrace import Gone, Still

CLOCKS = 8
"""The clocks of a table are those of these numbers, from 0 (CLOCK_REALTIME) on."""
GAIN_ONE = 1 << 32
TRIES = 50
ERROR = struct.Struct("<qqq")
TURN = struct.Struct("<Q")


class Unsupported(Exception):
    """The clocks of this process, or of any on this machine, cannot be changed; the words say why."""


@dataclass(frozen=True, slots=True)
class Error:
    """How wrong a clock is: by ``offset`` ns when it truly is ``since``, and then ``gain`` / 2**32 ns more each ns."""

    since: int = 0
    offset: int = 0
    gain: int = 0

    def at(self, now: int) -> int:
        """The error in ns when the clock truly shows ``now``."""
        return self.offset + ((now - self.since) * self.gain >> 32)


RIGHT = Error()


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What differs between kinds of processors.

    ``code`` is assembled from ``clock_<name>.S``; ``functions`` says where in it that stands which replaces a
    function of the vDSO; the table follows the code. ``counter`` is the number of the instruction counter among a
    thread's general registers.
    """

    code: bytes
    functions: Mapping[str, int]
    jump: Callable[[int], bytes]
    counter: int

    @property
    def turn(self) -> int:
        return len(self.code)

    def slot(self, turn: int) -> int:
        """Where the errors are that are valid in that turn."""
        return self.turn + TURN.size + (turn & 1) * CLOCKS * ERROR.size

    @property
    def size(self) -> int:
        return self.slot(1) + CLOCKS * ERROR.size


def _jump_x86_64(distance: int) -> bytes:
    return b"\xe9" + struct.pack("<i", distance - 5)


def _jump_aarch64(distance: int) -> bytes:
    """A landing pad (``bti c``, which older processors take for nothing), then the branch."""
    return struct.pack("<II", 0xD503245F, 0x14000000 | ((distance - 4) >> 2 & 0x3FFFFFF))


MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(
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
    "aarch64": Machine(
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


def machine() -> Machine:
    """This machine's; raises Unsupported for one that is not known."""
    name = platform.machine()
    if name not in MACHINES:
        raise Unsupported(f"clocks cannot be changed on {name}, only on {' and '.join(MACHINES)}")
    return MACHINES[name]


# The library in a process's memory


@dataclass(frozen=True, slots=True)
class Library:
    """The vDSO as it is mapped: where it begins, its bytes to the end of its last page, its functions, its own end."""

    start: int
    image: bytes
    functions: Mapping[str, tuple[int, int]]  # name -> (offset, length)
    end: int  # offset of the first byte that belongs to nothing


def library(start: int, image: bytes) -> Library:
    """Read a 64-bit ELF image as it stands in memory. Raises Unsupported if it is none."""
    if image[:6] != b"\x7fELF\x02\x01":
        raise Unsupported("its vDSO is no 64-bit library: a 32-bit process")
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
    # The table of symbols does not tell its length; in every vDSO the table of their names comes next.
    for at in range(symbols, names, 24):
        name, info, _, _, value, size = struct.unpack_from("<IBBHQQ", image, at)
        if info & 15 == 2 and size:
            begins = names + name
            yield image[begins : image.index(b"\0", begins)].decode(), (value, size)


def vdso_of(pid: int) -> tuple[int, int]:
    """Where the process has its vDSO: the first address and the one past it.

    Raises Gone also while it is about to execute another program, or else has none.
    """
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError as error:
        raise Gone(f"process {pid} has ended") from error
    for line in maps.splitlines():
        if line.endswith("[vdso]"):
            first, _, last = line.split(maxsplit=1)[0].partition("-")
            return int(first, 16), int(last, 16)
    raise Gone(f"process {pid} has no vDSO")


# Putting the code in


class Hook:
    """Our code in one program that a process executes: a handle on its memory, and on the table there.

    When the process ends, or executes another program, the memory is gone and every use raises Gone.
    """

    def __init__(self, pid: int, memory: int, machine: Machine, at: int, jumps: Mapping[int, bytes]) -> None:
        self.pid = pid
        self.still = Still(pid)
        self._memory = memory
        self._machine = machine
        self._at = at
        self._jumps = jumps

    def close(self) -> None:
        os.close(self._memory)

    def show(self, errors: Sequence[Error]) -> None:
        """From now on the process's clocks are off by these errors, one for each clock."""
        (turn,) = TURN.unpack(self._read(self._at + self._machine.turn, TURN.size))
        packed = b"".join(ERROR.pack(error.since, error.offset, error.gain) for error in errors)
        self._write(self._at + self._machine.slot(turn + 1), packed)
        self._write(self._at + self._machine.turn, TURN.pack(turn + 1))

    def shown(self) -> tuple[Error, ...]:
        """The errors as they stand in the process's memory. Raises Unsupported if our code is not there (any more)."""
        if not self.holds():
            raise Unsupported(f"process {self.pid} has not the clock functions that were put in")
        (turn,) = TURN.unpack(self._read(self._at + self._machine.turn, TURN.size))
        packed = self._read(self._at + self._machine.slot(turn), CLOCKS * ERROR.size)
        return tuple(Error(*error) for error in ERROR.iter_unpack(packed))

    def holds(self) -> bool:
        """Whether the code and every jump to it are in place."""
        return self._read(self._at, len(self._machine.code)) == self._machine.code and all(
            self._read(address, len(jump)) == jump for address, jump in self._jumps.items()
        )

    def alive(self) -> bool:
        """Whether the program is still what the process executes; cheap."""
        try:
            return bool(os.pread(self._memory, 1, self._at))
        except OSError:
            return False

    def put_in(self) -> None:
        """Write code and jumps while no thread is where a jump will be."""
        for _ in range(TRIES):
            with Still(self.pid) as self.still:
                if not any(
                    address < counter < address + len(jump)
                    for counter in self.still.counters(self._machine.counter)
                    for address, jump in self._jumps.items()
                ):
                    blank = bytes(self._machine.size - len(self._machine.code))
                    self._write(self._at, self._machine.code + blank)
                    for address, jump in self._jumps.items():
                        self._write(address, jump)
                    break
            time.sleep(0.001)
        else:
            raise Unsupported(f"process {self.pid} stands in its clock functions whenever it is looked at")

    def _read(self, address: int, size: int) -> bytes:
        try:
            found = os.pread(self._memory, size, address)
        except OSError as error:
            raise Gone(f"process {self.pid}: {error}") from error
        if len(found) < size:
            raise Gone(f"the memory of process {self.pid} is gone")
        return found

    def _write(self, address: int, data: bytes) -> None:
        try:
            written = os.pwrite(self._memory, data, address)
        except OSError as error:
            if not self.alive():
                raise Gone(f"process {self.pid}: {error}") from error
            raise Unsupported(f"the kernel does not let the vDSO of process {self.pid} be written: {error}") from error
        if written < len(data):
            raise Gone(f"the memory of process {self.pid} is gone")


def hook(pid: int) -> Hook:
    """Put our code into what the process executes, all errors nought; if a parent had it, it is there already.

    The process is stopped for a moment, some tenths of a millisecond. Raises Gone, Unsupported.
    """
    kind = machine()
    start, end = vdso_of(pid)
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise (Gone if isinstance(error, FileNotFoundError) else Unsupported)(f"process {pid}: {error}") from error
    try:
        found = library(start, _whole(memory, pid, start, end))
        at = -(-found.end // 16) * 16
        if at + kind.size > len(found.image):
            raise Unsupported(f"the vDSO has no room for {kind.size} bytes behind its end at {found.end:#x}")
        jumps = {
            start + found.functions[name][0]: kind.jump(at + offset - found.functions[name][0])
            for name, offset in kind.functions.items()
            if name in found.functions
        }
        if not jumps:
            raise Unsupported(f"the vDSO has none of the functions {', '.join(kind.functions)}")
        made = Hook(pid, memory, kind, start + at, jumps)
        if not made.holds():
            made.put_in()
    except BaseException:
        os.close(memory)
        raise
    return made


def _whole(memory: int, pid: int, start: int, end: int) -> bytes:
    image = os.pread(memory, end - start, start)
    if len(image) < end - start:
        raise Gone(f"the memory of process {pid} is gone")
    return image
