from __future__ import annotations

import shutil
import subprocess

import pytest

from splitbrain.reports import page
from splitbrain.reports.bundle import BundleError, bundle

FORMAT = """const twice = (n) => 2 * n;
export const shown = (n) => `${twice(n)} s`;
"""
AXIS = """import { shown } from "./format.mjs";
const twice = "a private name";
export function label(n) {
  return `${shown(n)}, ${twice}`;
}
"""
ENTRY = """import {
  shown,
} from "./format.mjs";
import { label } from "./axis.mjs";
console.log(shown(1), label(2));
"""
MODULES = {"format.mjs": FORMAT, "axis.mjs": AXIS, "entry.mjs": ENTRY}


def test_a_module_comes_once_and_after_all_that_it_imports() -> None:
    script = bundle("entry.mjs", MODULES.__getitem__)
    places = [script.index(f"const ${name} = ") for name in ("format", "axis", "entry")]
    assert places == sorted(places)
    assert script.count("const $format = ") == 1
    assert bundle("entry.mjs", MODULES.__getitem__) == script


def test_a_bundle_runs_as_one_script_and_keeps_private_names_apart() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on the PATH")
    script = bundle("entry.mjs", MODULES.__getitem__)
    done = subprocess.run([node, "-"], input=script, capture_output=True, text=True, check=True)
    assert done.stdout == "2 s 4 s, a private name\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('import { label } from "./axis.mjs";\n', "import one another: axis.mjs -> format.mjs -> axis.mjs"),
        ('import { absent } from "./other.mjs";\n', "format.mjs imports absent, which other.mjs does not export"),
        ('import other from "./other.mjs";\n', "format.mjs: expected import .* got 'import other from"),
        ("export default 1;\n", "format.mjs: expected .* got 'export default 1;'"),
        ('export const end = "</script>";\n', "format.mjs: expected .* got '</script'"),
    ],
)
def test_what_cannot_be_bundled_is_named(text: str, error: str) -> None:
    modules = {**MODULES, "format.mjs": text + "export const shown = 1;\n", "other.mjs": "export const there = 1;\n"}
    with pytest.raises(BundleError, match=error):
        bundle("axis.mjs", modules.__getitem__)


@pytest.mark.parametrize("entry", ["report.mjs", "index.mjs"])
def test_every_script_of_a_page_is_bundled_whole(entry: str) -> None:
    script = page.script(page.environment(), entry)
    assert script.startswith('"use strict";')
    assert "\nimport " not in script
    assert "\nexport " not in script
