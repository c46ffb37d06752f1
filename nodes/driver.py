"""Runs one node on real sockets, files and clocks: events in, effects out, in order.

Guarantees: a ``Persist`` is durable (written, fsynced, renamed, directory fsynced) before the next effect is carried
out. The state machine is used under one lock only, with the clock read under it, so a status is of one instant and a
lease is judged at the instant it is claimed. If the state machine or the disk raises, the process exits, since a node
that forgets a vote may vote twice.

The network guarantees nothing: a datagram that cannot be sent is lost, whatever the reason.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from splitbrain.nodes import wire
from splitbrain.nodes.endpoint import NodeServer
from splitbrain.nodes.protocol import (
    Answer,
    CancelTimer,
    ConfirmAsked,
    Effect,
    Event,
    Followed,
    Json,
    Led,
    Node,
    Persist,
    Received,
    Send,
    SetTimer,
    Started,
    TimerFired,
)

Address = tuple[str, int]

# Datagrams received between two checks of the timers, so that a flood cannot delay a heartbeat.
BURST: Final = 64
FAILED: Final = 70  # exit status if the state machine or the disk raised


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """A node's name and addresses, those of its peers, and the directory of its durable state."""

    id: str
    peers: Mapping[str, Address]
    listen: Address
    http: Address
    data: Path


STATE_FILE = "state.json"


class DurableState:
    """The last persisted state in one file, replaced atomically."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._path = directory / STATE_FILE
        self._fresh = directory / f"{STATE_FILE}.new"

    def load(self) -> Json:
        """The state persisted last, None if there is none. Raises ValueError if the file is damaged."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValueError(f"{self._path}: expected the JSON that a node persisted: {error}") from error

    def save(self, state: Mapping[str, Json]) -> None:
        """Make ``state`` durable: once this returns, a machine crash cannot undo it."""
        with self._fresh.open("wb") as file:
            file.write(json.dumps(dict(state)).encode())
            file.flush()
            os.fsync(file.fileno())
        self._fresh.replace(self._path)
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


class Driver:
    """Drives one node, which ``make_node`` creates from the durable state found on disk."""

    def __init__(self, config: NodeConfig, boot: str, make_node: Callable[[Json], Node]) -> None:
        self._config = config
        self._boot = boot
        self._state = DurableState(config.data)
        self._node = make_node(self._state.load())
        self._lock = threading.Lock()
        self._timers: dict[str, int] = {}
        self._sent: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._waiting: dict[int, Future[Answer]] = {}
        self._requests = 0
        self._stopping = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(config.listen)
        self._endpoint = NodeServer(config.http, self)
        # A signal, or a timer set by another thread, writes a byte here to end the loop's wait early.
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)

    # Called by the HTTP server

    @property
    def id(self) -> str:
        return self._config.id

    def status(self) -> dict[str, Json]:
        """The node's claim and message counts at one instant, by its clocks ``at`` (monotonic) and ``wall``, in ns."""
        with self._lock:
            at, wall = time.monotonic_ns(), time.time_ns()
            return {
                "id": self._config.id,
                **self._node.status(at)._asdict(),
                "boot": self._boot,
                "sent": dict(self._sent),
                "dropped": dict(self._dropped),
                "at": at,
                "wall": wall,
            }

    def confirm(self, timeout: float) -> Answer:
        """Have a quorum confirm leadership. Raises TimeoutError after that many seconds."""
        answer: Future[Answer] = Future()
        with self._lock:
            self._requests += 1
            request = self._requests
            self._waiting[request] = answer
            self._dispatch(ConfirmAsked(time.monotonic_ns(), request))
        self._wake()
        try:
            return answer.result(timeout)
        finally:
            with self._lock:
                self._waiting.pop(request, None)

    # The loop

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Must be called on the main thread."""
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        threading.Thread(target=self._endpoint.serve_forever, name="http", daemon=True).start()
        with self._lock:
            self._log("started", boot=self._boot)
            self._dispatch(Started(time.monotonic_ns()))
        while not self._stopping:
            readable, _, _ = select.select([self._socket, self._wake_reader], [], [], self._until_timer())
            if self._wake_reader in readable:
                with suppress(BlockingIOError):
                    self._wake_reader.recv(4096)
            if self._socket in readable:
                self._receive_burst()
            self._fire_timers()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # a full buffer wakes the loop anyway
            self._wake_writer.send(b"\0")

    def _until_timer(self) -> float | None:
        with self._lock:
            if not self._timers:
                return None
            return max(0, min(self._timers.values()) - time.monotonic_ns()) / 1e9

    def _receive_burst(self) -> None:
        for _ in range(BURST):
            try:
                data = self._socket.recv(wire.MAX_BYTES + 1)
            except BlockingIOError:
                return
            except OSError:  # the error of an earlier send, reported late
                continue
            with self._lock:
                self._receive(data)

    def _receive(self, data: bytes) -> None:
        try:
            sender, message = wire.decode(data)
        except wire.WireError:
            self._dropped["malformed"] += 1
            return
        if sender not in self._config.peers:
            self._dropped["unknown sender"] += 1
            return
        self._dispatch(Received(time.monotonic_ns(), sender, message))

    def _fire_timers(self) -> None:
        with self._lock:
            now = time.monotonic_ns()
            for timer, due in sorted(self._timers.items(), key=lambda item: item[1]):
                # An earlier timer's effects may have set or cancelled this one.
                if due <= now and self._timers.get(timer) == due:
                    del self._timers[timer]
                    self._dispatch(TimerFired(time.monotonic_ns(), timer))

    # Effects, always under the lock

    def _dispatch(self, event: Event) -> None:
        try:
            for effect in self._node.handle(event):
                self._carry_out(effect, event.at)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(FAILED)  # from any thread, before another effect is carried out

    def _carry_out(self, effect: Effect, at: int) -> None:
        match effect:
            case Send(to, kind, message):
                self._send(to, kind, message)
            case SetTimer(timer, after):
                self._timers[timer] = at + after
            case CancelTimer(timer):
                self._timers.pop(timer, None)
            case Persist(state):
                self._state.save(state)
            case Led(term, reign):
                self._log("led", term=term, reign=reign)
            case Followed(term, leader):
                self._log("followed", term=term, leader=leader)
            case Answer(request):
                if waiting := self._waiting.pop(request, None):
                    waiting.set_result(effect)

    def _send(self, to: str, kind: str, message: Json) -> None:
        self._sent[kind] += 1
        try:
            self._socket.sendto(wire.encode(self._config.id, message), self._config.peers[to])
        except OSError:  # unreachable, refused, forbidden by a firewall, no room in the buffer
            self._dropped["not sent"] += 1

    def _log(self, event: str, **facts: Any) -> None:
        line = {"event": event, "id": self._config.id, "at": time.monotonic_ns(), **facts}
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()
