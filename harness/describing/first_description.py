"""A first description to be completed by its author: from a preset, for an image, or for a Compose file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from splitbrain.errors import UsageError
from splitbrain.names import did_you_mean
from splitbrain.user_systems.description.compose import read_compose
from splitbrain.user_systems.description.composed import SUFFIXES

FOLDER: Final = Path(__file__).parent / "presets"
PLACE: Final = "IMAGE"
USUAL: Final = "http-json"


def presets() -> dict[str, str]:
    """The presets by name, each with the sentence that it begins with."""
    files = sorted(FOLDER.glob("*.toml"))
    return {file.stem: file.read_text().partition("\n")[0].removeprefix("# ") for file in files}


def usual_name(of: str) -> Path:
    """The file that a description is written to: beside a Compose file, else in the current directory."""
    path = Path(of)
    return path.with_suffix(".toml") if path.suffix in SUFFIXES else Path(f"{re.split('[:@]', path.name)[0]}.toml")


def first_description(of: str) -> str:
    """The text of a description: of a preset, or for a Compose file or an image of that name. Raises UsageError."""
    known = presets()
    if of in known:
        return (FOLDER / f"{of}.toml").read_text()
    if of.endswith(SUFFIXES):
        return _of_compose(Path(of))
    if not re.fullmatch(r"[a-z0-9][a-z0-9._/:@-]*", of) or (":" not in of and "/" not in of):
        expected = f"a preset ({', '.join(known)}), a Compose file or an image with its tag"
        raise UsageError(f"init: expected {expected}, got {of!r}{did_you_mean(of, known)}")
    return (FOLDER / f"{USUAL}.toml").read_text().replace(PLACE, of)


def _of_compose(file: Path) -> str:
    """The services with the most frequent image are taken for nodes, the others for servers."""
    services: Mapping[str, Any] = read_compose(file)[1]["services"]
    images = {name: str(_program(service)) for name, service in services.items()}
    if not images:
        raise UsageError(f"{file}: services: expected at least one, got none")
    (usual, _), *_ = Counter(images.values()).most_common(1)
    nodes = [name for name, image in images.items() if image == usual]
    servers = [name for name in images if name not in nodes]
    machines = {f"n{at}": name for at, name in enumerate(nodes, 1)} | {
        f"s{at}": name for at, name in enumerate(servers, 1)
    }
    named = ", ".join(f'{machine} = "{service}"' for machine, service in machines.items())
    lines = [
        f"# The services of {file.name} as machines: n1, n2, ... are nodes, s1, s2, ... servers that they rest on.",
        'help = "one line about the system"',
        f'compose = "{file.name}"',
        f"services = {{{named}}}",
    ]
    election = (FOLDER / f"{USUAL}.toml").read_text().partition("\nelects = ")[2]
    return "\n".join([*lines, "", f"elects = {election}"])


def _program(service: object) -> object:
    """What a service runs, by its image or by what it is built from."""
    return (service.get("image") or service.get("build")) if isinstance(service, dict) else None
