"""The controller's end of the line to an agent, with a socket of the test's in place of the engine's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from splitbrain.errors import EnvironmentFailure
from splitbrain.runtimes.docker.agent.codec import decode_line, encode
from splitbrain.runtimes.docker.agent.messages import DiskFilled, FillDisk, ReplyFrame, RequestFrame
from splitbrain.runtimes.docker.agents import AgentPool
from splitbrain.runtimes.docker.channel import AgentChannel

FILLED = DiskFilled(taken=4_096, left=0)


def framed(output: bytes, stream: int = 1) -> bytes:
    """Output of a program as the engine multiplexes it."""
    return bytes([stream, 0, 0, 0]) + len(output).to_bytes(4, "big") + output


def asked(answer: Callable[[RequestFrame], list[bytes]]) -> DiskFilled:
    """The reply to one request; the agent's end sends what ``answer`` says, and closes."""

    async def ask() -> DiskFilled:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        channel = AgentChannel("n1", ours, loop)

        def agent() -> None:
            with theirs, theirs.makefile("rb") as requests:
                for part in answer(decode_line(RequestFrame, requests.readline())):
                    theirs.sendall(part)

        try:
            _, reply = await asyncio.gather(asyncio.to_thread(agent), channel.ask(FillDisk()))
        finally:
            channel.close()
        return reply

    return asyncio.run(ask())


def test_a_reply_has_the_type_that_its_request_names() -> None:
    def answer(frame: RequestFrame) -> list[bytes]:
        assert frame.opened() == FillDisk()
        line = encode(ReplyFrame(frame.id, FILLED, None))
        return [framed(line[:9]), framed(line[9:])]  # the engine cuts output as it likes

    assert asked(answer) == FILLED


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ([framed(b'{"id": 1, "reply": null, "error": "no disk"}\n')], "host n1: FillDisk failed: no disk"),
        (
            [framed(b'{"id": 1, "reply": {"taken": 1, "left": "2"}, "error": null}\n')],
            "host n1: reply to FillDisk: left: expected int, got '2'",
        ),
        ([framed(b"Python 3\n")], "the agent on host n1 has ended: message: expected a line of JSON"),
        ([framed(b'{"id": null, "reply": null, "error": "x"}\n')], "has ended: it could not read a request: x"),
        ([framed(b"Traceback\nKeyError: 1\n", stream=2)], "the agent on host n1 has ended: KeyError: 1"),
        ([], "the agent on host n1 has ended: its output ended"),
    ],
)
def test_a_request_without_a_good_reply_fails_and_says_why(output: list[bytes], words: str) -> None:
    with pytest.raises(EnvironmentFailure) as failure:
        asked(lambda frame: output)
    assert words in str(failure.value)


def test_an_agent_that_is_late_is_said_to_be_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{AgentChannel.__module__}.REPLY_SECONDS", 0.0)
    with pytest.raises(EnvironmentFailure, match="host n1: expected a reply to FillDisk within 0 s, got none"):
        asked(lambda frame: [])


class Agent(AgentChannel):
    """Fills the disk by as much as its number says."""

    def __init__(self, number: int) -> None:
        self._number = number

    async def ask(self, request: FillDisk) -> DiskFilled:  # type: ignore[override]
        return DiskFilled(taken=self._number, left=0)


def test_a_pool_returns_each_reply_by_its_host() -> None:
    pool = AgentPool(["n1", "n2"], {}, {"n1": Agent(1), "n2": Agent(2)}, {})
    replies = asyncio.run(pool.ask({"n2": FillDisk(), "n1": FillDisk()}))
    assert {name: reply.taken for name, reply in replies.items()} == {"n1": 1, "n2": 2}
