"""RabbitMQ by its description: a cluster that commands put together."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.tests.described_runs import run_on_containers


@pytest.mark.engine
def test_a_cluster_that_is_put_together_by_commands_is_led_and_judged(tmp_path: Path) -> None:
    """A first leader was seen by all and has confirmed, else there is no verdict."""
    _, found = run_on_containers("rabbitmq.toml", tmp_path, "--nemesis", "isolated-leader", "--time-limit", "30")
    assert found["coverage"]["facts"]["faults_by_class"] == {"leader-isolated": 1}
    assert found["election-quorum"]["verdict"] != "invalid" and found["exclusivity"]["verdict"] != "invalid"
