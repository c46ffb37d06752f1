"""A question to a machine, and its outcome as the workload knows it: ok, failed, or unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

from splitbrain.nodes.clients.answers import printable
from splitbrain.nodes.clients.base import Fail, Ok, OperationFailed, OutcomeUnknown, Reply, Unknown


async def reply_to(question: Awaitable[Mapping[str, Any] | None], timeout_ns: int) -> Reply:
    """Await the answer to a question for at most ``timeout_ns``. Never raises for what a machine does."""
    try:
        async with asyncio.timeout(timeout_ns / 1e9):
            return Ok(await question or {})
    except TimeoutError:
        return Unknown("no answer in time")
    except OperationFailed as refused:
        return Fail(printable(str(refused)))
    except OutcomeUnknown as unclear:
        return Unknown(printable(str(unclear)))
