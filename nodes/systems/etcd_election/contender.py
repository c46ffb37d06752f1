"""A contender in etcd's election, as in package ``concurrency`` of etcd's Go client, over the JSON gateway.

Each contender puts a key, bound to its lease, below a common prefix. The key with the smallest create revision leads;
the other contenders wait until the keys before theirs are gone (``clientv3/concurrency/election.go``, v3.4: Campaign).
The lease is renewed every third of its TTL. The create revision is the fencing token.

There are two manners. The stock client starts a lease when its renewal was *answered*, checks its expiry only once a
second (``clientv3/lease.go``: deadlineLoop), and does not check that its key still exists when its wait ends. The safe
one starts the lease when the renewal was *sent*, less a margin for clock drift, checks that at every request, and leads
only while its key is the first.

Each reign has a new lease and a new key, and an expired lease is never used again, so a reign is one stretch.

    python3 -m splitbrain.nodes.systems.etcd_election.contender --id n1 --server 10.0.0.14:2379 ... --manner stock
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any, Final, Protocol

from splitbrain.nodes.endpoint import NodeServer
from splitbrain.nodes.protocol import Answer, Json

TTL_S: Final = 2
"""TTL of the lease; etcd grants none below one and a half election timeouts, rounded up to full seconds."""
LOOK_S: Final = 1.0
MARGIN: Final = 0.1
POLL_S: Final = 0.1
PATIENCE_S: Final = 0.7
"""Timeout of a request to one server: long enough for a write, about a third of a lease."""
PREFIX: Final = "splitbrain/election/"

MonotonicClock = Callable[[], float]


class NoServerAnswered(Exception):
    """No server is known to have carried out the request."""


class LeaseGone(Exception):
    """The lease does not exist any more."""


class Service(Protocol):
    """etcd's JSON gateway: a path and a body in, a body out."""

    def ask(self, path: str, body: Json) -> Any:
        """Raises NoServerAnswered, or LeaseGone if the lease does not exist any more."""
        ...


class Gateway:
    """Client of the gateway that stays with a server while it answers, else takes the next. Not thread-safe."""

    def __init__(self, servers: Sequence[str], first: int) -> None:
        self._servers = tuple(servers)
        self._at = first % len(self._servers)

    def ask(self, path: str, body: Json) -> Any:
        connection = http.client.HTTPConnection(self._servers[self._at], timeout=PATIENCE_S)
        try:
            connection.request("POST", path, json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as failure:
            self._at = (self._at + 1) % len(self._servers)
            raise NoServerAnswered(f"{path}: {failure}") from failure
        finally:
            connection.close()
        if response.status == http.client.OK:
            return answer
        error = str(answer.get("error", response.status))
        if "lease not found" in error:
            raise LeaseGone(error)
        self._at = (self._at + 1) % len(self._servers)
        raise NoServerAnswered(f"{path}: {error}")


@dataclass(frozen=True, slots=True)
class CandidateKey:
    """A contender's key in etcd."""

    name: str
    owner: str
    create_revision: int


def text(plain: str) -> str:
    """Encode bytes for the gateway, in base64."""
    return base64.b64encode(plain.encode()).decode()


def keys_in(answer: Mapping[str, Any]) -> tuple[CandidateKey, ...]:
    """The keys in a range response, by create revision."""
    found = [
        CandidateKey(
            name=base64.b64decode(kv["key"]).decode(),
            owner=base64.b64decode(kv.get("value", "")).decode(),
            create_revision=int(kv["create_revision"]),
        )
        for kv in answer.get("kvs", ())
    ]
    return tuple(sorted(found, key=lambda key: key.create_revision))


class Session(Protocol):
    """A lease as seen by its holder. Once over, it stays over."""

    lease: int

    def renewed(self, sent: float) -> None:
        """A renewal sent at that time has just been granted."""
        ...

    def lost(self) -> None:
        """A server has reported that the lease does not exist any more."""
        ...

    def look(self) -> None:
        """Check the expiry; called once a second."""
        ...

    def alive(self) -> bool: ...


class StockSession:
    """Alive until the check once a second finds that the last renewal was answered longer than a TTL ago."""

    def __init__(self, lease: int, sent: float, clock: MonotonicClock) -> None:
        self.lease = lease
        self._clock = clock
        self._deadline = clock() + TTL_S
        self._over = False

    def renewed(self, sent: float) -> None:
        self._deadline = self._clock() + TTL_S

    def lost(self) -> None:
        self._over = True

    def look(self) -> None:
        self._over = self._over or self._clock() > self._deadline

    def alive(self) -> bool:
        return not self._over


class SafeSession:
    """Alive until the lease may have expired, counted from the sending, on a clock that is a tenth too slow."""

    def __init__(self, lease: int, sent: float, clock: MonotonicClock) -> None:
        self.lease = lease
        self._clock = clock
        self._deadline = sent + TTL_S * (1 - MARGIN)

    def renewed(self, sent: float) -> None:
        if self.alive():
            self._deadline = max(self._deadline, sent + TTL_S * (1 - MARGIN))

    def lost(self) -> None:
        self._deadline = 0.0

    def look(self) -> None:
        """No effect: the expiry is checked at every request."""

    def alive(self) -> bool:
        return self._clock() < self._deadline


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """The rules of a contender: how it counts its lease, when it has won, and when it is still in the election."""

    session: Callable[[int, float, MonotonicClock], Session]
    won: Callable[[Sequence[CandidateKey], CandidateKey], bool]
    keeps: Callable[[Sequence[CandidateKey], CandidateKey], bool]


def no_key_before(keys: Sequence[CandidateKey], own: CandidateKey) -> bool:
    return all(key.create_revision >= own.create_revision for key in keys)


def is_first(keys: Sequence[CandidateKey], own: CandidateKey) -> bool:
    return bool(keys) and keys[0] == own


def still_exists(keys: Sequence[CandidateKey], own: CandidateKey) -> bool:
    return own in keys


def unchecked(keys: Sequence[CandidateKey], own: CandidateKey) -> bool:
    """Always true: the stock client never checks that its key still exists."""
    return True


MANNERS: Final[Mapping[str, Manner]] = MappingProxyType(
    {
        "stock": Manner(session=StockSession, won=no_key_before, keeps=unchecked),
        "safe": Manner(session=SafeSession, won=is_first, keeps=still_exists),
    }
)


class EtcdContender:
    """One contender. Each of its loops runs in a separate thread; ``status`` and ``confirm`` are thread-safe."""

    def __init__(
        self, id: str, manner: Manner, service: Callable[[], Service], clock: MonotonicClock = time.monotonic
    ) -> None:
        self.id = id
        self._manner = manner
        self._service = service
        self._clock = clock
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._own: CandidateKey | None = None
        self._led = False
        self._first: CandidateKey | None = None

    def status(self) -> dict[str, Json]:
        with self._lock:
            if self._leads() and self._own is not None:
                return self._report(True, self.id, self._own.create_revision, self._reign())
            first = self._first
            if first is None:
                return self._report(False, None, None, None)
            return self._report(False, first.owner, first.create_revision, None)

    def confirm(self, timeout: float) -> Answer:
        """Write on condition that the key it won with still exists."""
        with self._lock:
            session, own, reign = self._session, self._own, self._reign()
            if not self._leads() or session is None or own is None:
                return Answer(0, None, None, "it does not lead")
        unchanged = {
            "key": text(own.name),
            "target": "CREATE",
            "result": "EQUAL",
            "create_revision": str(own.create_revision),
        }
        write = {"request_put": {"key": text(own.name), "value": text(self.id), "lease": str(session.lease)}}
        try:
            answer = self._service().ask("/v3/kv/txn", {"compare": [unchanged], "success": [write]})
        except LeaseGone as gone:
            return Answer(0, None, None, str(gone))
        except NoServerAnswered as failure:
            raise TimeoutError from failure
        if not answer.get("succeeded"):
            return Answer(0, None, None, "its key is gone")
        return Answer(0, own.create_revision, reign, None)

    def contend(self) -> None:
        """Campaign, wait, lead, and campaign again, for ever."""
        service = self._service()
        while True:
            try:
                own = self._stand(service)
                self._wait(service, own)
                self._lead(service, own)
            except (NoServerAnswered, LeaseGone):
                self._leave()
                time.sleep(POLL_S)

    def keep_alive(self) -> None:
        """Renew the lease, if there is one, every third of its TTL."""
        service = self._service()
        while True:
            time.sleep(TTL_S / 3)
            self.renew(service)

    def look_at_lease(self) -> None:
        while True:
            time.sleep(LOOK_S)
            with self._lock:
                if self._session is not None:
                    self._session.look()

    def renew(self, service: Service) -> None:
        """Renew the lease once, if there is one."""
        with self._lock:
            session = self._session
        if session is None:
            return
        sent = self._clock()
        try:
            answer = service.ask("/v3/lease/keepalive", {"ID": str(session.lease)})
            left = int(answer.get("result", {}).get("TTL", "0"))
        except NoServerAnswered:
            return
        except LeaseGone:
            left = 0
        with self._lock:
            if left > 0:
                session.renewed(sent)
            else:
                session.lost()

    def _stand(self, service: Service) -> CandidateKey:
        sent = self._clock()
        granted = service.ask("/v3/lease/grant", {"TTL": str(TTL_S), "ID": "0"})
        session = self._manner.session(int(granted["ID"]), sent, self._clock)
        with self._lock:
            self._session = session
        name = f"{PREFIX}{session.lease:x}"
        absent = {"key": text(name), "target": "CREATE", "result": "EQUAL", "create_revision": "0"}
        write = {"request_put": {"key": text(name), "value": text(self.id), "lease": str(session.lease)}}
        answer = service.ask("/v3/kv/txn", {"compare": [absent], "success": [write]})
        own = CandidateKey(name, self.id, int(answer["header"]["revision"]))
        with self._lock:
            self._own = own
        return own

    def _wait(self, service: Service, own: CandidateKey) -> None:
        """Return once it has won. The stock client goes on waiting even if its lease and key are gone."""
        while True:
            try:
                keys = self._read_keys(service)
            except NoServerAnswered:
                time.sleep(POLL_S)
                continue
            if self._manner.won(keys, own):
                return
            if not self._manner.keeps(keys, own):
                raise LeaseGone("its key disappeared while it waited")
            time.sleep(POLL_S)

    def _lead(self, service: Service, own: CandidateKey) -> None:
        with self._lock:
            self._led = True
        while self._alive():
            try:
                if not self._manner.keeps(self._read_keys(service), own):
                    break
            except NoServerAnswered:
                pass
            time.sleep(POLL_S)
        self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._led, self._session, self._own, self._first = False, None, None, None

    def _read_keys(self, service: Service) -> tuple[CandidateKey, ...]:
        """All contenders' keys, by a linearizable read."""
        end = PREFIX[:-1] + chr(ord(PREFIX[-1]) + 1)
        keys = keys_in(service.ask("/v3/kv/range", {"key": text(PREFIX), "range_end": text(end)}))
        with self._lock:
            self._first = keys[0] if keys else None
        return keys

    def _alive(self) -> bool:
        with self._lock:
            return self._session is not None and self._session.alive()

    def _leads(self) -> bool:
        return self._led and self._session is not None and self._session.alive()

    def _reign(self) -> str | None:
        if self._own is None or self._session is None:
            return None
        return f"{self._session.lease:x}-{self._own.create_revision}"

    def _report(self, leading: bool, leader: str | None, term: int | None, reign: str | None) -> dict[str, Json]:
        return {"id": self.id, "leading": leading, "leader": leader, "term": term, "reign": reign}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="splitbrain.nodes.systems.etcd_election.contender", description="Run a contender in an etcd election."
    )
    parser.add_argument("--id", required=True, help="name of this contender")
    parser.add_argument(
        "--server", action="append", required=True, metavar="HOST:PORT", help="an etcd server; repeatable"
    )
    parser.add_argument("--manner", choices=MANNERS, required=True, help="how it counts its lease")
    parser.add_argument("--port", type=int, required=True, help="port of its HTTP interface")
    parser.add_argument("--seed", type=int, default=0, help="chooses the first server")
    given = parser.parse_args()
    first = Random(given.seed).randrange(len(given.server))
    contender = EtcdContender(given.id, MANNERS[given.manner], lambda: Gateway(given.server, first))
    for work in (contender.contend, contender.keep_alive, contender.look_at_lease):
        threading.Thread(target=work, daemon=True).start()
    NodeServer(("0.0.0.0", given.port), contender).serve_forever()


if __name__ == "__main__":
    main()
