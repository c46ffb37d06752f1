"""Everything fetched from a registry is named by its hash or by a commit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from splitbrain import nodes

ROOT = Path(__file__).parents[2]
WHEELS = sorted(Path(str(nodes.__file__)).parent.rglob("wheels.txt"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def requirements(text: str) -> list[str]:
    """The logical lines of a requirements file that name a package."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.strip().startswith(("#", "--"))]


@pytest.mark.parametrize("file", [*WHEELS, ROOT / ".ci" / "requirements.txt"], ids=lambda file: file.parent.name)
def test_packages_are_pinned_by_version_and_hash(file: Path) -> None:
    named = requirements(file.read_text())
    assert named
    for line in named:
        assert re.match(r"[\w.\[\]-]+==[\w.]+ ", line) and "--hash=sha256:" in line, line


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_run_with_the_least_permissions_and_actions_of_one_commit(file: Path) -> None:
    text = file.read_text()
    assert re.findall(r"^permissions:\n((?:  .*\n)+)", text, re.MULTILINE) == ["  contents: read\n"]
    assert all(re.search(r"@[0-9a-f]{40} # v", line) for line in text.splitlines() if "uses:" in line)
