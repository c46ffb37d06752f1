"""Wrong answers to lookups of names by the processes of this host's network namespace.

Lookups are packets to port 53: of glibc, musl, Go and Java alike. While an answer is to be wrong, rules redirect these
packets to a small name server of ours, which asks the engine's and looks into the reply. A reply with the address of a
machine whose name is to be wrong is replaced, whatever the name was: an alias or a name with a domain is as wrong. All
other replies pass unchanged.

Not reached: names that the software takes from a file (/etc/hosts), answers that it remembers, and a socket of its own
that it goes on using for lookups.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from splitbrain.runtimes.docker.agent.commands import RequestFailed, run

PORT = 7953
MARK = 0x5353  # of our lookups, which are not redirected
SO_MARK = 36
DOMAIN = 53
ENGINE = "127.0.0.11"  # the engine's name server, where /etc/resolv.conf names none
UPSTREAM_SECONDS = 5.0
LONGEST = 65_535
HEADER_BYTES = 12
NO_SUCH_NAME = b"\x81\x83"  # flags of a reply: recursion desired and available, NXDOMAIN
ADDRESS_RECORD = b"\x00\x04"  # the length of the data of a record with an IPv4 address
WITHIN_TCP = 2  # bytes of the length before a message


class NameServer:
    """The name server of this host; ``answers`` are by true address the one to give instead, None for none."""

    def __init__(self) -> None:
        self._answers: Mapping[str, str | None] = {}
        self._redirected = False
        self._servers: tuple[socketserver.BaseServer, ...] = ()

    def set(self, answers: Mapping[str, str | None]) -> None:
        """Replace the wrong answers; without any, lookups go their usual way."""
        self._answers = dict(answers)
        if answers and not self._servers:
            self._servers = (_UdpServer(self), _TcpServer(self))
            for server in self._servers:
                threading.Thread(target=server.serve_forever, name="names", daemon=True).start()
        if bool(answers) != self._redirected:
            _redirect(answers != {})
            self._redirected = bool(answers)

    def reply(self, query: bytes, over_tcp: bool) -> bytes:
        """Return the reply to a query: the true one, with wrong addresses where they are to be wrong."""
        return replaced(query, _ask(query, over_tcp), self._answers)


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = LONGEST

    def __init__(self, names: NameServer) -> None:
        self.names = names
        super().__init__(("127.0.0.1", PORT), _UdpQuery)

    def handle_error(self, request: object, client_address: object) -> None:
        """No answer from above is none from us: the program asks again."""


class _UdpQuery(socketserver.BaseRequestHandler):
    server: _UdpServer

    def handle(self) -> None:
        query, line = self.request
        line.sendto(self.server.names.reply(query, over_tcp=False), self.client_address)


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, names: NameServer) -> None:
        self.names = names
        super().__init__(("127.0.0.1", PORT), _TcpQuery)

    def handle_error(self, request: object, client_address: object) -> None:
        """As above."""


class _TcpQuery(socketserver.StreamRequestHandler):
    server: _TcpServer

    def handle(self) -> None:
        while length := self.rfile.read(WITHIN_TCP):
            reply = self.server.names.reply(self.rfile.read(int.from_bytes(length, "big")), over_tcp=True)
            self.wfile.write(len(reply).to_bytes(WITHIN_TCP, "big") + reply)


def replaced(query: bytes, reply: bytes, answers: Mapping[str, str | None]) -> bytes:
    """The reply with the addresses replaced that are to be wrong; one with none is that the name does not exist."""
    for address, instead in answers.items():
        record = ADDRESS_RECORD + socket.inet_aton(address)
        if record in reply[HEADER_BYTES:]:
            if instead is None:
                return no_such_name(query)
            reply = reply.replace(record, ADDRESS_RECORD + socket.inet_aton(instead))
    return reply


def no_such_name(query: bytes) -> bytes:
    """The reply that a name does not exist."""
    at = HEADER_BYTES
    while query[at]:
        at += 1 + query[at]
    question = query[HEADER_BYTES : at + 5]  # the name's end, its type and class
    return query[:2] + NO_SUCH_NAME + b"\x00\x01" + bytes(6) + question


def look_up(names: Sequence[str]) -> dict[str, str | None]:
    """Resolve names in a new process, by the C library's resolver; each to its first address, None for none."""
    return {name: _look_up(name) for name in names}


def _look_up(name: str) -> str | None:
    done = subprocess.run(("getent", "ahostsv4", name), capture_output=True, text=True, check=False)
    return done.stdout.split()[0] if done.returncode == 0 else None


def _ask(query: bytes, over_tcp: bool) -> bytes:
    """Ask the name server that the host is configured with. Raises OSError."""
    kind = socket.SOCK_STREAM if over_tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as line:
        line.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)
        line.settimeout(UPSTREAM_SECONDS)
        line.connect((upstream(Path("/etc/resolv.conf").read_text()), DOMAIN))
        if not over_tcp:
            line.send(query)
            return line.recv(LONGEST)
        with line.makefile("rwb") as stream:
            stream.write(len(query).to_bytes(WITHIN_TCP, "big") + query)
            stream.flush()
            return stream.read(int.from_bytes(stream.read(WITHIN_TCP), "big"))


def upstream(configuration: str) -> str:
    """The first name server of a resolv.conf(5)."""
    lines = (line.split() for line in configuration.splitlines())
    return next((words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1), ENGINE)


def _redirect(wanted: bool) -> None:
    """Insert the rules for lookups before the engine's, or delete them."""
    for protocol in ("udp", "tcp"):
        where = f"OUTPUT -p {protocol} --dport {DOMAIN} -m mark ! --mark {MARK:#x} -j REDIRECT --to-ports {PORT}"
        run(_iptables(), "-t", "nat", "-I" if wanted else "-D", *where.split())


def _iptables() -> str:
    """The program by which the engine has made its rules: of two kinds only the one that came first has an effect."""
    for program in ("iptables", "iptables-legacy"):
        with contextlib.suppress(RequestFailed, FileNotFoundError):
            if "DOCKER_OUTPUT" in run(program, "-t", "nat", "-S"):
                return program
    return "iptables"
