"""Requests that the engine refuses, for good or only for a moment."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from docker.errors import APIError

from splitbrain.errors import EnvironmentFailure
from splitbrain.nodes.systems.base import OUR_NODE
from splitbrain.runtimes.docker.containers import Containers
from splitbrain.runtimes.docker.hosts import HostContainer


class Container:
    """Refuses to pause, or to go on, with these words, one after another, and then does."""

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)
        self.paused = False

    def pause(self) -> None:
        if self.refusals:
            raise APIError(self.refusals.pop(0))
        self.paused = True

    def unpause(self) -> None:
        if self.refusals:
            raise APIError(self.refusals.pop(0))
        self.paused = False


def freeze(container: Container) -> None:
    asyncio.run(containers(container).freeze("n1"))


def containers(container: Container) -> Containers:
    async def blocking(work: Any, *arguments: Any, **named: Any) -> Any:
        return work(*arguments, **named)

    async def silence(node: str) -> str | None:
        return None

    hosts = {"n1": HostContainer("n1", "10.0.0.1", cast(Any, None), {}, cast(Any, container), OUR_NODE)}
    return Containers(hosts, blocking, silence)


def test_freezing_is_retried_while_processes_are_busy() -> None:
    container = Container("OCI runtime pause failed: unable to freeze", "unable to freeze: unknown")
    freeze(container)
    assert container.paused


def test_freezing_is_not_retried_after_other_errors() -> None:
    container = Container("container is not running", "unable to freeze")
    with pytest.raises(EnvironmentFailure, match=r"freezing node n1: the engine says: .*not running"):
        freeze(container)
    assert container.refusals == ["unable to freeze"]


def test_a_node_that_something_else_has_thawed_is_left_alone() -> None:
    asyncio.run(containers(Container("Container 28fd is not paused")).thaw("n1"))
    with pytest.raises(EnvironmentFailure, match="thawing node n1"):
        asyncio.run(containers(Container("No such container: 28fd")).thaw("n1"))
