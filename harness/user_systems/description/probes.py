"""Read how each node is asked for its claim, and how a leader is asked to confirm."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args
from urllib.parse import SplitResult, unquote, urlsplit

from splitbrain.nodes.clients.expressions import Expression, ExpressionError
from splitbrain.nodes.clients.patterns import Pattern, PatternError
from splitbrain.nodes.systems.base import Software, System
from splitbrain.nodes.systems.probes import (
    COUNTED,
    ELEMENT,
    HOLES,
    Confirm,
    Exec,
    Format,
    Further,
    Http,
    KeptSet,
    Log,
    Probe,
    Redis,
    Sql,
    Tcp,
    Tls,
    Way,
    ports_of,
    statuses_of,
    unknown_hole,
)
from splitbrain.user_systems.description.table import (
    FLAG,
    NEEDED,
    TEXT,
    TEXTS_BY_NAME,
    Key,
    Kind,
    NotOfKind,
    Section,
    Table,
    one_of,
    whole,
)

T = TypeVar("T")
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
DATABASES: Final[Mapping[str, tuple[Literal["postgresql", "mysql"], int]]] = {
    "postgresql": ("postgresql", 5432),
    "postgres": ("postgresql", 5432),
    "mysql": ("mysql", 3306),
    "mariadb": ("mysql", 3306),
}
"""The engines of databases and their usual ports, by the scheme of a URL."""
KNOWN_HOLES: Final = ", ".join(f"{{{name}}}" for name in HOLES)


def _request_path(given: object) -> str:
    # A path that begins with a slash cannot name another host than the node that is asked.
    if not isinstance(given, str) or not re.fullmatch(r"/[!-\"$-~]*", given):
        raise NotOfKind
    return _with_holes(given)


def _with_holes(given: object) -> str:
    if not isinstance(given, str):
        raise NotOfKind
    if (hole := unknown_hole(given, (*HOLES, ELEMENT))) is not None:
        raise NotOfKind("", f"a text with no other placeholders than {KNOWN_HOLES} ({hole} is unknown)")
    return given


def _database(given: object) -> SplitResult:
    url = urlsplit(_with_holes(given))
    try:
        known = url.scheme in DATABASES and url.username and url.hostname == "{address}" and url.port != 0
    except ValueError:  # of a port that is none
        known = False
    if not known:
        raise NotOfKind
    return url


def _regex(given: object) -> str:
    if not isinstance(given, str):
        raise NotOfKind
    try:
        Pattern(given)
    except PatternError as wrong:
        raise NotOfKind("", f"a regular expression (at character {wrong.at + 1}: {wrong})") from wrong
    return given


def _words(given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or not given:
        raise NotOfKind
    return tuple(map(_with_holes, given))


def _expression(given: object) -> str:
    if not isinstance(given, str):
        raise NotOfKind
    try:
        Expression(given)
    except ExpressionError as wrong:
        raise NotOfKind("", f"an expression such as role == leader ({wrong})") from wrong
    return given


def _statuses(given: object) -> tuple[int, ...]:
    if not isinstance(given, list) or not all(type(status) is int for status in given):
        raise NotOfKind
    return tuple(given)


def _method(given: object) -> str:
    if not isinstance(given, str) or given.upper() not in METHODS:
        raise NotOfKind
    return given.upper()


def _headers(given: object) -> Mapping[str, str]:
    for name, text in TEXTS_BY_NAME.read(given).items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(r"[\t -~]*", text):
            raise NotOfKind(name, "the name and the text of a header, in ASCII and on one line")
        _with_holes(text)
    return TEXTS_BY_NAME.read(given)


def _names(given: object) -> Mapping[str, str]:
    for word, node in TEXTS_BY_NAME.read(given).items():
        if unknown_hole(word) or unknown_hole(node):
            raise NotOfKind(word, f"words with no other placeholders than {KNOWN_HOLES}")
    return TEXTS_BY_NAME.read(given)


REQUEST_PATH: Final = Kind("a path that begins with /, without spaces and #", _request_path)
WITH_HOLES: Final = Kind("a text", _with_holes)
WORDS: Final = Kind("a list of texts with at least one in it", _words)
DATABASE: Final = Kind("a URL such as postgresql://USER:PASSWORD@{address}:5432/DATABASE", _database)
REGEX: Final = Kind("a regular expression", _regex)
EXPRESSION: Final = Kind("an expression such as role == leader", _expression)
STATUSES: Final = Kind("a list of HTTP statuses, from 200 to 599, or of exit statuses, from 0 to 255", _statuses)
METHOD: Final = Kind(f"one of {', '.join(METHODS)}", _method)
HEADERS: Final = Kind("a table of texts", _headers)
NAMES: Final = Kind("a table of texts", _names)

# Ways of asking

PATH: Final = Key(name="path", kind=REQUEST_PATH, default=NEEDED, meaning="the path of the request")
HTTP_METHOD: Final = Key(name="method", kind=METHOD, usual="GET", meaning="the method of the request")
PORT: Final = Key(
    name="port", kind=whole(most=65_535), default="the `port` of the nodes", meaning="the port that is asked"
)
HEADER: Final = Key(name="headers", kind=HEADERS, usual={}, meaning="headers of the request, by name")
BODY: Final = Key(name="body", kind=WITH_HOLES, default="none", meaning="the body of the request")
STATUS: Final = Key(
    name="status",
    kind=STATUSES,
    usual=(),
    default="200 to 299, of a command 0; where `leading` tests `status` also those that it names, and 503 or 1",
    meaning="further statuses of answers, such as `[503]`; others are refusals",
)
USER: Final = Key(name="user", kind=WITH_HOLES, default=NEEDED, meaning="the user for basic authentication")
PASSWORD: Final = Key(name="password", kind=WITH_HOLES, default=NEEDED, meaning="the password of that user")
CA: Final = Key(
    name="ca", kind=TEXT, default="those of this machine", meaning="a file with the authorities that are trusted"
)
CERT: Final = Key(name="cert", kind=TEXT, default="none", meaning="a file with the client's certificate")
KEY: Final = Key(name="key", kind=TEXT, default="that of `cert`", meaning="a file with the key of that certificate")
VERIFY: Final = Key(name="verify", kind=FLAG, usual=True, meaning="false accepts any certificate of a node")
SERVER_NAME: Final = Key(
    name="server_name", kind=WITH_HOLES, usual="{name}", meaning="the name that a node's certificate must have"
)
BASIC: Final = Section(name="basic", meaning="Basic authentication.", keys=(USER, PASSWORD))
TLS: Final = Section(
    name="tls",
    meaning="The request is made over HTTPS. Files lie beside the description.",
    keys=(CA, CERT, KEY, VERIFY, SERVER_NAME),
)
HTTP: Final = Section(
    name="http",
    meaning="A request over HTTP.",
    keys=(PATH, HTTP_METHOD, PORT, HEADER, BODY, STATUS),
    tables=(BASIC, TLS),
)
COMMAND: Final = Key(
    name="exec",
    kind=WORDS,
    default="none",
    meaning="a command in the node's container, as a list of its words; its output is the answer, and its exit status "
    "the status",
)
SEND: Final = Key(name="send", kind=WITH_HOLES, usual="", meaning="the text that is sent")
UNTIL: Final = Key(
    name="until", kind=WITH_HOLES, default="the connection ends", meaning="the text at which the answer ends"
)
RESP_COMMAND: Final = Key(name="command", kind=WORDS, default=NEEDED, meaning="the words of the command")
LOGIN: Final = Key(name="user", kind=WITH_HOLES, default="the default user", meaning="the user who logs in")
LOGIN_PASSWORD: Final = Key(
    name="password", kind=WITH_HOLES, default="no login", meaning="the password of the login before the command"
)
TCP: Final = Section(name="tcp", meaning="A text that is sent over TCP.", keys=(SEND, UNTIL, PORT))
REDIS: Final = Section(
    name="redis",
    meaning="A command to a server that speaks the protocol of Redis.",
    keys=(RESP_COMMAND, PORT, LOGIN, LOGIN_PASSWORD),
)
URL: Final = Key(
    name="url",
    kind=DATABASE,
    default=NEEDED,
    meaning="`postgresql://USER:PASSWORD@{address}:5432/DATABASE`, or `mysql://...` for MySQL and MariaDB, which needs "
    "`pip install splitbrain[mysql]`",
)
QUERY: Final = Key(name="query", kind=WITH_HOLES, default=NEEDED, meaning="one statement")
SQL: Final = Section(name="sql", meaning="A query to a database.", keys=(URL, QUERY))
LOG_LEADING: Final = Key(
    name="leading",
    kind=REGEX,
    default=NEEDED,
    meaning="a regular expression that is found in a line of a node that leads",
)
LOG_FOLLOWER: Final = Key(
    name="follower",
    kind=REGEX,
    default=NEEDED,
    meaning="one that is found in a line of a node that leads no longer",
)
LOG_PATH: Final = Key(
    name="path", kind=WITH_HOLES, default="its standard output", meaning="a file in its container with the log"
)
LOG: Final = Section(
    name="log",
    meaning="The node's log: the last line that matches says if it leads ([how](asking.md#a-log)). `leading` and "
    "`reign` of the probe have defaults then.",
    keys=(LOG_LEADING, LOG_FOLLOWER, LOG_PATH),
)
WAYS: Final[Mapping[str, Callable[[Table], Way]]] = {
    "http": lambda table: _http(table.table(HTTP)),
    "exec": lambda table: Exec(command=table[COMMAND], statuses=_statuses_in(table, 0, 255)),
    "tcp": lambda table: _tcp(table.table(TCP)),
    "redis": lambda table: _redis(table.table(REDIS)),
    "sql": lambda table: _sql(table.table(SQL)),
    "log": lambda table: _log(table.table(LOG)),
}
"""How each way is read from the table that has it, by its key there."""
WAY_TABLES: Final = (HTTP, TCP, REDIS, SQL, LOG)
USUAL_FORMATS: Final[Mapping[type[Way], Format]] = {Exec: "text", Tcp: "text"}
"""The formats of answers of ways that mostly give no JSON."""

FORMAT: Final[Key[Format]] = Key(
    name="format",
    kind=one_of(get_args(Format)),
    default="`json`, of `exec` and `tcp` `text`",
    meaning="the format of answers ([formats](asking.md#formats))",
)

# The tables

LEADING: Final = Key(
    name="leading",
    kind=EXPRESSION,
    default=NEEDED,
    meaning="a [test](asking.md#expressions) that holds for the answer of a node that leads",
)
LEADER: Final = Key(
    name="leader",
    kind=EXPRESSION,
    default="null",
    meaning="the path to a node's name, its address, a URL with either, or a word of `names`",
)
LEADER_TERM: Final = Key(
    name="leader_term",
    kind=EXPRESSION,
    default="null",
    meaning="the path to the term of the leader that a node names; without it the node's `term` is not taken for it, "
    "since many systems go on to name the last leader while their term rises",
)
TERM: Final = Key(name="term", kind=EXPRESSION, default="null", meaning="the path to the node's present term")
VOTE: Final = Key(
    name="vote",
    kind=EXPRESSION,
    default="null",
    meaning="the path to the node for which it voted in that term",
)
REIGN: Final = Key(
    name="reign",
    kind=EXPRESSION,
    default="null",
    meaning="the path to the key of the node's present leadership",
)
NAMES_KEY: Final = Key(
    name="names",
    kind=NAMES,
    usual={},
    meaning='words for nodes in answers, and the nodes: `{"{address}:8222" = "{name}"}`',
)
FURTHER: Final = Section(
    name="also",
    meaning="Further answers of the same node, each put into the first under its name. A text is a path, asked as "
    "`http` is ([what holds of several answers](asking.md#several-answers)).",
    each=Section(name="NAME", meaning="A further answer.", keys=(COMMAND, STATUS, FORMAT), tables=WAY_TABLES),
)
VALUES: Final[tuple[Key[str], ...]] = (LEADER, LEADER_TERM, TERM, VOTE, REIGN)
OLD_PATH: Final = Key(
    name="path",
    kind=REQUEST_PATH,
    default="must be given, or another way of asking",
    meaning="short for `http = {path = ...}`",
)
PROBE: Final = Section(
    name="probe",
    meaning="How each node is asked for its claim: in one of these ways, by each node about itself.",
    keys=(OLD_PATH, COMMAND, STATUS, FORMAT, LEADING, *VALUES, NAMES_KEY),
    tables=(*WAY_TABLES, FURTHER),
)
CONFIRM_PATH: Final = Key(
    name="path",
    kind=REQUEST_PATH,
    default="none, or another way of asking",
    meaning="answered with a status below 300 when a quorum has just acknowledged; without it, availability rests on "
    "the leader that the nodes name, and is unknown where they name none ([how](judging.md#working-leadership))",
)
CONFIRM_METHOD: Final = Key(name="method", kind=METHOD, usual="POST", meaning="the method of the request to `path`")
OK: Final = Key(
    name="ok",
    kind=EXPRESSION,
    default="the status says it",
    meaning="a test that holds for the answer that acknowledges",
)
CONFIRM: Final = Section(
    name="confirm",
    meaning="How a node that leads is asked for an acknowledgement that takes its quorum.",
    keys=(CONFIRM_PATH, CONFIRM_METHOD, COMMAND, STATUS, FORMAT, OK),
    tables=WAY_TABLES,
)
MEMBERS: Final = Key(
    name="members",
    kind=EXPRESSION,
    usual=".",
    meaning="the path to the list of all elements, or of rows with one column",
)
ADD: Final = Section(
    name="add",
    meaning="How a node is asked to add `{element}`; acknowledged as in `[confirm]`.",
    keys=(COMMAND, STATUS, FORMAT, OK),
    tables=WAY_TABLES,
)
READ: Final = Section(
    name="read",
    meaning="How the leader is asked for all elements.",
    keys=(COMMAND, STATUS, FORMAT, MEMBERS),
    tables=WAY_TABLES,
)
SET: Final = Section(
    name="set",
    meaning="A set that the system keeps, for `--workload writes` "
    "([workloads](workloads.md#writes-to-the-system-itself)).",
    tables=(ADD, READ),
)


def read_probe(root: Table) -> Probe:
    """The probe of a description. Raises UsageError."""
    table = root.table(PROBE)
    way = _way(table) or _by_path(table)
    of_log = {"reign": "since"} if isinstance(way, Log) else {}
    values: dict[str, Any] = of_log | {key.name: table[key] for key in VALUES if key in table}
    if LEADER_TERM in table and not (LEADER in table and TERM in table):
        raise table.refuse(LEADER_TERM, "leader and term beside it", values["leader_term"])
    _refuse_element(table)
    probe = Probe(
        way=way,
        leading="leading" if isinstance(way, Log) and LEADING not in table else table[LEADING],
        format=_format(table, way),
        **values,
        also=_further(table, way),
        names=table[NAMES_KEY],
        confirm=_confirm(root),
        kept=_kept(root),
    )
    _check_format(table, probe)
    return probe


def _refuse_element(table: Table) -> None:
    """Refuse the placeholder of an element where there is none."""
    if (hole := f"{{{ELEMENT}}}") in repr(table.given):
        raise table.refusal(f"{table.label}{hole} stands for an element only in [set.add]")


def _check_format(table: Table, probe: Probe) -> None:
    """Refuse paths into a body that is not read."""
    for key in (LEADING, *VALUES):
        if probe.format == "status" and key in table and table[key] != COUNTED:
            paths = Expression(table[key], statuses_of(probe.way)).paths
            if paths:
                raise table.refuse(key, "a test of status only, since format is status", table[key])


def _format(table: Table, way: Way) -> Format:
    """The format of the answers of a way, the one that is usual for it unless another is named."""
    return table.get(FORMAT) or USUAL_FORMATS.get(type(way), "json")


def _way(table: Table) -> Way | None:
    """The way of asking that a table names; None if it names none."""
    named = [key for key in WAYS if key in table.given]
    if len(named) > 1 or (named and "path" in table.given):
        both = " and ".join([*named, *(["path"] if "path" in table.given else [])])
        raise table.refusal(f"{table.label}expected one way of asking, got {both}")
    return WAYS[named[0]](table) if named else None


def _statuses_in(table: Table, least: int, most: int) -> tuple[int, ...]:
    if STATUS.name not in table.given:
        return ()
    if not all(least <= status <= most for status in table[STATUS]):
        raise table.refuse(STATUS, f"a list of statuses from {least} to {most}", [*table[STATUS]])
    return table[STATUS]


def _by_path(table: Table) -> Http:
    if OLD_PATH not in table:
        raise table.refusal(f"{table.label}expected path or one of {', '.join(WAYS)}")
    return Http(path=table[OLD_PATH], statuses=_statuses_in(table, 200, 599))


def _http(table: Table) -> Http:
    basic, tls = table.table(BASIC), table.table(TLS)
    return Http(
        path=table[PATH],
        method=table[HTTP_METHOD],
        port=table.get(PORT),
        headers=tuple(table[HEADER].items()),
        body=table.get(BODY),
        basic=(basic[USER], basic[PASSWORD]) if basic.given else None,
        tls=_tls(tls) if TLS.name in table.given else None,
        statuses=_statuses_in(table, 200, 599),
    )


def _tcp(table: Table) -> Tcp:
    if not (SEND in table or UNTIL in table):
        raise table.refusal(f"{table.label}expected send or until")
    return Tcp(send=table[SEND], until=table.get(UNTIL), port=table.get(PORT))


def _redis(table: Table) -> Redis:
    if LOGIN in table and LOGIN_PASSWORD not in table:
        raise table.refuse(LOGIN, "password beside it", table[LOGIN])
    user, password = table.get(LOGIN), table.get(LOGIN_PASSWORD)
    return Redis(command=table[RESP_COMMAND], port=table.get(PORT), user=user, password=password)


def _sql(table: Table) -> Sql:
    url = table[URL]
    engine, usual_port = DATABASES[url.scheme]
    if engine == "mysql" and find_spec("pymysql") is None:
        raise table.refuse(URL, "PyMySQL for MySQL (pip install 'splitbrain[mysql]')", table.given[URL.name])
    return Sql(
        engine=engine,
        query=table[QUERY],
        port=url.port or usual_port,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        database=unquote(url.path.removeprefix("/")),
    )


def _log(table: Table) -> Log:
    return Log(leading=table[LOG_LEADING], follower=table[LOG_FOLLOWER], path=table.get(LOG_PATH))


def _tls(table: Table) -> Tls:
    files = {key.name: _file(table, key) for key in (CA, CERT, KEY) if key in table}
    if "key" in files and "cert" not in files:
        raise table.refuse(KEY, "cert beside it", table[KEY])
    return Tls(**files, verify=table[VERIFY], server_name=table[SERVER_NAME])


def _file(table: Table, key: Key[str]) -> str:
    path: Path = (table.description.folder / table[key]).resolve()
    if not path.is_file():
        raise table.refuse(key, "a file beside the description", table[key])
    return str(path)


def _further(probe: Table, first: Way) -> Mapping[str, Further]:
    """The further answers: a text is a path that is asked like the first one."""
    outer = probe.table(FURTHER)
    further = {}
    for name, given in outer.given.items():
        if isinstance(given, str):
            if not isinstance(first, Http):
                raise outer.refuse(name, "a table, since a path is asked over HTTP", given)
            further[name] = Further(way=replace(first, path=_path_at(outer, name), method="GET", body=None))
        else:
            assert FURTHER.each is not None
            table = Table(probe.description, FURTHER.each, outer.mapping(name), (*outer.path, name))
            way = _way(table)
            if way is None:
                raise table.refusal(f"{table.label}expected one of {', '.join(WAYS)}")
            further[name] = Further(way=way, format=_format(table, way))
    return further


def _path_at(outer: Table, name: str) -> str:
    return outer[Key(name=name, kind=REQUEST_PATH, meaning="")]


def _confirm(root: Table) -> Confirm | None:
    table = root.table(CONFIRM)
    if not table.given:
        return None
    _refuse_element(table)
    way = _way(table)
    if isinstance(way, Log):
        raise table.refuse(LOG.name, "a way that asks, since a log acknowledges nothing", table.given[LOG.name])
    if way is None:
        way = Http(path=table[CONFIRM_PATH], method=table[CONFIRM_METHOD])
    return Confirm(way=way, format=_format(table, way), ok=table.get(OK))


def _kept(root: Table) -> KeptSet | None:
    """The set that the system keeps, None if there is none."""
    table = root.table(SET)
    if not table.given:
        return None
    add, read = table.table(ADD), table.table(READ)
    adds, reads = _asking_way(add), _asking_way(read)
    if f"{{{ELEMENT}}}" not in repr(adds):
        raise add.refusal(f"{add.label}expected {{{ELEMENT}}} in what is sent")
    return KeptSet(
        add=Confirm(way=adds, format=_format(add, adds), ok=add.get(OK)),
        read=Further(way=reads, format=_format(read, reads)),
        members=read[MEMBERS],
    )


def _asking_way(table: Table) -> Way:
    """The way of a table that must name one that asks."""
    way = _way(table)
    if way is None or isinstance(way, Log):
        raise table.refusal(f"{table.label}expected one of {', '.join(key for key in WAYS if key != LOG.name)}")
    return way


def keeps_set(root: Table) -> bool:
    """True if the system keeps a set that clients can add to."""
    return bool(root.table(SET).given)


def with_probed_ports(system: System) -> System:
    """The system, on the nodes of which all ports that its probe asks are published."""
    assert system.probe is not None, "a description has a probe"
    probed = ports_of(system.probe)

    def published(software: Software) -> Software:
        return replace(software, ports=tuple(dict.fromkeys((*software.ports, *probed))))

    of_machines = {
        name: software if system.server(name) else published(software) for name, software in system.exceptions.items()
    }
    return replace(system, software=published(system.software), exceptions=of_machines)


def has_terms(root: Table) -> bool:
    """True if the probe finds the terms of nodes."""
    return TERM in root.table(PROBE)
