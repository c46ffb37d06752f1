"""The templates and scripts that every page is built from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_templates_are_found_from_any_directory(tmp_path: Path) -> None:
    # Isolated (-I): neither the working directory nor PYTHONPATH is searched, as for the installed command.
    load = "from splitbrain.reports import page; page.environment().get_template('report.html')"
    done = subprocess.run([sys.executable, "-I", "-c", load], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
