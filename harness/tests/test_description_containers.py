"""Keys of a description about containers: how they are read, filled in for each machine, refused, and carried out."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from splitbrain.core.experiment import refuse_devices
from splitbrain.errors import EnvironmentFailure, UsageError
from splitbrain.nodes.systems.base import Machine, OwnImage, PutFile, Software, System
from splitbrain.runtimes.docker.hosts import sysctls_of_host
from splitbrain.runtimes.docker.put_files import archive, owner_of
from splitbrain.user_systems.description import described

PROBE = '\n[probe]\npath = "/status"\nleading = "leading"\n'
STORE = '\n[servers.store]\nimage = "redis:7"\nport = 6379\n'


def read(tmp_path: Path, text: str) -> System:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return described(path)


def software(tmp_path: Path, keys: str) -> Software:
    return read(tmp_path, f'image = "mine:1"\n{keys}{PROBE}').software


def machine(name: str = "n2", **changes: Any) -> Machine:
    nodes, servers = {"n1": "a", "n2": "b", "n3": "c"}, {"s1": "x", "s2": "y"}
    given: dict[str, Any] = {"groups": {"store": ("s1", "s2")}, "free_address": "f", **changes}
    return Machine(name=name, system="", seed=7, nodes=nodes, servers=servers, **given)


def test_every_placeholder_stands_for_something_on_each_machine(tmp_path: Path) -> None:
    words = "{name} {index} {address} {names} {addresses} {peers} {count} {free_address} {seed} {group.store}"
    command = read(tmp_path, f'image = "x"\ncommand = ["{words}"]\n{PROBE}{STORE}').software.command
    assert command(machine()) == ["n2 2 b n1,n2,n3 a,b,c n1=a,n3=c 3 f 7 x,y"]
    assert command(machine("s2")) == ["s2 2 y s1,s2 x,y s1=x 2 f 7 x,y"]


def test_a_peer_may_be_written_with_its_number(tmp_path: Path) -> None:
    keys = 'peer = "server.{index}={address}:2888"\nseparator = " "\ncommand = ["{peers}"]\n'
    assert software(tmp_path, keys).command(machine()) == ["server.1=a:2888 server.3=c:2888"]


def test_options_of_a_container_are_those_of_docker(tmp_path: Path) -> None:
    keys = """
entrypoint = ["/bin/app", "{name}", "{peer}"]
user = "redis:101"
working_dir = "/srv"
cap_add = ["NET_ADMIN", "KILL"]
devices = ["/dev/net/tun"]
tmpfs = ["/run", "/tmp:size=1m"]
shm_size = "64m"
init = true
ipv6 = true
stop_signal = "SIGINT"
ports = [9000, 8000]
sysctls = {"net.ipv4.ip_nonlocal_bind" = 1, "kernel.msgmax" = "9000"}
ulimits = {nofile = 1024, core = {soft = 0, hard = -1}}
"""
    found = software(tmp_path, keys)
    options = found.options
    assert options.entrypoint is not None
    assert options.entrypoint(machine()) == ["/bin/app", "n2", "n1=a", "n3=c"]
    assert (options.user, options.working_dir, options.stop_signal) == ("redis:101", "/srv", "SIGINT")
    assert found.capabilities[-1] == "NET_ADMIN" and found.capabilities.count("KILL") == 1
    assert (options.devices, options.tmpfs) == (("/dev/net/tun",), {"/run": "", "/tmp": "size=1m"})
    assert (options.shm_bytes, options.init, found.ports) == (64 << 20, True, (8000, 9000))
    assert options.ulimits == {"nofile": (1024, 1024), "core": (0, -1)}
    assert sysctls_of_host(options) == {"net.ipv4.ip_nonlocal_bind": "1", "net.ipv6.conf.lo.disable_ipv6": "0"}


def test_an_image_may_be_made_of_debian_packages(tmp_path: Path) -> None:
    system = read(tmp_path, f'debian = {{suite = "trixie", packages = ["redis", "g++=4:14.2.0-1"]}}\n{PROBE}')
    assert system.software.image == OwnImage(suite="trixie", packages=("redis", "g++=4:14.2.0-1"))


def test_one_machine_may_differ_in_any_key(tmp_path: Path) -> None:
    text = f"""
image = "mine:1"
command = ["--id", "{{name}}"]
env = {{A = "1", B = "2"}}
{PROBE}{STORE}
[node.n1]
folder = "."
command = ["--first"]
env = {{B = "{{index}}"}}
[node.s1]
memory_mb = 64
"""
    (tmp_path / "Dockerfile").write_text("")
    system = read(tmp_path, text)
    first, second = system.software_on("n1"), system.software_on("n2")
    assert first.image == OwnImage(folder=str(tmp_path.resolve())) and second.image == OwnImage(tag="mine:1")
    assert (list(first.command(machine("n1"))), list(second.command(machine()))) == (["--first"], ["--id", "n2"])
    assert first.environment(machine("n1")) == {"A": "1", "B": "1"}
    store = system.software_on("s1")
    assert (store.image, store.ports, store.memory_mb) == (OwnImage(tag="redis:7"), (6379,), 64)


def test_commands_of_the_set_up_are_filled_in_for_each_machine(tmp_path: Path) -> None:
    keys = '[setup]\nfirst = [["app", "init", "{index}"], ["app", "add", "{peer}"]]\nretry = true\n'
    system = read(tmp_path, f'image = "x"\n{PROBE}{STORE}\n[servers.store.setup]\neach = [["{{name}}"]]\n{keys}')
    init, add = system.set_up.first
    assert (init(machine()), add(machine())) == (["app", "init", "2"], ["app", "add", "n1=a", "n3=c"])
    assert (system.set_up.retry, system.set_up.timeout_s, system.set_up.empty) == (True, 60.0, False)
    (each,) = system.servers["store"].set_up.each
    assert each(machine("s2")) == ["s2"]


# Files


def files(tmp_path: Path, keys: str) -> list[PutFile]:
    found = software(tmp_path, "[files]\n" + keys).options.files(machine())
    return [*found]


def test_files_hold_texts_with_placeholders_and_files_beside_the_description(tmp_path: Path) -> None:
    (tmp_path / "app.conf").write_bytes(b"{name}\xff")
    (tmp_path / "own.conf").write_text("{name}")
    (tmp_path / "more" / "deep").mkdir(parents=True)
    (tmp_path / "more" / "deep" / "x").write_text("x")
    assert files(
        tmp_path,
        """
"/a" = "{index} {{}}"
"/b" = {from = "app.conf", mode = "0600", owner = "redis"}
"/c" = {from = "own.conf", placeholders = true, mode = 0o755}
"/d" = {from = "more"}
""",
    ) == [
        PutFile(path="/a", content=b"2 {}"),
        PutFile(path="/b", content=b"{name}\xff", mode=0o600, owner="redis"),
        PutFile(path="/c", content=b"n2", mode=0o755),
        PutFile(path="/d/deep/x", content=b"x"),
    ]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("files = {'etc/x' = 'a'}", "files.etc/x: expected a path from /"),
        ("files = {'/proc/x' = 'a'}", "files./proc/x: expected a path from / to a file, not below /proc"),
        ("files = {'/a/../b' = 'a'}", "expected a path from /"),
        ("files = {'/a' = 7}", "files./a: expected a text or a table such as"),
        ("files = {'/a' = '{nome}'}", r"mine.toml:2: files./a.text: expected placeholders .*did you mean name\?"),
        ("files = {'/a' = {mode = '0600'}}", "files./a: expected one of text and from"),
        ("files = {'/a' = {text = '', mode = 'rw'}}", "files./a.mode: expected a mode"),
        ("files = {'/a' = {from = '../secret'}}", "files./a.from: expected a file within the description's folder"),
        ("files = {'/a' = {from = 'stolen'}}", "files./a.from: expected a file within the description's folder"),
        ("files = {'/a' = {from = 'nowhere'}}", r"files./a.from: expected a file that can be read, .*\(No such file"),
        ("files = {'/a' = {from = 'binary', placeholders = true}}", "expected a file in UTF-8"),
        ("files = {'/a' = {from = 'large'}}", "files./a.from: expected a file that can be read"),
        ("user = 'a b'", "user: expected a user"),
        ("working_dir = 'srv'", "working_dir: expected a path"),
        ("cap_add = ['NET_ADMINS']", "cap_add: expected a list of some of"),
        ("devices = ['/etc/passwd']", "devices: expected a list of devices"),
        ("devices = ['/dev/sda:/dev/x']", "devices: expected a list of devices"),
        ("tmpfs = ['run']", "tmpfs: expected a list of folders"),
        ("shm_size = 'large'", "shm_size: expected a size"),
        ("ulimits = {nofile = 'many'}", "ulimits.nofile: expected a whole number, or"),
        ("sysctls = {'kernel.panic' = 1}", "sysctls.kernel.panic: expected a setting of the network"),
        ("sysctls = {'net.ipv6.conf.all.disable_ipv6' = 0}", "expected no IPv6 between machines, since cuts are of"),
        ("sysctls = {'net.x' = []}", "sysctls.net.x: expected a text or a number"),
        ("sysctls = {'net.a b' = 1}", "sysctls.net.a b: expected the name of a setting"),
        ("env = {'A=B' = 'x'}", "env.A=B: expected a name without ="),
        ("stop_signal = 'SIGNOPE'", "stop_signal: expected a signal such as SIGTERM"),
        ("stop_signal = 'INT'", "stop_signal: expected a signal such as SIGTERM"),
        ("init = 1", "init: expected true or false"),
        ("ports = [0]", "ports: expected a list of at most 16 ports"),
        ("debian = {packages = ['redis']}", "expected one of image"),
        ("setup.first = ['app']", "setup.first: expected a list of commands, each a list of texts"),
        ("setup.each = [[]]", "setup.each: expected commands of at least one word"),
        ("setup.after = [['{nome}']]", r"setup.after: expected placeholders .*did you mean name\?"),
        ("setup.timeout_s = 0", "setup.timeout_s: expected a whole number from 1"),
        ("node.n1.setup.first = []", "unknown key node.n1.setup"),
        ("node.n10.port = 7", "node.n10: expected names of machines, of n1 to n9"),
        ("node.n1.prot = 7", "unknown key node.n1.prot: .*did you mean port"),
        ("node.n1.port = 0", "mine.toml:2: node.n1.port: expected a whole number"),
    ],
)
def test_a_key_of_a_container_is_refused_with_its_place(tmp_path: Path, keys: str, words: str) -> None:
    (tmp_path.parent / "secret").write_text("")
    (tmp_path / "stolen").symlink_to("../secret")
    (tmp_path / "binary").write_bytes(b"\xff")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(17 << 20)
    with pytest.raises(UsageError, match=words):
        software(tmp_path, keys)


@pytest.mark.parametrize("packages", ["['a b']", "['-o']", "['a;b']", "['../x']"])
def test_packages_are_names_and_nothing_else(tmp_path: Path, packages: str) -> None:
    with pytest.raises(UsageError, match=r"debian\.packages: expected a list of packages"):
        read(tmp_path, f"debian = {{packages = {packages}}}\n{PROBE}")


def test_devices_of_the_machine_are_for_its_user_to_give(tmp_path: Path) -> None:
    system = read(tmp_path, f'image = "x"\n{PROBE}[node.n1]\ndevices = ["/dev/fuse", "/dev/kvm"]\n')
    with pytest.raises(UsageError, match="rerun with --allow-privileged: /dev/kvm"):
        refuse_devices(system, privileged=False)
    refuse_devices(system, privileged=True)


USERS = {"redis": ("101", "102")}
GROUPS = {"adm": ("4", "")}


@pytest.mark.parametrize(
    ("owner", "numbers"),
    [("root", (0, 0)), ("redis", (101, 102)), ("redis:adm", (101, 4)), ("7", (7, 7)), ("7:8", (7, 8))],
)
def test_an_owner_is_a_name_of_the_image_or_a_number(owner: str, numbers: tuple[int, int]) -> None:
    assert owner_of(PutFile(path="/a", content=b"", owner=owner), USERS, GROUPS) == numbers


@pytest.mark.parametrize("owner", ["nobody", "redis:wheel"])
def test_an_owner_that_the_image_does_not_know_is_named(owner: str) -> None:
    with pytest.raises(EnvironmentFailure, match=f"/a: owner: expected .*'{owner}'"):
        owner_of(PutFile(path="/a", content=b"", owner=owner), USERS, GROUPS)


def test_an_archive_holds_files_by_their_paths_and_no_folders() -> None:
    file = PutFile(path="/etc/app.conf", content=b"x", mode=0o600)
    with tarfile.open(fileobj=io.BytesIO(archive([(file, (101, 102))]))) as tar:
        (entry,) = tar.getmembers()
    assert (entry.name, entry.mode, entry.uid, entry.gid, entry.size) == ("etc/app.conf", 0o600, 101, 102, 1)
