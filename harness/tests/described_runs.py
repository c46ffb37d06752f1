"""Runs of the descriptions in docs/examples on containers, by the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


def run_on_containers(example: str, store: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """The status and the properties of a run of an example of the docs."""
    code = "from splitbrain.cli import main; main()"
    words = ["test", str(EXAMPLES / example), *options, "--seed", "1", "--json", "--store", str(store)]
    run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=400, check=False)
    assert run.returncode in (0, 2), run.stderr
    return run.returncode, json.loads(run.stdout)["properties"]
