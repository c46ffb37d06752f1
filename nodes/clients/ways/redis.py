"""One command to a server that speaks RESP. A text in reply is a body of its own; all else is written as JSON."""

from __future__ import annotations

import json

from splitbrain.nodes.clients.answers import Answer
from splitbrain.nodes.clients.base import OperationFailed
from splitbrain.nodes.clients.resp import RespClient
from splitbrain.nodes.clients.ways import Target
from splitbrain.nodes.resp import ErrorReply
from splitbrain.nodes.systems.probes import Redis, filled


class RedisAsker:
    """Asks over kept connections. Each question begins with an echo of its nonce, and with the password if any."""

    cost_ns = 0

    def __init__(self, way: Redis, target: Target) -> None:
        self._command = [filled(word, target.own) for word in way.command]
        login = None if way.password is None else ("AUTH", *filter(None, (way.user, way.password)))
        self._client = RespClient(target.port(way.port), login and tuple(filled(word, target.own) for word in login))

    async def ask(self) -> Answer:
        (reply,) = await self._client.ask(self._command)
        if isinstance(reply, ErrorReply):
            raise OperationFailed(reply)
        body = reply if isinstance(reply, str) else json.dumps(reply)
        return Answer(status=None, body=body.encode())

    async def close(self) -> None:
        self._client.close()
