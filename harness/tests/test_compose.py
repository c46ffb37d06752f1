"""Compose files as descriptions: what becomes of each service, what is refused, and what is named as left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.errors import UsageError
from splitbrain.nodes.systems.base import Machine, OwnImage, System
from splitbrain.user_systems.description import described, described_as
from splitbrain.user_systems.lookup import find_system
from splitbrain.user_systems.runs import run

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "compose"
PROBE = '[probe]\npath = "/"\nleading = "x"\n'
SERVICE = "    image: mine:1\n    expose: [8080]\n"


def machine(name: str) -> Machine:
    return Machine(name=name, system="", seed=0, nodes={"n1": "10.0.0.1", "n2": "10.0.0.2"}, servers={"s1": "10.0.0.3"})


def taken(folder: Path, services: str, more: str = "", named: str = '{n1 = "a"}') -> System:
    """The system of a description that takes ``named`` services over from a Compose file with these ``services``."""
    (folder / "docker-compose.yml").write_text(f"services:\n{services}")
    file = folder / "mine.toml"
    file.write_text(f'compose = "docker-compose.yml"\nservices = {named}\n{more}{PROBE}')
    return described(file)


def one(folder: Path, lines: str, more: str = "") -> System:
    """The system of one service with these lines."""
    return taken(folder, f"  a:\n{SERVICE}{lines}", more)


def test_a_service_becomes_a_machine(tmp_path: Path) -> None:
    (tmp_path / "app.conf").write_text("x = {y}")
    (tmp_path / ".env").write_text("# of the cluster\nPORT=9000\n")
    (tmp_path / "more.env").write_text("FROM_FILE=1\nWINS=no\n")
    system = one(
        tmp_path,
        """    command: serve --port ${PORT} --name '${NAME:-a b}' $$HOME ${NONE-} {x}
    entrypoint: [tini, --]
    environment: [MODE=fast, "JSON={}", WINS=yes]
    env_file: more.env
    volumes: ["./app.conf:/etc/app.conf:ro", "state:/var/lib/app"]
    tmpfs: /run
    restart: unless-stopped
    user: "101"
    working_dir: /app
    cap_add: [NET_ADMIN]
    sysctls: {net.ipv4.ip_nonlocal_bind: 1}
    ulimits: {nofile: {soft: 10, hard: 20}}
    shm_size: 64m
    mem_limit: 512m
    init: true
    stop_signal: SIGINT
    container_name: the-first
    networks: {default: {aliases: [first]}}
""",
    )
    software = system.software_on("n1")
    n1 = machine("n1")
    assert list(software.command(n1)) == ["serve", "--port", "9000", "--name", "a b", "$HOME", "{x}"]
    assert software.environment(n1) == {"FROM_FILE": "1", "WINS": "yes", "MODE": "fast", "JSON": "{}"}
    assert (software.image, software.ports, software.data) == (OwnImage(tag="mine:1"), (8080,), "/var/lib/app")
    assert (software.restart, software.memory_mb, "NET_ADMIN" in software.capabilities) == ("always", 512, True)
    options = software.options
    assert options.entrypoint is not None
    assert list(options.entrypoint(n1)) == ["tini", "--"]
    assert [(file.path, file.content) for file in options.files(n1)] == [("/etc/app.conf", b"x = {y}")]
    assert (options.user, options.working_dir, options.init, options.stop_signal) == ("101", "/app", True, "SIGINT")
    assert (options.sysctls, options.tmpfs) == ({"net.ipv4.ip_nonlocal_bind": "1"}, {"/run": ""})
    assert (options.ulimits, options.shm_bytes) == ({"nofile": (10, 20)}, 64 << 20)
    assert options.aliases == ("a", "the-first", "first")
    assert system.notes == ()


def test_a_node_has_nothing_of_another_one(tmp_path: Path) -> None:
    services = (
        f"  a:\n{SERVICE}    command: lead\n    environment: {{A: 1}}\n  b:\n{SERVICE}    environment: {{B: 2}}\n"
    )
    system = taken(tmp_path, services, named='{n1 = "a", n2 = "b"}')
    first, second = system.software_on("n1"), system.software_on("n2")
    assert (list(first.command(machine("n1"))), list(second.command(machine("n2")))) == (["lead"], [])
    assert (first.environment(machine("n1")), second.environment(machine("n2"))) == ({"A": "1"}, {"B": "2"})
    assert (system.min_nodes, system.usual_nodes, system.max_nodes) == (2, 2, 2)


def test_what_the_description_says_replaces_what_the_compose_file_says(tmp_path: Path) -> None:
    more = 'debian = {packages = ["etcd-server"]}\nport = 2379\n[env]\nMORE = "{name}"\n'
    software = one(tmp_path, "    environment: {A: 1}\n", more).software_on("n1")
    assert (software.image, software.ports) == (OwnImage(suite="bookworm", packages=("etcd-server",)), (2379,))
    assert software.environment(machine("n1")) == {"A": "1", "MORE": "n1"}


def test_services_become_servers_too(tmp_path: Path) -> None:
    services = f"  a:\n{SERVICE}  store:\n    image: redis:7\n    ports: ['16379:6379/tcp']\n"
    system = taken(tmp_path, services, named='{n1 = "a", s1 = "store"}')
    assert (system.server_names, system.servers["store"].software.ports) == (("s1",), (6379,))


def test_what_is_not_taken_over_is_named(tmp_path: Path) -> None:
    services = (
        f"  a:\n{SERVICE}    volumes: [one:/one, two:/two]\n    gpus: all\n    healthcheck: {{}}\n  b:\n{SERVICE}"
    )
    assert taken(tmp_path, services).notes == (
        "docker-compose.yml: services.a: /two is no durable state that a fault removes",
        "docker-compose.yml: services.a.gpus is not taken over",
        "docker-compose.yml: the service b is not started",
    )


@pytest.mark.parametrize(
    ("services", "named", "says"),
    [
        (f"  a:\n{SERVICE}", '{n1 = "aa"}', "docker-compose.yml: services: expected one of a, got 'aa'"),
        (f"  a:\n{SERVICE}", '{node1 = "a"}', "services.node1: expected a machine: n1, n2, ... or s1, s2, ..."),
        (f"  a:\n{SERVICE}", '{n2 = "a"}', "services: expected n1, n2 and so on without a gap, got n2"),
        (f"  a:\n{SERVICE}    privileged: true\n", '{n1 = "a"}', "services.a.privileged: expected single capabilities"),
        (f"  a:\n{SERVICE}    network_mode: host\n", '{n1 = "a"}', "services.a.network_mode: expected the network of"),
        (f"  a:\n{SERVICE}    restart: often\n", '{n1 = "a"}', "services.a.restart: expected one of no, always"),
        (
            f"  a:\n{SERVICE}    command: ['${{X:?must be}}']\n",
            '{n1 = "a"}',
            "services.a.command: expected the variable X",
        ),
        (f'  a:\n{SERVICE}    command: "it\'s"\n', '{n1 = "a"}', "services.a.command: expected a list of words"),
        (f"  a:\n{SERVICE}    ports: ['1-5:1-5']\n", '{n1 = "a"}', "services.a.ports: expected single ports"),
        ("  a: {expose: [1]}\n", '{n1 = "a"}', "services.a.image: expected image or build"),
        ("  a: [\n", '{n1 = "a"}', "docker-compose.yml: no YAML"),
        ("  - a\n", '{n1 = "a"}', "docker-compose.yml: services: expected a table of services"),
    ],
)
def test_a_compose_file_that_cannot_be_taken_over_is_refused(
    tmp_path: Path, services: str, named: str, says: str
) -> None:
    with pytest.raises(UsageError) as refused:
        taken(tmp_path, services, named=named)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("node = 3\n", "mine.toml:3: node: expected a table, got 3"),
        ("node = {n1 = 3}\n", "mine.toml:3: node.n1: expected a table, got 3"),
        ("node = {n2 = {}}\n", "names of machines"),
        ("servers = 3\n", "mine.toml:3: servers: expected a table, got 3"),
    ],
)
def test_what_the_description_adds_is_checked_as_ever(tmp_path: Path, more: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        one(tmp_path, "", more)
    assert says in str(refused.value)


def test_services_of_no_compose_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'services = {{n1 = "a"}}\nimage = "mine:1"\n{PROBE}')
    with pytest.raises(UsageError, match=r"mine\.toml:1: services: expected compose beside it"):
        described(file)


def test_aliases_that_unfold_without_end_are_refused(tmp_path: Path) -> None:
    many = "".join(f"  x{at}: &x{at} [{', '.join([f'*x{at - 1}'] * 100)}]\n" for at in range(1, 20))
    with pytest.raises(UsageError, match="no YAML: more than 1000 aliases"):
        taken(tmp_path, f"  x0: &x0 [1]\n{many}")


def test_a_compose_file_may_be_a_description_itself(tmp_path: Path) -> None:
    file = tmp_path / "docker-compose.yml"
    file.write_text(f"services:\n  a:\n{SERVICE}")
    with pytest.raises(UsageError, match="a Compose file does not say how nodes are asked"):
        find_system(str(file))
    own = "x-splitbrain: {services: {n1: a}, probe: {path: /, leading: x}}\n"
    file.write_text(f"{own}services:\n  a:\n{SERVICE}")
    assert find_system(str(file)).software_on("n1").image == OwnImage(tag="mine:1")


def test_a_recorded_run_has_the_compose_file_as_it_was(tmp_path: Path) -> None:
    origin = one(tmp_path, "").origin
    (tmp_path / "docker-compose.yml").unlink()
    again = described_as(tmp_path / "mine.toml", origin["description"], origin["compose"])
    assert again.software_on("n1").image == OwnImage(tag="mine:1")


@pytest.mark.engine
def test_the_cluster_of_a_published_compose_file_elects_one_leader_a_term(tmp_path: Path) -> None:
    made = run(EXAMPLES / "etcd.toml", nemesis="kill", seconds=10, seed=1, store=tmp_path)
    made.must_hold("term-safety", "election-quorum")
    assert len(made.history.leaderships.node) > 0
