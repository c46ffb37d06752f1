"""Systems described in a TOML file: meaning of a file, rejected files, and one that is run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from splitbrain.core.promises import bounds_of
from splitbrain.core.stored_system import provenance, stored_system
from splitbrain.errors import UsageError
from splitbrain.nodes.clients.answers import Answer, WrongAnswer
from splitbrain.nodes.clients.claims import Reader, named
from splitbrain.nodes.systems.base import Machine, OwnImage
from splitbrain.nodes.systems.probes import Confirm, Further, Http, Log, Probe, Sql, Tls
from splitbrain.user_systems.description import described
from splitbrain.user_systems.promises import usual_promises

WAY = Http(path="/")
OWN = {name: {"name": name, "address": f"10.0.0.{name[1]}", "index": name[1]} for name in ("n1", "n2")}
EXAMPLES = Path(__file__).parents[2] / "docs/examples"
LEAST = 'image = "mine:1"\n[probe]\npath = "/status"\nleading = "leading"\n'


def read(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return described(path)


def test_a_minimal_file_has_an_image_and_a_probe(tmp_path: Path) -> None:
    system = read(tmp_path, LEAST)
    assert system.software.image == OwnImage(tag="mine:1")
    assert system.probe == Probe(way=Http(path="/status"), leading="leading")
    assert system.promises["crash"] == usual_promises(has_terms=False, elects="none") and not system.simulated


def test_a_file_says_that_its_nodes_elect_and_how_long_a_round_lasts(tmp_path: Path) -> None:
    silent, said = read(tmp_path, LEAST), read(tmp_path, "elects = 'nodes'\nround_ms = 900\n" + LEAST)
    assert (silent.elects, silent.round_ms) == ("none", silent.stall_bound_ms)
    assert (said.elects, said.round_ms) == ("nodes", 900)
    assert (silent.promises["pause"]["election-quorum"], said.promises["pause"]["election-quorum"]) == (
        "undefined",
        "guaranteed",
    )


def test_a_command_is_filled_in_for_each_machine(tmp_path: Path) -> None:
    words = 'command = ["--id={name}", "{peers}", "--peer={peer}", "{{}}"]\npeer = "{name}@{address}"\n'
    command = read(tmp_path, words + LEAST).software.command
    machine = Machine(name="n2", system="", seed=0, nodes={"n1": "a", "n2": "b", "n3": "c"}, servers={})
    assert command(machine) == ["--id=n2", "n1@a,n3@c", "--peer=n1@a", "--peer=n3@c", "{}"]


STORE = LEAST + '[servers.store]\nimage = "redis:7"\nport = 6379\n'


def machine(name: str) -> Machine:
    nodes, servers = {"n1": "a", "n2": "b"}, {"s1": "x", "s2": "y", "s3": "z"}
    groups = {"store": ("s1", "s2"), "proxy": ("s3",)}
    return Machine(name=name, system="", seed=7, nodes=nodes, servers=servers, groups=groups, free_address="f")


def test_servers_are_machines_that_the_election_rests_on(tmp_path: Path) -> None:
    system = read(tmp_path, STORE)
    assert system.groups == {"store": ("s1",)}
    software = system.software_on("s1")
    assert (software.image, software.ports) == (OwnImage(tag="redis:7"), (6379,))
    assert system.promises["server-pause"] == system.promises["pause"]
    assert "server-pause" not in read(tmp_path, LEAST).promises


def test_nodes_are_started_with_the_addresses_of_their_servers(tmp_path: Path) -> None:
    words = 'command = ["{group.store}", "{peers}"]\nenv = {STORE = "redis://{group.store}", ME = "{name}"}\n'
    more = 'count = 2\ncommand = ["{name}", "{peers}"]\nenv = {ALL = "{group.store}"}\n'
    system = read(tmp_path, words + STORE + more)
    assert system.software.command(machine("n1")) == ["x,y", "n2=b"]
    assert system.software.environment(machine("n2")) == {"STORE": "redis://x,y", "ME": "n2"}
    assert system.software_on("s2").command(machine("s2")) == ["s2", "s1=x"]
    assert system.software_on("s2").environment(machine("s2")) == {"ALL": "x,y"}


def test_a_majority_of_the_servers_may_elect_where_there_are_some(tmp_path: Path) -> None:
    for words in ("servers", "majority of servers", "majority of store"):
        system = read(tmp_path, f'elects = "{words}"\n' + STORE)
        assert (system.elects, system.electing) == ("servers", None)


def test_servers_may_form_several_groups_of_which_one_elects(tmp_path: Path) -> None:
    text = "elects = 'majority of store'\n" + STORE + "count = 3\n[servers.proxy]\nimage = 'x'\nport = 1\ncount = 2\n"
    system = read(tmp_path, text)
    assert system.groups == {"store": ("s1", "s2", "s3"), "proxy": ("s4", "s5")}
    assert (system.elects, system.electing, system.software_on("s4").ports) == ("servers", "store", (1,))
    stored = stored_system({"system": "x.toml", **provenance(system)}, "experiment.json")
    assert stored is not None
    for judged in (system, stored):
        bounds = bounds_of(judged, ("n1",), system.server_names)
        assert (bounds.groups, bounds.electors) == ((("s1", "s2", "s3"), ("s4", "s5")), ("s1", "s2", "s3"))


def test_a_store_may_have_promises_of_its_own(tmp_path: Path) -> None:
    system = read(tmp_path, STORE + '[promises.server-state-loss]\nexclusivity = "known-weakness"\n')
    assert system.promises["server-state-loss"]["exclusivity"] == "known-weakness"
    assert system.promises["state-loss"]["exclusivity"] == "not-promised"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image = ", "no TOML"),
        ("[probe]\npath = '/'\nleading = 'x'\n", "one of image"),
        ('folder = "nowhere"\n[probe]\npath = "/"\nleading = "x"\n', "Dockerfile"),
        ("colour = 'red'\n" + LEAST, "unknown key colour"),
        ("nodes = 'three'\n" + LEAST, "nodes: expected a whole number"),
        ("nodes = true\n" + LEAST, "nodes: expected a whole number"),
        ("min_nodes = 5\nmax_nodes = 4\n" + LEAST, "max_nodes: expected a whole number from 5 to 50, got 4"),
        ("nodes = 3\nmin_nodes = 5\n" + LEAST, "nodes: expected a number from min_nodes to max_nodes, 5 to 9, got 3"),
        ("restart = 'sometimes'\n" + LEAST, "restart: expected one of always, on-failure, never, got 'sometimes'"),
        (
            "command = ['{nome}']\n" + LEAST,
            r"command: expected .*\(unknown placeholder \{nome\}; did you mean name\?\)",
        ),
        ("command = ['{name:>3000000000}']\n" + LEAST, "command: expected"),
        ("command = ['{name!r}']\n" + LEAST, "command: expected"),
        ("command = ['{name.__class__}']\n" + LEAST, "command: expected"),
        ("command = ['{']\n" + LEAST, "command: expected"),
        ("command = ['{group.store}']\n" + LEAST, "command: expected"),
        ("peer = '{nome}'\n" + LEAST, "peer: expected a text with {name}, {index}, {address}"),
        ("env = {A = 7}\n" + LEAST, "env.A: expected a text, got 7"),
        (
            "env = {A = '{nome}'}\n" + LEAST,
            r"env\.A: expected placeholders of \{name\}.*\(unknown placeholder \{nome\}; did you mean name\?\)",
        ),
        (
            "env = {A = '{peer}'}\n" + LEAST,
            r"env\.A: expected placeholders .*unknown placeholder \{peer\}; did you mean peers",
        ),
        (STORE + "count = 10\n", "servers.store.count: expected a whole number from 1 to 9"),
        (STORE + "nodes = 3\n", "unknown key servers.store.nodes"),
        (STORE + "[servers.nodes]\nimage = 'x'\nport = 1\n", "servers.nodes: expected names of letters"),
        (
            "elects = 'majority of servers'\n" + STORE + "[servers.proxy]\nimage = 'x'\nport = 1\n",
            "elects: expected one of majority of store, majority of proxy",
        ),
        (
            "elects = 'majority of proxy'\n" + STORE,
            "elects: expected one of majority of nodes, majority of servers",
        ),
        (LEAST + "[servers.store]\nimage = 'x'\n", "servers.store.port is missing"),
        (LEAST + "[servers.store]\nport = 1\n", "servers.store: expected one of image"),
        (LEAST + "[servers]\nstore = 'x'\n", "servers.store: expected a table"),
        (
            LEAST + "[promises.server-pause]\nstability = 'undefined'\n",
            "promises: expected fault classes, of all, crash",
        ),
        ("eligibility = 'all'\n" + LEAST, "eligibility: expected one of"),
        ("elects = 'servers'\n" + LEAST, "elects: expected one of majority of nodes, nobody, got 'servers'"),
        (LEAST + "role = 'x'\n", "unknown key probe.role"),
        ('image = "x"\n[probe]\npath = "/"\n', "probe.leading is missing"),
        (
            'image = "x"\n[probe]\npath = "/"\nleading = "state = leader"\n',
            r"probe.leading: expected an expression .*at character 7: expected an operator or the end, got '= leader'",
        ),
        (
            'image = "x"\n[probe]\npath = "@192.0.2.1/"\nleading = "x"\n',
            "probe.path: expected a path that begins with /",
        ),
        ('image = "x"\n[probe]\npath = "http://192.0.2.1/"\nleading = "x"\n', "probe.path: expected a path"),
        ('image = "x"\n[probe]\npath = "/a b"\nleading = "x"\n', "probe.path: expected a path"),
        ('image = "x"\n[probe]\npath = 7\nleading = "x"\n', "probe.path: expected a path"),
        (LEAST + "leader_term = 'since'\n", "probe.leader_term: expected leader and term beside it"),
        (LEAST + "status = [99]\n", "probe.status: expected a list of statuses from 200 to 599"),
        (LEAST + "status = 503\n", "probe.status: expected a list of HTTP statuses"),
        (LEAST + "[confirm]\npath = '/c'\nmethod = 'GE T'\n", "confirm.method: expected one of GET"),
        (LEAST + "[confirm]\npath = ':80/c'\n", "confirm.path: expected a path"),
        (LEAST + "[confirm]\nmethod = 'GET'\n", "confirm.path is missing"),
        (LEAST + "[promises]\nC1 = '++'\n", "promises.C1: expected 7 of the marks"),
        (LEAST + "[promises]\nC99 = '++++++'\n", "promises: expected fault classes, of all, crash"),
    ],
)
def test_an_invalid_value_is_refused_by_its_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(tmp_path, text)


@pytest.mark.parametrize(("policy", "after"), [("never", []), ("on-failure", [3]), ("always", [0, 3])])
def test_a_restart_policy_says_after_which_ends_a_node_is_started_again(
    tmp_path: Path, policy: str, after: list[int]
) -> None:
    software = read(tmp_path, f"restart = '{policy}'\nrestart_delay_ms = 250\n{LEAST}").software
    assert software.restart_delay_ms == 250
    assert [status for status in (0, 3) if software.restarts_after(status)] == after


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        described(tmp_path / "none.toml")


def test_claims_are_found_where_the_probe_says() -> None:
    probe = Probe(way=WAY, leading="raft.state == leader", leader="raft.leader", term="raft.term", reign="boot")
    raft = {"state": "Leader", "leader": "http://10.0.0.2:80", "term": "7"}

    def claimed(**changes: str) -> Any:
        return claim(probe, answered(200, {"raft": raft | changes, "boot": 3}))

    assert claimed() == {"leading": True, "leader": "n1", "term": 7, "reign": "3"}
    assert claimed(state="follower") == {"leading": False, "leader": "n2", "term": 7, "reign": "3", "leader_term": None}
    with pytest.raises(WrongAnswer, match=r"raft\.term"):
        claimed(term="seven")


def test_a_node_follows_a_leader_of_the_term_that_the_probe_finds_for_it() -> None:
    probe = Probe(way=WAY, leading="leads", leader="leader", leader_term="since", term="term")
    told = {"leads": False, "leader": "n1", "since": 3, "term": 5}
    said = claim(probe, answered(200, told), "n2")
    assert (said["leader"], said["leader_term"], said["term"]) == ("n1", 3, 5)
    assert "leader_term" not in claim(probe, answered(200, {**told, "leads": True}))


def answered(status: int, value: object) -> Answer:
    return Answer(status=status, body=json.dumps(value).encode())


def claim(probe: Probe, answer: Answer, node: str = "n1", **also: Answer) -> Any:
    return Reader(probe, OWN).claim(node, answer, also)


def test_a_leader_may_be_the_node_that_answers_200_where_all_others_answer_503() -> None:
    probe = Probe(way=WAY, leading="status == 200")
    nobody = {"leader": None, "term": None, "reign": None}
    assert claim(probe, answered(200, "a page, perhaps")) == {**nobody, "leading": True, "leader": "n1"}
    assert claim(probe, answered(503, "")) == {**nobody, "leading": False}
    with pytest.raises(WrongAnswer, match="status 500"):
        claim(probe, answered(500, ""))


def test_statuses_that_are_named_are_answers_with_a_body() -> None:
    probe = Probe(way=Http(path="/", statuses=(429, 503)), leading="role == leader")
    for status, role in ((200, "leader"), (503, "replica"), (429, "replica")):
        said = claim(probe, answered(status, {"role": role}))
        assert said["leading"] is (role == "leader")
    with pytest.raises(WrongAnswer, match="status 404"):
        claim(probe, answered(404, {"role": "leader"}))


def test_a_leader_that_is_no_node_is_none() -> None:
    assert named("n9", {"n1": "n1"}) is None and named(None, {"n1": "n1"}) is None


def test_a_file_says_how_nodes_are_asked(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    text = """
image = "x"
port = 8222
[probe]
format = "lines"
leading = "state == leader"
names = {"{address}:80" = "{name}"}
[probe.http]
path = "/{name}"
method = "post"
port = 9000
headers = {X-Me = "{index}"}
basic = {user = "me", password = "it"}
tls = {ca = "ca.pem"}
[probe.also]
me = "/varz"
other = {http = {path = "/o", port = 9001}, format = "text"}
[confirm]
http = {path = "/c", method = "PUT", body = "{}"}
ok = "done"
"""
    system = read(tmp_path, text)
    tls = Tls(ca=str(tmp_path / "ca.pem"))
    first = Http(path="/{name}", method="POST", port=9000, headers=(("X-Me", "{index}"),), basic=("me", "it"), tls=tls)
    further = {
        "me": Further(way=replace(first, path="/varz", method="GET")),
        "other": Further(way=Http(path="/o", port=9001), format="text"),
    }
    assert system.probe == Probe(
        way=first,
        leading="state == leader",
        format="lines",
        also=further,
        names={"{address}:80": "{name}"},
        confirm=Confirm(way=Http(path="/c", method="PUT", body="{}"), ok="done"),
    )
    assert system.software.ports == (8222, 9000, 9001)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("leading = 'x'", "probe: expected path or one of http, exec, tcp, redis"),
        ("sql = {url = 'mysql://{address}', query = 'x'}\nleading = 'x'", "probe.sql.url: expected a URL such as"),
        ("sql = {url = 'pg://me@{address}', query = 'x'}\nleading = 'x'", "probe.sql.url: expected a URL such as"),
        ("sql = {url = 'mysql://me@10.0.0.1', query = 'x'}\nleading = 'x'", "probe.sql.url: expected a URL such as"),
        ("sql = {url = 'postgres://me@{address}'}\nleading = 'x'", "probe.sql.query is missing"),
        ("log = {leading = '(', follower = 'x'}", r"probe.log.leading: .*at character 1: expected \) for this"),
        ("log = {leading = 'a'}", "probe.log.follower is missing"),
        ("exec = []\nleading = 'x'", "probe.exec: expected a list of texts with at least one"),
        ("exec = ['a']\nstatus = [503]\nleading = 'x'", "probe.status: expected a list of statuses from 0 to 255"),
        ("tcp = {}\nleading = 'x'", "probe.tcp: expected send or until"),
        ("redis = {command = ['A'], user = 'me'}\nleading = 'x'", "probe.redis.user: expected password beside it"),
        ("exec = ['a']\nleading = 'x'\nalso = {me = '/'}", "probe.also.me: expected a table, since a path"),
        ("path = '/'\nhttp = {path = '/'}\nleading = 'x'", "probe: expected one way of asking, got http and path"),
        ("http = {}\nleading = 'x'", "probe.http.path is missing"),
        ("http = {path = '/{nome}'}\nleading = 'x'", "probe.http.path: .*{nome} is unknown"),
        ("path = '/'\nleading = 'x ~ /(/'", "mine.toml:4: probe.leading: .*in the regular expression: expected \\)"),
        ("path = '/'\nleading = 'x'\nterm = 'a =='", "mine.toml:5: probe.term: expected an expression"),
        ("path = '/'\nleading = 'x'\nformat = 'xml'", "probe.format: expected one of json, text"),
        ("path = '/'\nleading = 'x'\nformat = 'status'", "probe.leading: expected a test of status only"),
        ("path = '/'\nleading = 'x'\nalso = {me = 7}", "probe.also.me: expected a table, got 7"),
        ("path = '/'\nleading = 'x'\nalso = {me = 'varz'}", "probe.also.me: expected a path that begins with /"),
        ("path = '/'\nleading = 'x'\nalso = {me = {}}", "probe.also.me: expected one of http"),
        ("path = '/'\nleading = 'x'\nnames = {a = '{nome}'}", "probe.names.a: expected words with no other"),
        ("http = {path = '/', headers = {'a b' = 'c'}}\nleading = 'x'", "probe.http.headers.a b: expected the name"),
        ('http = {path = "/", headers = {a = "b\\nc"}}\nleading = "x"', "probe.http.headers.a: expected the name"),
        ("http = {path = '/', tls = {ca = 'none'}}\nleading = 'x'", "probe.http.tls.ca: expected a file beside"),
        ("http = {path = '/', basic = {user = 'me'}}\nleading = 'x'", "probe.http.basic.password is missing"),
    ],
)
def test_a_wrong_way_of_asking_is_refused_by_its_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(tmp_path, f'image = "x"\n[probe]\n{text}\n')


def test_a_log_tells_its_leading_and_its_reign_where_nothing_else_is_said(tmp_path: Path) -> None:
    probe = read(tmp_path, 'image = "x"\n[probe]\nlog = {leading = "up", follower = "down"}\n').probe
    assert (probe.way, probe.leading, probe.reign) == (Log(leading="up", follower="down"), "leading", "since")
    with pytest.raises(UsageError, match=r"confirm\.log: expected a way that asks"):
        read(tmp_path, LEAST + '[confirm]\nlog = {leading = "up", follower = "down"}\n')


def test_a_query_goes_to_the_usual_port_of_its_database_with_the_words_of_the_url(tmp_path: Path) -> None:
    sql = '{url = "postgres://me:p%40ss@{address}/my%20db", query = "SELECT 1 AS one"}'
    system = read(tmp_path, f'image = "x"\n[probe]\nsql = {sql}\nleading = "one == 1"\n')
    way = Sql(engine="postgresql", query="SELECT 1 AS one", port=5432, user="me", password="p@ss", database="my db")
    assert system.probe.way == way and system.software.ports == (8000, 5432)


KEPT = """[set]
add = {redis = {command = ["SADD", "kept", "{element}"]}, ok = ". == 1"}
read = {redis = {command = ["SMEMBERS", "kept"]}}
"""


def test_a_system_may_keep_a_set_and_is_judged_by_what_it_loses(tmp_path: Path) -> None:
    system = read(tmp_path, LEAST + KEPT)
    assert system.features == {"tokens", "set"} and system.promises["crash"]["fencing"] == "guaranteed"
    assert system.probe.kept.members == "." and system.probe.kept.add.ok == ". == 1"
    assert "set" not in read(tmp_path, LEAST).features


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[set]\nadd = {exec = ['a', '{element}']}\n", "set.read: expected one of http, exec"),
        ("[set]\nread = {exec = ['a']}\nadd = {exec = ['a']}\n", "set.add: expected {element} in what is sent"),
        (
            "[set.add]\nlog = {leading = 'a', follower = 'b'}\n[set.read]\nexec = ['a']\n",
            "set.add: expected one",
        ),
        ("names = {'{element}' = '{name}'}\n", "{element} stands for an element only"),
        ("[confirm]\nhttp = {path = '/{element}'}\n", "{element} stands for an element only"),
    ],
)
def test_a_set_that_is_described_wrongly_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(tmp_path, LEAST + text)
