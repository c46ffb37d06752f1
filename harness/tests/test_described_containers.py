"""Described containers on an engine: options, files and set-up commands arrive as they are written."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from splitbrain.errors import EnvironmentFailure
from splitbrain.runtimes.base import ClusterSpec
from splitbrain.runtimes.docker.agent.messages import TerminateNode
from splitbrain.runtimes.docker.cluster import DockerCluster
from splitbrain.user_systems.description import described

pytestmark = pytest.mark.engine

NAIVE = Path(__file__).parents[2] / "docs/examples/naive"
TEXT = f"""
folder = "{NAIVE}"
entrypoint = ["sh", "-c", "trap 'echo asked; exit 0' INT; python3 -u /naive.py {{name}} {{peers}} & wait"]
peer = "{{name}}={{address}}:8000"
user = "nobody"
working_dir = "/tmp"
env = {{STORE = "{{group.store}}", PROXY = "{{group.proxy}}"}}
cap_add = ["NET_ADMIN"]
devices = ["/dev/net/tun"]
sysctls = {{"net.ipv4.ip_nonlocal_bind" = 1, "kernel.msgmax" = 9000}}
ulimits = {{nofile = {{soft = 100, hard = 200}}}}
shm_size = "8m"
tmpfs = ["/made:size=1m,mode=1777"]
stop_signal = "SIGINT"
init = false
ipv6 = true

[files]
"/etc/app/{{}}.conf" = {{text = "{{index}} of {{count}}, {{free_address}}", mode = "0640", owner = "nobody"}}
"/usr/local/bin/app" = {{from = "app.sh", mode = "0755"}}

[node.n2]
env = {{ONLY = "n2"}}

[setup]
first = [["sh", "-c", "echo first >> /made/order"]]
each = [["sh", "-c", "echo each {{name}} >> /made/order"]]
after = [["sh", "-c", "echo after >> /made/order"], ["app"]]
retry = true
timeout_s = 20

[servers.store]
folder = "{NAIVE}"
command = ["{{name}}", "none=127.0.0.1:9"]
port = 8000
[servers.store.setup]
each = [["sh", "-c", "echo {{name}} > /tmp/set-up"]]

[servers.proxy]
init = true
folder = "{NAIVE}"
command = ["{{name}}", "none=127.0.0.1:9"]
port = 8000

[probe]
path = "/status"
leading = "state == leader"
"""
APP = """#!/bin/sh
if [ -e /made/tried ]; then echo app >> /made/order; exit 0; fi
touch /made/tried
echo "not yet"
exit 7
"""
SHOWN = """
id -u; pwd; echo "$STORE $PROXY $ONLY"; ulimit -Sn; ulimit -Hn
cat '/etc/app/{}.conf'; echo; stat -c '%a %U' '/etc/app/{}.conf'
cat /proc/sys/net/ipv4/ip_nonlocal_bind /proc/sys/kernel/msgmax
df -k --output=size /dev/shm /made | tail -n 2 | xargs
grep -c 00000000000000000000000000000001 /proc/net/if_inet6
test -c /dev/net/tun && echo tun
"""


def told(tmp_path: Path, text: str, story: Callable[[DockerCluster], Coroutine[Any, Any, None]]) -> None:
    """Run the story on a cluster of two described nodes."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    (tmp_path / "app.sh").write_text(APP)
    system = described(path)
    spec = ClusterSpec(system=system, nodes=("n1", "n2"), servers=system.server_names, seed=7)

    async def whole() -> None:
        cluster = DockerCluster(spec, secrets.token_hex(4), print)
        try:
            await cluster.set_up()
            await story(cluster)
        finally:
            await cluster.tear_down(tmp_path / "logs")

    asyncio.run(whole())


def run_on(cluster: DockerCluster, machine: str, script: str) -> list[str]:
    """The lines that a script prints in a machine's container."""
    status, output = cluster._hosts[machine].node.exec_run(["sh", "-c", script])
    assert status == 0, output
    assert isinstance(output, bytes)
    return output.decode().splitlines()


def test_options_files_and_commands_arrive_as_they_are_written(tmp_path: Path) -> None:
    async def story(cluster: DockerCluster) -> None:
        store, proxy = cluster._hosts["s1"].address, cluster._hosts["s2"].address
        free = f"{store.rpartition('.')[0]}.250"
        shown = run_on(cluster, "n2", SHOWN)
        assert shown == [
            *("65534", "/tmp", f"{store} {proxy} n2", "100", "200"),
            *(f"2 of 2, {free}", "640 nobody", "1", "9000", "8192 1024", "1", "tun"),
        ]
        assert run_on(cluster, "n1", "cat /made/order") == ["first", "each n1", "after", "app"]
        assert run_on(cluster, "n2", "cat /made/order") == ["each n2"]
        assert run_on(cluster, "s1", "cat /tmp/set-up") == ["s1"]
        answer = await cluster._agents["n1"].ask(TerminateNode(signal="SIGINT"))
        assert answer.obeyed and b"asked" in cluster._hosts["n1"].node.logs()

    told(tmp_path, TEXT, story)


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ('first = [["app", "{name}"]]', r"on n1 the command app n1 ended with status 7; the end .*\n  not yet"),
        (
            'each = [["sleep", "60"]]\ntimeout_s = 1',
            r"on n. the command sleep 60 did not end within 1 s; it said nothing",
        ),
    ],
)
def test_a_set_up_that_fails_ends_the_run_with_what_it_said(tmp_path: Path, commands: str, words: str) -> None:
    async def story(cluster: DockerCluster) -> None:
        raise AssertionError("the set-up failed")

    head, _, rest = TEXT.partition("[setup]\n")
    text = f"{head}[setup]\n{commands}\n{rest[rest.index('[servers.store]') :]}"
    with pytest.raises(EnvironmentFailure, match=words):
        told(tmp_path, text, story)
