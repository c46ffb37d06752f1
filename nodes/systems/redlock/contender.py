"""Redlock: leadership as a lock on several independent Redis servers.

After "Distributed Locks with Redis" (redis.io): a contender sets the same key to a unique value with a TTL, only if
absent (``SET NX PX``), on every server in turn, with a short timeout each. It holds the lock if a majority accepted and
validity remains: the TTL, less the time that the requests took, less an allowance for clock drift. While it holds the
lock it extends it in the same way; where it failed it deletes its values and retries after a random delay.

Guarantee: a contender claims to lead only while the validity that it computed has not expired on its monotonic clock
at the instant of the answer (``trusting``: until an extension fails, like a program that took the lock and works on).
The servers' clocks, pauses and lost data are not taken into account, which is the algorithm's weakness (M. Kleppmann,
"How to do distributed locking", 2016). There is no fencing token to distinguish two holders.

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
DRIFT: Final = 0.01  # of the TTL, plus 2 ms
DRIFT_MS: Final = 2

EXTEND: Final = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('pexpire',KEYS[1],ARGV[2]) end return 0"
RELEASE: Final = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end return 0"


class RedisServer:
    """Client for one Redis server: one request at a time, each within ``SERVER_S``."""

    def __init__(self, address: str, port: int) -> None:
        self._where = (address, port)
        self._socket: socket.socket | None = None

    def ask(self, command: Command) -> Reply:
        """The reply; an ErrorReply if there is none in time."""
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
            self._forget()  # a late reply must not be taken for that of the next request
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
    """Acquires and extends the lock, for ever, and reports its belief."""

    def __init__(self, id: str, servers: Sequence[RedisServer], rng: Random, trusting: bool) -> None:
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
        """Acknowledge once the lock was extended on a majority after this request."""
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
                self._read_holder()
                time.sleep(self._rng.uniform(*RETRY_S))
                continue
            while self._take(("EVAL", EXTEND, 1, KEY, self._value, TTL_MS), won=False) or self._still_valid():
                time.sleep(EXTEND_S)
            self._lose()

    def _take(self, command: Command, *, won: bool) -> bool:
        """Run a command on all servers; True if a majority accepted it while the lock is still valid."""
        began = time.monotonic()
        done = sum(reply in ("OK", 1) for reply in self._everywhere(command))
        validity = TTL_MS * (1 - DRIFT) - DRIFT_MS
        until = began + validity / 1000
        if 2 * done <= len(self._servers) or time.monotonic() >= until:
            return False
        with self._lock:
            if not won and not self._trusting and time.monotonic() >= self._valid_until:
                return False  # expired before it was extended: another contender may have held the lock since
            self._wins += won
            self._extensions += not won
            self._holds, self._valid_until = True, until
            self._extended.notify_all()
        return True

    def _still_valid(self) -> bool:
        """True if the last acquisition or extension is still valid, though the next extension failed."""
        return not self._trusting and time.monotonic() < self._valid_until

    def _read_holder(self) -> None:
        """Record the holder of the lock, as a majority of the servers has it."""
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
    parser = argparse.ArgumentParser(
        prog="splitbrain.nodes.systems.redlock.contender", description="Run a contender for a Redlock lock."
    )
    parser.add_argument("--id", required=True, help="name of this contender")
    parser.add_argument(
        "--server", action="append", required=True, metavar="ADDRESS:PORT", help="a Redis server; repeatable"
    )
    parser.add_argument("--trusting", action="store_true", help="lead until an extension fails")
    parser.add_argument("--seed", type=int, default=0, help="seed of its random delays")
    given = parser.parse_args()
    places = (server.rpartition(":") for server in given.server)
    servers = [RedisServer(address, int(port)) for address, _, port in places]
    contender = RedlockContender(given.id, servers, Random(given.seed), given.trusting)
    threading.Thread(target=contender.contend, daemon=True).start()
    NodeServer(("0.0.0.0", CLIENT_PORT), contender).serve_forever()


if __name__ == "__main__":
    main()
