"""Interpretation of etcd's answers, with recorded answers of etcd 3.4."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from splitbrain.nodes.clients.base import Endpoint, OperationFailed, OutcomeUnknown
from splitbrain.nodes.systems.etcd.client import (
    MEMBERS_PORT,
    EtcdClient,
    EtcdMembers,
    clock,
    raft_status,
)
from splitbrain.nodes.systems.etcd_election.client import EtcdElectionClient

PAGE = (
    '{"cmdline": ["etcd"], "raft.status": {"id":"fcc9dcdd71218d6d","term":2,"vote":"fcc9dcdd71218d6d","commit":8,'
    '"lead":"fcc9dcdd71218d6d","raftState":"StateLeader","applied":8,"progress":{},"leadtransferee":"0"}}'
)


def page(**changes: Any) -> Any:
    found = json.loads(PAGE)
    found["raft.status"] |= changes
    return found


def test_a_leader_s_state_term_and_leader_are_read_together() -> None:
    status = raft_status(page())
    assert (status.leading, status.term, status.lead) == (True, 2, "fcc9dcdd71218d6d")
    assert status.reign == "fcc9dcdd71218d6d-2"


def test_a_vote_is_a_member_s_identity_and_zero_is_no_vote() -> None:
    assert raft_status(page()).vote == "fcc9dcdd71218d6d"
    assert raft_status(page(vote="0")).vote is None


def claims(members: Mapping[str, Etcd], *nodes: str) -> list[Any]:
    """The claims of these nodes, asked one after another."""

    async def asked() -> list[Any]:
        async with serving(members) as endpoints:
            client = EtcdClient(endpoints)
            try:
                return [await client.observe(node) for node in nodes]
            finally:
                await client.close()

    return asyncio.run(asked())


def test_a_member_s_vote_is_part_of_its_claim_once_the_candidate_is_known() -> None:
    followers = {
        "n1": Etcd(page(id="a", lead="b", vote="b", raftState="StateFollower")),
        "n2": Etcd(page(id="b", lead="b", vote="0")),
    }
    assert [claim.get("vote", "none") for claim in claims(followers, "n1", "n2", "n1")] == ["none", "none", "n2"]


def test_a_member_that_is_shutting_down_makes_no_claim() -> None:
    with pytest.raises(OutcomeUnknown, match="its Raft has stopped"):
        raft_status(page(id="0", term=0, vote="0", lead="0", raftState="StateFollower"))


@pytest.mark.parametrize("state", ["StateFollower", "StateCandidate", "StatePreCandidate"])
def test_a_follower_has_no_reign_and_may_know_no_leader(state: str) -> None:
    status = raft_status(page(raftState=state, lead="0"))
    assert (status.leading, status.lead, status.reign) == (False, None, None)


@pytest.mark.parametrize("wrong", [{}, {"raft.status": None}, {"raft.status": {"id": "1"}}, [], None])
def test_a_page_without_raft_metrics_is_no_answer(wrong: Any) -> None:
    with pytest.raises(OutcomeUnknown, match="expected the status of Raft"):
        raft_status(wrong)


class Etcd:
    """Answers as members do: each question takes the next of the pages."""

    def __init__(self, *pages: Any, put: int = 200) -> None:
        self.pages = list(pages)
        self.put = put
        self.puts = 0

    async def vars(self, request: web.Request) -> web.Response:
        return web.json_response(self.pages.pop(0) if len(self.pages) > 1 else self.pages[0])

    async def write(self, request: web.Request) -> web.Response:
        self.puts += 1
        return web.json_response({"header": {}} if self.put == 200 else {"error": "timed out"}, status=self.put)


@asynccontextmanager
async def serving(members: Mapping[str, Etcd]) -> AsyncIterator[dict[str, Endpoint]]:
    runners, endpoints = [], {}
    for name, member in members.items():
        app = web.Application()
        app.add_routes([web.get("/debug/vars", member.vars), web.post("/v3/kv/put", member.write)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        endpoints[name] = Endpoint("10.0.0.1", {MEMBERS_PORT: runner.addresses[0][1]})
    try:
        yield endpoints
    finally:
        for runner in runners:
            await runner.cleanup()


def confirmed(member: Etcd) -> Mapping[str, Any]:
    async def asked() -> Mapping[str, Any]:
        async with serving({"n1": member}) as endpoints:
            client = EtcdClient(endpoints)
            try:
                return await client.confirm("n1")
            finally:
                await client.close()

    return asyncio.run(asked())


def test_a_write_is_an_acknowledgement_only_through_one_that_led_before_and_after_it() -> None:
    assert confirmed(Etcd(page())) == {"term": 2, "reign": "fcc9dcdd71218d6d-2"}
    follower = Etcd(page(raftState="StateFollower"))
    with pytest.raises(OperationFailed, match="not leading"):
        confirmed(follower)
    assert follower.puts == 0, "a follower would have passed it on to its leader"
    with pytest.raises(OutcomeUnknown, match="deposed during the write"):
        confirmed(Etcd(page(), page(raftState="StateFollower", term=3)))
    with pytest.raises(OutcomeUnknown, match="deposed during the write"):
        confirmed(Etcd(page(), page(term=4)))
    with pytest.raises(OutcomeUnknown, match="timed out"):
        confirmed(Etcd(page(), put=503))


def test_the_leader_that_a_member_names_is_the_machine_of_that_identity_once_it_has_answered() -> None:
    members = {"n1": Etcd(page(id="a", lead="b", raftState="StateFollower")), "n2": Etcd(page(id="b", lead="b"))}
    answers = claims(members, "n1", "n2", "n1")
    assert [answer["leader"] for answer in answers] == [None, "n2", "n2"]
    assert [answer["leading"] for answer in answers] == [False, True, False]


def test_the_leading_server_is_the_one_of_the_newest_term_of_those_that_answer() -> None:
    async def asked() -> tuple[str | None, str | None]:
        stale, now = Etcd(page(id="a", term=2)), Etcd(page(id="b", term=5))
        async with serving({"s1": stale, "s2": now}) as endpoints:
            gone = Endpoint("10.0.0.1", {MEMBERS_PORT: 1})
            members = EtcdMembers({**endpoints, "s3": gone})
            none = EtcdMembers({"s3": gone})
            election = EtcdElectionClient({**endpoints, "n1": Endpoint("10.0.0.2", {8000: 1})})
            try:
                assert await election.leading_server() == "s2"
                await election.awake("s1")
                with pytest.raises(OperationFailed):
                    await election.observe("n1")
                return await members.leading(), await none.leading()
            finally:
                await asyncio.gather(members.close(), none.close(), election.close())

    assert asyncio.run(asked()) == ("s2", None)


def test_a_member_s_clock_is_the_second_that_its_answers_are_dated_by() -> None:
    shown = clock({"Date": "Thu, 01 Jan 1970 00:01:00 GMT"})
    assert shown == {"wall": 60_500_000_000, "within": 500_000_000}


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_an_answer_without_a_date_shows_no_clock(headers: Mapping[str, str]) -> None:
    with pytest.raises(OutcomeUnknown, match="expected a Date in the answer"):
        clock(headers)
