"""Read how the container of a node or of a server is made and started."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from signal import Signals
from typing import Any, Final, get_args

from splitbrain.nodes.systems.base import (
    CAPABILITIES,
    LEAST_MEMORY_MB,
    MORE_CAPABILITIES,
    ContainerOptions,
    Machine,
    OwnImage,
    RestartPolicy,
    Software,
    Words,
)
from splitbrain.user_systems.description.files import FILES, read_files
from splitbrain.user_systems.description.placeholders import (
    OF_PEERS,
    USUAL_PEER,
    USUAL_SEPARATOR,
    Style,
    WrongPlaceholder,
    checked,
    example,
    filled,
    listed,
)
from splitbrain.user_systems.description.table import (
    FLAG,
    NEEDED,
    TEXT,
    TEXTS,
    TEXTS_BY_NAME,
    Key,
    Kind,
    NotOfKind,
    Section,
    Table,
    list_of,
    matching,
    one_of,
    some_of,
    whole,
)

ROOT_GIVEN_UP: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
"""The capabilities of most images whose first process starts as root and continues as another user."""
PORT_NUMBER: Final = whole(most=65_535)
OF_IMAGES: Final = ("image", "folder", "debian")
LIFE_OF_TMPFS: Final = "emptied whenever the container starts"
MOST: Final = 32  # devices and folders in memory
MOST_PACKAGES: Final = 200
IPC_SYSCTLS: Final = ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")


def _size(given: object) -> int:
    """Bytes, as a number or as Docker writes them: 64m."""
    if type(given) is int and given > 0:
        return given
    found = re.fullmatch(r"([1-9][0-9]{0,11})([bkmg]?)b?", given.lower()) if isinstance(given, str) else None
    if found is None:
        raise NotOfKind
    return int(found[1]) << {"": 0, "b": 0, "k": 10, "m": 20, "g": 30}[found[2]]


def _limits(given: object) -> Mapping[str, tuple[int, int]]:
    if not isinstance(given, Mapping):
        raise NotOfKind
    return {str(name): _limit(name, value) for name, value in given.items()}


def _limit(name: str, given: object) -> tuple[int, int]:
    match given:
        case int() if type(given) is int and given >= -1:
            return given, given
        case {"soft": int(soft), "hard": int(hard), **rest} if not rest and soft >= -1 and hard >= -1:
            return soft, hard
    raise NotOfKind(name, "a whole number, or {soft = 1024, hard = 2048}")


def _sysctls(given: object) -> Mapping[str, str]:
    if not isinstance(given, Mapping):
        raise NotOfKind
    return {str(name): _sysctl(name, value) for name, value in given.items()}


def _sysctl(name: str, given: object) -> str:
    of_kernel = name.removeprefix("kernel.")
    if not re.fullmatch(r"[A-Za-z0-9_./-]+", name):
        raise NotOfKind(name, "the name of a setting")
    if not name.startswith(("net.", "fs.mqueue.")) and (of_kernel == name or of_kernel not in IPC_SYSCTLS):
        raise NotOfKind(name, "a setting of the network (net.), of message queues (fs.mqueue.) or of shared memory")
    if name.startswith("net.ipv6.") and name.endswith(".disable_ipv6"):
        raise NotOfKind(name, "no IPv6 between machines, since cuts are of IPv4; ipv6 = true is for one machine")
    if not isinstance(given, str) and type(given) is not int:
        raise NotOfKind(name, "a text or a number")
    return str(given)


def _signal(given: object) -> str:
    if not isinstance(given, str) or given not in Signals.__members__:
        raise NotOfKind
    return str(given)


def _variables(given: object) -> dict[str, str]:
    variables = TEXTS_BY_NAME.read(given)
    for name, text in variables.items():
        if not re.fullmatch(r"[^=\0]+", name) or "\0" in text:
            raise NotOfKind(name, "a name without = and a text, neither with a zero byte")
    return variables


SIZE: Final = Kind('a size such as "64m", or bytes', _size)
LIMITS: Final = Kind("a table of limits", _limits)
VARIABLES: Final = Kind(TEXTS_BY_NAME.expected, _variables)
SYSCTLS: Final = Kind("a table of settings", _sysctls)

IMAGE: Final = Key(
    name="image",
    kind=TEXT,
    default="must be given, or `folder` or `debian`",
    meaning="a tag that the engine has, or can pull",
)
FOLDER: Final = Key(
    name="folder",
    kind=TEXT,
    default="must be given, or `image` or `debian`",
    meaning="a folder with a Dockerfile, beside the file; `BASE` is a Debian with python3. Files arrive without the "
    "permission to execute",
)
COMMAND: Final[Key[tuple[str, ...]]] = Key(
    name="command",
    kind=TEXTS,
    usual=(),
    default="that of the image",
    meaning="the container's arguments; a word with `{peer}` is repeated for each other machine of its group",
)
ENTRYPOINT: Final[Key[tuple[str, ...]]] = Key(
    name="entrypoint",
    kind=TEXTS,
    default="that of the image",
    meaning="what is run with these arguments, likewise; the image's own arguments are then left out",
)
ENV: Final = Key(name="env", kind=VARIABLES, usual={}, meaning="environment variables, beside those of the image")
PEER: Final = Key(
    name="peer",
    kind=TEXT,
    usual=USUAL_PEER,
    meaning="how one of the others is written in `{peers}` and `{peer}`, with its `{name}`, `{index}` and `{address}`",
)
SEPARATOR: Final = Key(name="separator", kind=TEXT, usual=USUAL_SEPARATOR, meaning="stands between the parts of a list")
PORT: Final = Key(name="port", kind=PORT_NUMBER, usual=8_000, meaning="the port where the probe is answered")
SERVER_PORT: Final = Key(
    name="port",
    kind=PORT_NUMBER,
    default=NEEDED,
    meaning="a server is ready when it accepts connections there",
)
PORTS: Final[Key[tuple[int, ...]]] = Key(
    name="ports",
    kind=list_of(PORT_NUMBER, "a list of at most 16 ports", 16),
    usual=(),
    meaning="further ports that are asked from outside",
)
DATA: Final = Key(
    name="data",
    kind=TEXT,
    usual="/data",
    meaning="the folder of durable state, emptied by faults that remove it",
)
READY_S: Final = Key(
    name="ready_s", kind=whole(most=3_600), usual=30, meaning="the time within which a machine answers first"
)
RESTART: Final[Key[RestartPolicy]] = Key(
    name="restart",
    kind=one_of(get_args(RestartPolicy)),
    usual="never",
    meaning="after which ends a node is started again, in the set-up too: `on-failure` means a status other than 0. "
    "Ends that a fault causes are not meant: such a node starts when its fault is over",
)
RESTART_DELAY_MS: Final = Key(
    name="restart_delay_ms", kind=whole(0), usual=1_000, meaning="how much later it is started again"
)
USER: Final = Key(
    name="user",
    kind=matching(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?", 'a user, as "redis" or "101:101"'),
    default="that of the image",
    meaning="the user, and the group, that it runs as",
)
WORKING_DIR: Final = Key(
    name="working_dir",
    kind=matching(r"/[^\0]*", "a path that begins with /"),
    default="that of the image",
    meaning="the folder that it is started in",
)
CAPS: Final[Key[tuple[str, ...]]] = Key(
    name="capabilities",
    kind=some_of(CAPABILITIES),
    usual=ROOT_GIVEN_UP,
    meaning="the Linux capabilities that its container has, of Docker's usual ones without NET_RAW; `[]` for software "
    "that needs no root. The default is those by which an image gives root up",
)
CAP_ADD: Final[Key[tuple[str, ...]]] = Key(
    name="cap_add",
    kind=some_of((*CAPABILITIES, *MORE_CAPABILITIES)),
    usual=(),
    meaning="Linux capabilities beside these, any that there is ([what to know](your-own-image.md#rights))",
)
DEVICES: Final[Key[tuple[str, ...]]] = Key(
    name="devices",
    kind=list_of(matching(r"/dev/[^:\0]+", ""), "a list of devices such as /dev/net/tun", MOST),
    usual=(),
    meaning="devices of the engine's machine that it may use; others than `/dev/fuse` and `/dev/net/tun` need "
    "`--allow-privileged`",
)
SYSCTLS_KEY: Final[Key[Mapping[str, str]]] = Key(
    name="sysctls",
    kind=SYSCTLS,
    usual={},
    meaning='settings of the kernel for this machine alone, such as `"net.ipv4.ip_nonlocal_bind" = 1`',
)
TMPFS: Final[Key[tuple[str, ...]]] = Key(
    name="tmpfs",
    kind=list_of(
        matching(r"/[^:\0]+(:[^:\0]+)?", ""), 'a list of folders, as "/run" or "/run:size=64m,mode=755"', MOST
    ),
    usual=(),
    meaning=f"folders in memory, {LIFE_OF_TMPFS}",
)
SHM_SIZE: Final = Key(name="shm_size", kind=SIZE, default='`"64m"`', meaning="the size of /dev/shm")
ULIMITS: Final[Key[Mapping[str, tuple[int, int]]]] = Key(
    name="ulimits",
    kind=LIMITS,
    usual={},
    meaning="limits of its processes, as `nofile = 65536` or `nofile = {soft = 1024, hard = 2048}`",
)
INIT: Final = Key(
    name="init",
    kind=FLAG,
    usual=False,
    meaning="its first process is Docker's init, which passes signals on",
)
STOP_SIGNAL: Final = Key(
    name="stop_signal",
    kind=Kind("a signal such as SIGTERM", _signal),
    usual="SIGTERM",
    meaning="the signal by which the fault `stop` asks it to end",
)
IPV6: Final = Key(
    name="ipv6",
    kind=FLAG,
    usual=False,
    meaning="IPv6 within the machine (`::1`); machines reach each other by IPv4 only, which is what cuts are of",
)
MEMORY_MB: Final = Key(
    name="memory_mb", kind=whole(LEAST_MEMORY_MB), usual=1024, meaning="the most memory of a container"
)
PIDS: Final = Key(name="pids", kind=whole(), usual=1024, meaning="the most processes and threads of a container")

SUITE: Final = Key(
    name="suite",
    kind=matching(r"[a-z][a-z0-9-]*", "a suite such as trixie"),
    usual="bookworm",
    meaning="the Debian that the packages are of",
)
PACKAGES: Final[Key[tuple[str, ...]]] = Key(
    name="packages",
    kind=list_of(
        matching(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+~:-]+)?", ""),
        "a list of packages, as redis or redis=5:7.0.15-1",
        MOST_PACKAGES,
    ),
    usual=(),
    meaning="Debian packages that are installed, without those that they recommend",
)
DEBIAN: Final = Section(
    name="debian",
    meaning="Instead of `image`: an image made of Debian packages, as "
    '`debian = {suite = "trixie", packages = ["redis"]}`. It is made once, and anew after `splitbrain clean --images`.',
    keys=(SUITE, PACKAGES),
)

ALIASES: Final[Key[tuple[str, ...]]] = Key(
    name="aliases",
    kind=list_of(matching(r"[A-Za-z0-9][A-Za-z0-9_.-]*", ""), "a list of names of a machine", MOST),
    usual=(),
    meaning="further names by which the other machines find it; of a single machine, under `[node.NAME]`",
)
OF_CONTAINERS: Final[tuple[Key[Any], ...]] = (
    *(IMAGE, FOLDER, ENTRYPOINT, COMMAND, ENV, PEER, SEPARATOR, PORTS, DATA, READY_S),
    *(RESTART, RESTART_DELAY_MS, STOP_SIGNAL, USER, WORKING_DIR, INIT),
    *(CAPS, CAP_ADD, DEVICES, SYSCTLS_KEY, ULIMITS, MEMORY_MB, PIDS, SHM_SIZE, TMPFS, IPV6, ALIASES),
)
"""The keys of every container, beside its port."""
TABLES_OF_CONTAINERS: Final = (DEBIAN, FILES)
MERGED: Final = (ENV.name, FILES.name, SYSCTLS_KEY.name, ULIMITS.name)
"""Tables to which those of one machine add, where other values replace."""


def read_software(table: Table, port: Key[int], groups: Collection[str]) -> Software:
    """The software that a table describes, in a system with servers in these groups. Raises UsageError."""
    style = read_style(table)
    known = style.values(example(groups))
    return Software(
        image=_image(table),
        command=_words(table, COMMAND, style, known) or (lambda machine: ()),
        environment=_environment(table, style, known),
        ports=tuple(dict.fromkeys((table[port], *table[PORTS]))),
        data=table[DATA],
        ready_s=float(table[READY_S]),
        restart=table[RESTART],
        restart_delay_ms=table[RESTART_DELAY_MS],
        capabilities=tuple(dict.fromkeys((*table[CAPS], *table[CAP_ADD]))),
        memory_mb=table[MEMORY_MB],
        pids=table[PIDS],
        options=_options(table, style, known),
    )


def _options(table: Table, style: Style, known: Mapping[str, str]) -> ContainerOptions:
    return ContainerOptions(
        entrypoint=_words(table, ENTRYPOINT, style, known),
        files=read_files(table, style, known),
        user=table.get(USER),
        working_dir=table.get(WORKING_DIR),
        sysctls=table[SYSCTLS_KEY],
        devices=table[DEVICES],
        tmpfs={folder: options for folder, _, options in (text.partition(":") for text in table[TMPFS])},
        shm_bytes=table.get(SHM_SIZE),
        ulimits=table[ULIMITS],
        init=table[INIT],
        stop_signal=table[STOP_SIGNAL],
        ipv6=table[IPV6],
        aliases=table[ALIASES],
    )


def override(usual: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a table with those for one machine in their place; tables such as ``env`` add to each other."""
    kept = usual
    if given.keys() & set(OF_IMAGES):
        kept = {name: value for name, value in usual.items() if name not in OF_IMAGES}
    merged = {
        name: {**kept[name], **given[name]}
        for name in MERGED
        if isinstance(kept.get(name), Mapping) and isinstance(given.get(name), Mapping)
    }
    return {**kept, **given, **merged}


def _image(table: Table) -> OwnImage:
    if sum(name in table.given for name in OF_IMAGES) != 1:
        expected = "image (a tag), folder (with a Dockerfile) and debian (packages)"
        raise table.refusal(f"{table.label}expected one of {expected}")
    if DEBIAN.name in table.given:
        debian = table.table(DEBIAN)
        return OwnImage(suite=debian[SUITE], packages=debian[PACKAGES])
    if IMAGE in table:
        return OwnImage(tag=table[IMAGE])
    folder = (table.description.folder / table[FOLDER]).resolve()
    if not (folder / "Dockerfile").is_file():
        raise table.refuse(FOLDER, "a folder with a Dockerfile in it", str(folder))
    return OwnImage(folder=str(folder))


def read_style(table: Table) -> Style:
    """How lists are written, which every text relies on."""
    try:
        filled(table[PEER], dict.fromkeys(OF_PEERS, ""))
    except WrongPlaceholder as wrong:
        expected = f"a text with {listed(OF_PEERS)} about one of the others"
        raise table.refuse(PEER, expected, table[PEER], why=str(wrong)) from wrong
    return Style(peer=table[PEER], separator=table[SEPARATOR])


def _words(table: Table, key: Key[tuple[str, ...]], style: Style, known: Mapping[str, str]) -> Words | None:
    """The words of a command as they are on each machine; None if there are none."""
    texts = table.get(key)
    if texts is None:
        return None
    for text in texts:
        checked(table, key, text, {**known, "peer": ""})
    return style.words(texts)


def _environment(table: Table, style: Style, known: Mapping[str, str]) -> Callable[[Machine], Mapping[str, str]]:
    given = table[ENV]
    for name, text in given.items():
        checked(table, ENV, text, known, name)
    return lambda machine: {name: style.fill(text, machine) for name, text in given.items()}
