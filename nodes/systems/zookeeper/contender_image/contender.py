"""One contender in ZooKeeper's recipe for leader election, on the client library kazoo.

The recipe (ZooKeeper documentation, "ZooKeeper Recipes and Solutions", section "Leader Election"): each contender
creates an ephemeral, sequential znode; the lowest one leads; every other contender watches the znode just before its
own, and reads all of them again when that one is gone.

    careful   stops leading as soon as its connection is in doubt (kazoo's SUSPENDED), and checks again on reconnection
    stock     kazoo's ``Election``: its leader is not interrupted, and stops when it learns that its session is lost
    herd      like careful, but every contender watches the leader

The claim is read under the lock under which kazoo's listener withdraws it. There is one znode per session, so the term
is its ``czxid``, which is unique; a reign is that, the session and a count of claims. Beside the recipe each contender
reads the lowest znode five times a second, since the recipe does not show it the leader; those requests are counted
separately.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException, NoNodeError, SessionExpiredError
from kazoo.protocol.states import WatchedEvent
from kazoo.recipe.election import Election
from kazoo.retry import KazooRetry

from splitbrain.nodes.endpoint import NodeServer
from splitbrain.nodes.protocol import Answer, Json

PATH = "/election"
READ_PERIOD_S = 0.2
FIRST_CONNECTION_S = 10.0  # a busy host takes some seconds to start an ensemble
TRY_AGAIN_S = 0.1
LOOKING = "look"
SWITCH_INTERVAL_S = 0.0005


class CountingClient(KazooClient):  # type: ignore[misc]  # kazoo is in the image only
    """A client that counts its requests by kind; those of the thread that reads the leader are a separate kind."""

    def __init__(self, **named: Any) -> None:
        self.sent: Counter[str] = Counter()
        super().__init__(**named)

    def _call(self, request: Any, async_object: Any) -> Any:
        looking = threading.current_thread().name == LOOKING
        self.sent[LOOKING if looking else type(request).__name__.lower()] += 1
        return super()._call(request, async_object)


@dataclass(frozen=True)
class ZnodeClaim:
    """A reign, and the znode that it rests on."""

    term: int
    reign: str
    path: str


class ZooKeeperContender:
    """The common part of all contenders: session, claim, and HTTP interface."""

    stops_in_doubt = True

    def __init__(self, name: str, client: CountingClient) -> None:
        self.id = name
        self.client = client
        self.boot = uuid.uuid4().hex[:8]
        self.received: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._claim: ZnodeClaim | None = None
        self._seen: tuple[str | None, int | None] = (None, None)  # leader and term
        self._changes = 0  # of the connection state
        self._wins = 0
        self._wake = threading.Event()
        self._connected = threading.Event()
        client.add_listener(self._on_state)

    # Called by the HTTP server

    def status(self) -> dict[str, Json]:
        with self._lock:
            claim, (leader, term) = self._claim, self._seen
            return {
                "id": self.id,
                "role": "leader" if claim else "contender",
                "leading": claim is not None,
                "leader": self.id if claim else None if leader == self.id else leader,
                "term": claim.term if claim else term,
                "reign": claim.reign if claim else None,
                "connection": str(self.client.state),
                "boot": self.boot,
                "sent": dict(self.client.sent),
                "received": dict(self.received),
                "at": time.monotonic_ns(),
                "wall": time.time_ns(),
            }

    def confirm(self, timeout: float) -> Answer:
        """Write to this contender's znode, which takes a majority of the servers and a live session."""
        with self._lock:
            claim = self._claim
        if claim is None or self.client.state != KazooState.CONNECTED:
            return Answer(0, None, None, "not leading" if claim is None else "no connection")
        writing = self.client.set_async(claim.path, self.id.encode())
        try:
            writing.get(timeout=timeout)
        except (NoNodeError, SessionExpiredError) as gone:
            return Answer(0, claim.term, None, f"{type(gone).__name__}: the session is over")
        except (KazooException, self.client.handler.timeout_exception) as unclear:
            raise TimeoutError from unclear
        with self._lock:
            still = self._claim is claim
        return Answer(0, claim.term, claim.reign, None if still else "stopped leading meanwhile")

    # The session

    def _on_state(self, state: str) -> None:
        """Listener for connection states. Called by kazoo's thread, which waits for it."""
        with self._lock:
            self._changes += 1
            over = state == KazooState.LOST or (self.stops_in_doubt and state == KazooState.SUSPENDED)
            ended, self._claim = (self._claim, None) if over else (None, self._claim)
            if state != KazooState.CONNECTED:
                self._seen = (None, None)
        self._log("connection", state=str(state))
        if state == KazooState.CONNECTED:
            self._connected.set()
        if ended is not None:
            self._log("followed", term=ended.term)
        if state == KazooState.LOST:
            self.lost()
        self._wake.set()

    def lost(self) -> None:
        """Handle the loss of the session, whose znodes are gone or about to go."""

    def _lead(self, path: str, czxid: int, changes: int) -> None:
        """Begin a reign, unless the connection state has changed since ``changes`` was read."""
        session, _ = self.client.client_id or (0, b"")
        with self._lock:
            if self._changes != changes or self._claim is not None:
                return
            self._wins += 1
            self._claim = claim = ZnodeClaim(czxid, f"{session:x}-{czxid:x}-{self._wins}", path)
        self._log("led", term=claim.term, reign=claim.reign)

    # The threads

    def start(self, others: Sequence[str]) -> None:
        """Begin a session; return when it exists, or after ``FIRST_CONNECTION_S``.

        Only then is the client given the ``others``, since otherwise all contenders would connect to the server that is
        ready first.
        """
        self.client.start_async()
        self._connected.wait(FIRST_CONNECTION_S)
        self.client.set_hosts(",".join(others))

    def run(self) -> None:
        """Contend, for ever."""
        threading.Thread(target=self._keep_reading_leader, name=LOOKING, daemon=True).start()
        while True:
            try:
                self.contend()
            except KazooException as failure:
                self._log("failed", error=f"{type(failure).__name__} {failure}")
                self._wake.wait(TRY_AGAIN_S)

    def contend(self) -> None:
        """Run one step of the recipe; return when something has changed."""
        raise AssertionError("implemented by each kind of contender")

    def _keep_reading_leader(self) -> None:
        while True:
            time.sleep(READ_PERIOD_S)
            if self.client.state != KazooState.CONNECTED:
                continue
            changes = self._changes
            try:
                seen = self._read_leader()
            except KazooException:
                seen = (None, None)
            with self._lock:
                if self._changes == changes:
                    self._seen = seen

    def _read_leader(self) -> tuple[str | None, int | None]:
        children = in_order(self.client.get_children(PATH))
        if not children:
            return None, None
        data, stat = self.client.get(f"{PATH}/{children[0]}")
        return data.decode(), stat.czxid

    def _log(self, event: str, **facts: Any) -> None:
        line = {"event": event, "id": self.id, "at": time.monotonic_ns(), **facts}
        sys.stderr.write(json.dumps(line) + "\n")


class CarefulContender(ZooKeeperContender):
    """The recipe, stopping as soon as the connection is in doubt."""

    def __init__(self, name: str, client: CountingClient) -> None:
        self._guid = uuid.uuid4().hex
        self._synced = -1  # the connection state for which the client has synced
        super().__init__(name, client)

    def lost(self) -> None:
        self._guid = uuid.uuid4().hex  # a znode of the lost session must never be taken for a new one

    def contend(self) -> None:
        self._wake.clear()
        changes = self._changes
        if self.client.state != KazooState.CONNECTED:
            self._wake.wait()
            return
        if changes != self._synced:
            self.client.ensure_path(PATH)
            self.client.sync(PATH)
            self._synced = changes
        children = in_order(self.client.get_children(PATH))
        # Found by its unique part, since a create whose connection was lost has an unknown outcome.
        own = next((child for child in children if child.startswith(self._guid)), None)
        if own is None:
            self.client.create(f"{PATH}/{self._guid}-n_", self.id.encode(), ephemeral=True, sequence=True)
            return
        place = children.index(own)
        watched = self.client.exists(f"{PATH}/{children[self.before(place)]}", watch=self._on_event)
        if watched is None:
            return
        if place == 0:
            self._lead(f"{PATH}/{own}", watched.czxid, changes)
        self._wake.wait()

    def before(self, place: int) -> int:
        """The place of the znode to watch: the one just before, or, when leading, its own."""
        return max(0, place - 1)

    def _on_event(self, event: WatchedEvent) -> None:
        if event.state == "CONNECTED":
            self.received["notification"] += 1
        self._wake.set()


class HerdContender(CarefulContender):
    """Every contender watches the leader, and all read again at once when it is gone."""

    def before(self, place: int) -> int:
        return 0


class StockContender(ZooKeeperContender):
    """kazoo's ``Election``: it calls a function to lead, and never interrupts it."""

    stops_in_doubt = False

    def __init__(self, name: str, client: CountingClient) -> None:
        self._over = threading.Event()
        super().__init__(name, client)

    def lost(self) -> None:
        self._over.set()

    def contend(self) -> None:
        election = Election(self.client, PATH, self.id)
        election.run(self._rule, election)

    def _rule(self, election: Election) -> None:
        self._over.clear()
        path = f"{PATH}/{election.lock.node}"
        changes, found = self._changes, self.client.exists(path)
        if found is not None:
            self._lead(path, found.czxid, changes)
            while self._claim is not None:
                self._over.wait(TRY_AGAIN_S)


KINDS = {"careful": CarefulContender, "stock": StockContender, "herd": HerdContender}


def in_order(children: Sequence[str]) -> list[str]:
    """Sort znodes by sequence number, the last ten digits."""
    return sorted(children, key=lambda child: int(child[-10:]))


def main() -> None:
    """Run a contender until the process is ended."""
    parser = argparse.ArgumentParser(description="Run a contender in ZooKeeper's recipe for leader election.")
    parser.add_argument("--id", required=True)
    parser.add_argument("--server", action="append", required=True, metavar="HOST:PORT", help="the preferred one first")
    parser.add_argument("--session-ms", type=int, required=True)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--http", type=int, required=True, metavar="PORT")
    given = parser.parse_args()
    client = CountingClient(
        hosts=given.server[0],
        timeout=given.session_ms / 1000,
        randomize_hosts=False,
        connection_retry=KazooRetry(max_tries=-1, delay=0.05, backoff=1, max_delay=0.2),
    )
    contender = KINDS[given.kind](given.id, client)
    contender.start(given.server)  # before the HTTP interface: a run begins once the servers serve
    endpoint = NodeServer(("0.0.0.0", given.http), contender)
    threading.Thread(target=endpoint.serve_forever, name="http", daemon=True).start()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    contender.run()


if __name__ == "__main__":
    main()
