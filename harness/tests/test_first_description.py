"""The command ``splitbrain init``: presets that are right as they are, and files that are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from splitbrain.cli import cli
from splitbrain.describing.first_description import presets
from splitbrain.errors import UsageError
from splitbrain.user_systems.lookup import find_system

COMPOSE = Path(__file__).parents[2] / "docs" / "examples" / "compose" / "docker-compose.yml"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*words: str) -> Result:
    return CliRunner().invoke(cli, ["init", *words])


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_a_description(here: Path, name: str) -> None:
    assert init(name).exit_code == 0
    system = find_system(f"{name}.toml")
    assert system.probe is not None
    assert (here / f"{name}.toml").read_text().startswith(f"# {presets()[name]}")


def test_presets_are_listed() -> None:
    assert [line.split()[0] for line in init().stdout.splitlines()] == list(presets())


def test_an_image_has_its_name_in_the_usual_preset(here: Path) -> None:
    assert init("registry.example/nats:2.10").exit_code == 0
    assert str(find_system("nats.toml").software.image) == "registry.example/nats:2.10"


def test_services_of_a_compose_file_become_machines(here: Path) -> None:
    (here / "docker-compose.yml").write_text(COMPOSE.read_text())
    assert init("docker-compose.yml").exit_code == 0
    system = find_system("docker-compose.toml")
    assert (system.usual_nodes, system.software_on("n2").options.aliases) == (3, ("etcd2",))


def test_services_with_another_image_become_servers(here: Path) -> None:
    a, b = ("{image: 'mine:1', expose: [1]}", "{image: 'redis:7', expose: [6379]}")
    (here / "up.yaml").write_text(f"services:\n  x: {a}\n  store: {b}\n  y: {a}\n")
    assert init("up.yaml", "--output", "mine.toml").exit_code == 0
    assert 'services = {n1 = "x", n2 = "y", s1 = "store"}' in (here / "mine.toml").read_text()
    assert find_system("mine.toml").server_names == ("s1",)


def test_a_file_that_is_there_is_left_alone(here: Path) -> None:
    (here / "exec.toml").write_text("mine")
    refused = init("exec").exception
    assert isinstance(refused, UsageError) and "exec.toml: expected no such file yet" in str(refused)
    assert (here / "exec.toml").read_text() == "mine"


def test_what_is_neither_preset_nor_image_is_refused(here: Path) -> None:
    refused = init("http-jsn").exception
    assert "got 'http-jsn'; did you mean http-json?" in str(refused)
    assert [*here.iterdir()] == []
