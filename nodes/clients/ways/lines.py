"""A line protocol over TCP: what is sent is fixed, and the answer ends with a text or with the connection."""

from __future__ import annotations

from splitbrain.nodes.clients.answers import Answer, check_size
from splitbrain.nodes.clients.base import OutcomeUnknown
from splitbrain.nodes.clients.connections import CLOSED, READ_BYTES, open_connection
from splitbrain.nodes.clients.ways import Target
from splitbrain.nodes.systems.probes import Tcp, filled


class TcpAsker:
    """Asks over a new connection each time: such protocols seldom say which answer belongs to which question."""

    cost_ns = 0

    def __init__(self, way: Tcp, target: Target) -> None:
        self._port = target.port(way.port)
        self._send = filled(way.send, target.own).encode()
        self._until = None if way.until is None else filled(way.until, target.own).encode()

    async def ask(self) -> Answer:
        reader, writer = await open_connection(self._port)
        came = b""
        try:
            writer.write(self._send)
            while self._until is None or self._until not in came:
                data = await reader.read(READ_BYTES)
                if not data:
                    break
                came += data
                check_size(came)
        except OSError as broken:
            raise OutcomeUnknown(CLOSED) from broken
        finally:
            writer.close()
        if not came or (self._until is not None and self._until not in came):
            raise OutcomeUnknown(CLOSED)
        return Answer(status=None, body=came if self._until is None else came[: came.index(self._until)])

    async def close(self) -> None: ...
