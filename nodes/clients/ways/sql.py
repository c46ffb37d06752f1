"""A query to a database. The answer is JSON: the columns of the first row by name, and all rows as ``rows``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from splitbrain.nodes.clients.answers import Answer, check_size
from splitbrain.nodes.clients.postgres import Login, PostgresClient
from splitbrain.nodes.clients.ways import Target
from splitbrain.nodes.systems.probes import Sql, filled


class PostgresAsker:
    """Asks PostgreSQL, in which every value is a text."""

    cost_ns = 0

    def __init__(self, way: Sql, target: Target) -> None:
        own = target.own
        login = Login(
            user=filled(way.user, own),
            password=filled(way.password, own),
            database=filled(way.database, own) or way.user,
        )
        self._query = filled(way.query, own)
        self._client = PostgresClient(target.port(way.port), login)

    async def ask(self) -> Answer:
        result = await self._client.result(self._query)
        return answer_of([dict(zip(result.columns, row, strict=False)) for row in result.rows])

    async def close(self) -> None:
        self._client.close()


def answer_of(rows: Sequence[Mapping[str, Any]]) -> Answer:
    """The answer with these rows. Values that JSON has not are texts."""
    body = json.dumps({**(rows[0] if rows else {}), "rows": rows}, default=str).encode()
    check_size(body)
    return Answer(status=None, body=body)
