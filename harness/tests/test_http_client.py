"""Interpretation of the answers of nodes that use ``nodes.endpoint``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from splitbrain.nodes.clients import answers
from splitbrain.nodes.clients.answers import WrongAnswer
from splitbrain.nodes.clients.base import Endpoint, OutcomeUnknown
from splitbrain.nodes.clients.http import HttpClient

STATUS: Mapping[str, Any] = {
    "role": "follower",
    "leading": False,
    "leader": "n2",
    "term": 7,
    "reign": None,
    "lease": None,
    "boot": "b41c",
}
CLAIM = {"leading": False, "leader": "n2", "term": 7, "reign": None}


def observed(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The reply to an observer of n1, given this answer."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"nonce": request.query["nonce"], "id": "n1", **status})

    async def asked() -> Mapping[str, Any]:
        app = web.Application()
        app.add_routes([web.get("/status", answer)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = HttpClient({"n1": Endpoint("10.0.0.1", {8000: runner.addresses[0][1]})})
        try:
            return await answers.observed(client, "n1")
        finally:
            await client.close()
            await runner.cleanup()

    return asyncio.run(asked())


@pytest.mark.parametrize("status", [STATUS, {**STATUS, "vote": None}])
def test_a_claim_is_four_things_and_no_vote_is_left_out(status: Mapping[str, Any]) -> None:
    assert observed(status) == CLAIM


def test_the_vote_of_a_node_is_part_of_its_claim() -> None:
    assert observed({**STATUS, "vote": "n2"}) == {**CLAIM, "vote": "n2"}


def test_a_status_without_a_part_of_the_claim_is_no_answer() -> None:
    with pytest.raises(OutcomeUnknown, match="expected the key 'term'"):
        observed({key: value for key, value in STATUS.items() if key != "term"})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"term": -1}, "term: expected an integer from 0"),
        ({"term": 2**63}, "term: expected an integer from 0"),
        ({"leading": "yes"}, "leading: expected true or false, got 'yes'"),
        ({"leader": ["n2"]}, "leader: expected a text or a number, got a list"),
        ({"vote": "x" * 1_001}, "vote: expected at most 1,000 characters"),
    ],
)
def test_a_claim_that_no_history_can_hold_is_refused(wrong: Mapping[str, Any], words: str) -> None:
    with pytest.raises(WrongAnswer, match=words):
        observed({**STATUS, **wrong})
