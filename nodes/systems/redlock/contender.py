"""Redlock: a lock on several Redis servers that know nothing of one another, held as a leadership.

After "Distributed Locks with Redis" (redis.io): a contender sets the same key with a value of its own and a time to
live, only where there is none, on all servers one after the other, each within a short timeout. It holds the lock if a
majority took it and time is left: the time to live, less what the asking took, less an allowance for drift. While it
holds the lock it extends it in the same way, and where it failed it takes back what it set and tries again after a
random while.

The promise, as far as there is one: a contender says that it leads only while the validity that it computed has not
run out, by its monotonic clock, at the instant of the answer (``trusting``: until an extension has failed, as a program
does that took the lock and works on). The servers' clocks, their pauses and what they forget are none of its business,
which is where the algorithm is weak (Kleppmann, "How to do distributed locking", 2016). There is no token: two holders
are told apart by nobody.

    python3 -m splitbrain.nodes.systems.redlock.contender --id n1 --server ADDRESS:PORT ... [--trusting] [--seed 7]
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from random import Random
from typing import Final

from splitbrain.nodes.endpoint import NodeServer
from splitbrain.nodes.protocol import Answer, Json
from splitbrain.nodes.resp import Command, ErrorReply, Reply, ReplyParser, RespError, encode
from splitbrain.nodes.systems.base import CLIENT_PORT

KEY: Final = "splitbrain:lock"
TTL_MS: Final = 2_000
EXTEND_S: Final = 0.4
RETRY_S: Final = (0.05, 0.2)
SERVER_S: Final = 0.05
DRIFT: Final = 0.01  # of the time to live, and 2 ms on top
DRIFT_MS: Final = 2

EXTEND: Final = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('pexpire',KEYS[1],ARGV[2]) end return 0"
RELEASE: Final = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end return 0"


class Server:
    """One Redis, as a contender asks it: one question at a time, each within ``SERVER_S``."""

    def __init__(self, address: str, port: int) -> None:
        self._where = (address, port)
        self._socket: socket.socket | None = None

    def ask(self, command: Command) -> Reply:
        """The reply; an ErrorReply too when there is none in time."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._where, SERVER_S)
            self._socket.settimeout(SERVER_S)
            self._socket.sendall(encode(command))
            parser = ReplyParser()
            while not (replies := parser.feed(self._received(self._socket))):
                pass
            return replies[0]
        except (OSError, RespError) as failure:
            self._forget()  # what it would still answer belongs to this question
            return ErrorReply(f"no answer: {failure}")

    def _received(self, connection: socket.socket) -> bytes:
        data = connection.recv(65_536)
        if not data:
            raise ConnectionError("closed")
        return data

    def _forget(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket = None


class RedlockContender:
    """Tries to get the lock and to keep it, for ever; answers what it believes."""

    def __init__(self, id: str, servers: Sequence[Server], rng: Random, trusting: bool) -> None:
        self.id = id
        self._servers = servers
        self._rng = rng
        self._trusting = trusting
        self._boot = secrets.token_hex(4)
        self._value = f"{id}/{self._boot}"
        self._wins = 0
        self._holds = False
        self._valid_until = 0.0
        self._other: str | None = None
        self._lock = threading.Lock()
        self._extended = threading.Condition(self._lock)
        self._extensions = 0

    # Called from many threads

    def status(self) -> dict[str, Json]:
        with self._lock:
            leading = self._leads()
            return {
                "id": self.id,
                "leading": leading,
                "leader": self.id if leading else self._other,
                "term": None,
                "reign": f"{self._boot}-{self._wins}" if leading else None,
            }

    def confirm(self, timeout: float) -> Answer:
        """Ok when the lock was extended on a majority after this was asked."""
        with self._lock:
            if not self._leads():
                return _answer(error="it does not hold the lock")
            before, wins = self._extensions, self._wins
            if not self._extended.wait_for(lambda: self._extensions > before or self._wins != wins, timeout):
                raise TimeoutError
            if self._wins != wins or not self._leads():
                return _answer(error="it lost the lock")
            return _answer(reign=f"{self._boot}-{self._wins}")

    def _leads(self) -> bool:
        return self._holds and (self._trusting or time.monotonic() < self._valid_until)

    # The thread that contends

    def contend(self) -> None:
        while True:
            if not self._take(("SET", KEY, self._value, "NX", "PX", TTL_MS), won=True):
                self._everywhere(("EVAL", RELEASE, 1, KEY, self._value))
                self._look()
                time.sleep(self._rng.uniform(*RETRY_S))
                continue
            while self._take(("EVAL", EXTEND, 1, KEY, self._value, TTL_MS), won=False) or self._still_valid():
                time.sleep(EXTEND_S)
            self._lose()

    def _take(self, command: Command, *, won: bool) -> bool:
        """Whether a majority did it, in time for the lock to be valid still."""
        began = time.monotonic()
        done = sum(reply in ("OK", 1) for reply in self._everywhere(command))
        validity = TTL_MS * (1 - DRIFT) - DRIFT_MS
        until = began + validity / 1000
        if 2 * done <= len(self._servers) or time.monotonic() >= until:
            return False
        with self._lock:
            if not won and not self._trusting and time.monotonic() >= self._valid_until:
                return False  # it had run out before it was extended: somebody else may have had the lock since
            self._wins += won
            self._extensions += not won
            self._holds, self._valid_until = True, until
            self._extended.notify_all()
        return True

    def _still_valid(self) -> bool:
        """Whether it holds the lock though it could not extend it just now: for as long as it was promised."""
        return not self._trusting and time.monotonic() < self._valid_until

    def _look(self) -> None:
        """Who else holds the lock, as a majority of the servers has it."""
        values = [reply for reply in self._everywhere(("GET", KEY)) if type(reply) is str]
        holder = max(values, key=values.count, default="")
        majority = 2 * values.count(holder) > len(self._servers)
        with self._lock:
            self._other = holder.rpartition("/")[0] if majority else None

    def _lose(self) -> None:
        with self._lock:
            self._holds = False
            self._wins += 1
            self._extended.notify_all()

    def _everywhere(self, command: Command) -> list[Reply]:
        return [server.ask(command) for server in self._servers]


def _answer(reign: str | None = None, error: str | None = None) -> Answer:
    return Answer(request=0, term=None, reign=reign, error=error)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python3 -m splitbrain.nodes.systems.redlock.contender")
    parser.add_argument("--id", required=True)
    parser.add_argument("--server", action="append", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--trusting", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    places = (server.rpartition(":") for server in given.server)
    servers = [Server(address, int(port)) for address, _, port in places]
    contender = RedlockContender(given.id, servers, Random(given.seed), given.trusting)
    threading.Thread(target=contender.contend, daemon=True).start()
    NodeServer(("0.0.0.0", CLIENT_PORT), contender).serve_forever()


if __name__ == "__main__":
    main()
