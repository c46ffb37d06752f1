"""Commands of the agent: output, failures, and failures that need an explanation."""

from __future__ import annotations

import pytest

from splitbrain.runtimes.docker.agent.commands import RequestFailed, run


def failing(words: str) -> str:
    with pytest.raises(RequestFailed) as failure:
        run("sh", "-c", 'echo "$0" >&2; exit 4', words)
    return str(failure.value)


def test_a_command_gives_its_output() -> None:
    assert run("cat", given="rules") == "rules"


def test_a_command_that_fails_is_named_with_its_message() -> None:
    assert failing("no such chain").endswith("no such chain")


def test_rules_that_iptables_cannot_change_are_explained() -> None:
    words = failing("iptables v1.8.9 (nf_tables): chain `INPUT' in table `filter' is incompatible, use 'nft' tool.")
    assert "something on this host has added rules of nft" in words
