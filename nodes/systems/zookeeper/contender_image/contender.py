"""One contender: ZooKeeper's recipe for leader election, on the client library kazoo.

The recipe (ZooKeeper's documentation, "Leader Election"): each contender makes an ephemeral, sequential znode; whoever
has the lowest leads; each other one watches the one just before it, and when that is gone looks again at all of them.

    careful   stops leading as soon as its connection is in doubt (kazoo's SUSPENDED), and looks again when it is back
    stock     kazoo's own ``Election``: its leader is told nothing, and stops when it learns that its session is lost
    herd      as careful, but everybody watches the leader

What it claims is read under the lock under which kazoo's listener takes the claim away. Everything here is about one
znode for each session, so the term is that znode's ``czxid``, which no other has; a reign is that, the session and a
count of the times that the claim was made anew. Beside the recipe each contender looks five times a second who has the
lowest znode, for by the recipe it would not learn who leads; those requests are counted apart.
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
LOOK_PERIOD_S = 0.2
FIRST_CONNECTION_S = 10.0  # a busy machine takes some seconds to start an ensemble
TRY_AGAIN_S = 0.1
LOOKING = "look"
SWITCH_INTERVAL_S = 0.0005


class CountingClient(KazooClient):  # type: ignore[misc]  # it is not here
    """A client that counts what it asks, by kind; what the thread asks that only looks is one kind of its own."""

    def __init__(self, **named: Any) -> None:
        self.sent: Counter[str] = Counter()
        super().__init__(**named)

    def _call(self, request: Any, async_object: Any) -> Any:
        looking = threading.current_thread().name == LOOKING
        self.sent[LOOKING if looking else type(request).__name__.lower()] += 1
        return super()._call(request, async_object)


@dataclass(frozen=True)
class ZnodeClaim:
    """A stretch of leadership, and the znode that it rests on."""

    term: int
    reign: str
    path: str


class ZooKeeperContender:
    """What all contenders share: the session, the claim, and how they are asked."""

    stops_in_doubt = True

    def __init__(self, name: str, client: CountingClient) -> None:
        self.id = name
        self.client = client
        self.boot = uuid.uuid4().hex[:8]
        self.received: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._claim: ZnodeClaim | None = None
        self._seen: tuple[str | None, int | None] = (None, None)  # who leads, in which term
        self._changes = 0  # of the connection's state
        self._wins = 0
        self._stirred = threading.Event()
        self._connected = threading.Event()
        client.add_listener(self._on_state)

    # What HTTP asks

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
        """Write to the own znode, which takes a majority of the servers and the session's life."""
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
        """Called by kazoo's own thread, which waits for it."""
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
        self._stirred.set()

    def lost(self) -> None:
        """The session is over, and every znode of it is gone or about to go."""

    def _lead(self, path: str, czxid: int, changes: int) -> None:
        """Lead, unless the connection has changed since ``changes`` was read."""
        session, _ = self.client.client_id or (0, b"")
        with self._lock:
            if self._changes != changes or self._claim is not None:
                return
            self._wins += 1
            self._claim = claim = ZnodeClaim(czxid, f"{session:x}-{czxid:x}-{self._wins}", path)
        self._log("led", term=claim.term, reign=claim.reign)

    # The threads

    def start(self, others: Sequence[str]) -> None:
        """Begin a session; returns when there is one, or when nobody has given one for long.

        Only then are the ``others`` known: else all would end up at the server that was the first to serve.
        """
        self.client.start_async()
        self._connected.wait(FIRST_CONNECTION_S)
        self.client.set_hosts(",".join(others))

    def run(self) -> None:
        """Contend for ever."""
        threading.Thread(target=self._look_for_ever, name=LOOKING, daemon=True).start()
        while True:
            try:
                self.contend()
            except KazooException as failure:
                self._log("failed", error=f"{type(failure).__name__} {failure}")
                self._stirred.wait(TRY_AGAIN_S)

    def contend(self) -> None:
        """Do what there is to do, and return when something has changed."""
        raise AssertionError("each kind of contender has its own way")

    def _look_for_ever(self) -> None:
        while True:
            time.sleep(LOOK_PERIOD_S)
            if self.client.state != KazooState.CONNECTED:
                continue
            changes = self._changes
            try:
                seen = self._look()
            except KazooException:
                seen = (None, None)
            with self._lock:
                if self._changes == changes:
                    self._seen = seen

    def _look(self) -> tuple[str | None, int | None]:
        children = in_order(self.client.get_children(PATH))
        if not children:
            return None, None
        data, stat = self.client.get(f"{PATH}/{children[0]}")
        return data.decode(), stat.czxid

    def _log(self, event: str, **facts: Any) -> None:
        line = {"event": event, "id": self.id, "at": time.monotonic_ns(), **facts}
        sys.stderr.write(json.dumps(line) + "\n")


class Careful(ZooKeeperContender):
    """The recipe, stopping as soon as the connection is in doubt."""

    def __init__(self, name: str, client: CountingClient) -> None:
        self._guid = uuid.uuid4().hex
        self._synced = -1  # the state of the connection in which all that had been written was waited for
        super().__init__(name, client)

    def lost(self) -> None:
        self._guid = uuid.uuid4().hex  # so that a znode of the session that is over is never taken for the new one

    def contend(self) -> None:
        self._stirred.clear()
        changes = self._changes
        if self.client.state != KazooState.CONNECTED:
            self._stirred.wait()
            return
        if changes != self._synced:
            self.client.ensure_path(PATH)
            self.client.sync(PATH)
            self._synced = changes
        children = in_order(self.client.get_children(PATH))
        # By its unique part, for whether it was made is unknown when the connection was lost meanwhile.
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
        self._stirred.wait()

    def before(self, place: int) -> int:
        """Whom to watch: the one just before, or, leading, itself."""
        return max(0, place - 1)

    def _on_event(self, event: WatchedEvent) -> None:
        if event.state == "CONNECTED":
            self.received["notification"] += 1
        self._stirred.set()


class Herd(Careful):
    """Everybody watches the leader, and when it is gone all ask at once."""

    def before(self, place: int) -> int:
        return 0


class Stock(ZooKeeperContender):
    """kazoo's own election: what leads is a function that it calls, and that it never interrupts."""

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


KINDS = {"careful": Careful, "stock": Stock, "herd": Herd}


def in_order(children: Sequence[str]) -> list[str]:
    """By their sequence numbers, the last ten digits; what stands before these is nobody's order."""
    return sorted(children, key=lambda child: int(child[-10:]))


def main() -> None:
    """Contend until the process is ended."""
    parser = argparse.ArgumentParser(description="One contender.")
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
    contender.start(given.server)  # before it is asked anything: a run is to begin with servers that serve
    endpoint = NodeServer(("0.0.0.0", given.http), contender)
    threading.Thread(target=endpoint.serve_forever, name="http", daemon=True).start()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    contender.run()


if __name__ == "__main__":
    main()
