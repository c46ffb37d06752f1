"""The pages in a real browser: they open from disk, draw, and log no error."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from splitbrain import reports
from splitbrain.reports.tests import samples
from splitbrain.reports.tests.runs import HOSTILE, rendered
from splitbrain.reports.tests.test_store import store_run

pytestmark = pytest.mark.browser

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
    "--window-size=1400,1000",
]


@dataclass(frozen=True)
class Opened:
    """The document after its scripts ran, and the console output."""

    document: str
    console: list[str]


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Opened]:
    """Opens a page, runs a script in it, and returns the resulting document."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no browser on the PATH (looked for {', '.join(names)})")

    def open_page(page: Path, script: str = "") -> Opened:
        copy = page.with_name("opened.html")
        copy.write_text(page.read_text() + f"<script>{script}</script>")
        done = subprocess.run(
            [browser, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", copy.as_uri()],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return Opened(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])

    return open_page


def drawn(document: str, kind: str) -> int:
    """The number of bars of a kind in the timeline; those of the legend and the overview have no tooltip."""
    return len(re.findall(rf'<rect [^>]*class="{kind}[ "][^>]*data-tip', document))


def test_the_page_draws_its_timeline_and_logs_nothing(opened: Callable[..., Opened], tmp_path: Path) -> None:
    rendered(tmp_path / "run", samples.elections(seconds=24, overlap=1.5))
    seen = opened(tmp_path / "run" / "report.html")
    assert seen.console == []
    assert drawn(seen.document, "definite") == 3
    assert drawn(seen.document, "overlap") == 1
    assert drawn(seen.document, "fault") == 2
    assert seen.document.count('class="confirm"') >= 3


def test_a_server_has_a_lane_of_what_was_done_to_it(opened: Callable[..., Opened], tmp_path: Path) -> None:
    killed = samples.InjectedFault(id=1, f="kill", undo="restart", start=3, end=6, nodes=("s1",))
    rendered(tmp_path / "run", samples.healthy(seconds=10, faults=(killed,)))
    seen = opened(tmp_path / "run" / "report.html")
    assert seen.console == []
    assert "s1, a server" in seen.document
    assert "n1, a server" not in seen.document
    assert drawn(seen.document, "state-down") == 1


def test_an_error_in_a_page_would_be_seen(opened: Callable[..., Opened], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<script>missing.name</script>")
    assert "missing is not defined" in opened(page).console[0]


def test_stepping_to_an_event_zooms_to_it_and_says_what_it_is(opened: Callable[..., Opened], tmp_path: Path) -> None:
    rendered(tmp_path / "run", samples.elections(seconds=24, overlap=1.5))
    step = "document.getElementById('timeline').dispatchEvent(new KeyboardEvent('keydown', {key: 'n'}))"
    seen = opened(tmp_path / "run" / "report.html", step)
    assert seen.console == []
    chosen = re.search(r'id="chosen"[^>]*>([^<]*)<', seen.document)
    assert chosen is not None
    assert chosen[1].startswith("partition #0, isolated-leader: n1; 8 links; began at 3.000 s")
    assert 'class="overview-window"' in seen.document


GESTURES = """
const root = document.getElementById('timeline'), box = root.getBoundingClientRect(), said = [];
root.setPointerCapture = () => {};  // a made-up pointer cannot be captured
const at = (kind, share, more) => {
  const [x, y] = [box.left + 104 + share * (box.width - 118), box.top + 170];
  const event = {bubbles: true, cancelable: true, button: 0, clientX: x, clientY: y, ...more};
  root.dispatchEvent(kind === 'wheel' ? new WheelEvent(kind, event) : new PointerEvent(kind, event));
};
const shows = () => {
  const words = [...root.querySelectorAll('text.sub')].map((text) => text.textContent);
  said.push(words.filter((word) => word.endsWith(' s')).join(','));
};
shows();
at('pointerdown', 0.24); at('pointermove', 0.51); at('pointerup', 0.51); shows();
at('wheel', 0.5, {ctrlKey: true, deltaY: 250}); shows();
document.querySelector('[data-do=all]').click(); shows();
const bar = root.querySelector('.definite'), place = bar.getBoundingClientRect();
bar.dispatchEvent(new PointerEvent('pointermove', {bubbles: true, clientX: place.left + 5, clientY: place.top + 5}));
said.push(document.querySelector('.tip').textContent.replaceAll('\\n', ' / '));
document.title = said.join(' | ');
"""


def test_dragging_and_the_wheel_zoom_and_hovering_shows_a_tooltip(
    opened: Callable[..., Opened], tmp_path: Path
) -> None:
    rendered(tmp_path / "run", samples.healthy(seconds=8))
    seen = opened(tmp_path / "run" / "report.html", GESTURES)
    assert seen.console == []
    title = re.search(r"<title>([^<]*)", seen.document)
    assert title is not None
    whole, dragged, wheeled, again, tip = title[1].split(" | ")
    assert (whole.split(",")[0], whole.split(",")[-1]) == ("0 s", "8 s")
    assert (dragged.split(",")[0], dragged.split(",")[-1]) == ("2.0 s", "4.0 s")
    assert float(wheeled.split(",")[0][:-2]) < 1
    assert again == whole
    assert "n1 leads, term 1" in tip


def test_hostile_words_do_not_run(opened: Callable[..., Opened], tmp_path: Path) -> None:
    rendered(tmp_path / "run", samples.healthy(seconds=3), system=HOSTILE, command=HOSTILE)
    seen = opened(tmp_path / "run" / "report.html")
    assert seen.console == []
    assert "<title>pwned</title>" not in seen.document


def test_hostile_words_would_run_if_they_were_not_escaped(opened: Callable[..., Opened], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<title>calm</title><script>{HOSTILE}")
    assert "<title>pwned</title>" in opened(page).document


def test_the_list_of_runs_sorts_and_filters(opened: Callable[..., Opened], tmp_path: Path) -> None:
    store_run(tmp_path / "store", "raft", "20251123T190000Z-7")
    store_run(tmp_path / "store", "bully", "20251122T190000Z-7", "invalid")
    page = reports.index(tmp_path / "store")
    by_system = "document.querySelectorAll('#runs th button')[2].click();"
    sorted_page = opened(page, by_system)
    assert sorted_page.console == []
    assert sorted_page.document.index("bully/2025") < sorted_page.document.index("raft/2025")
    assert opened(page).document.index("raft/2025") < opened(page).document.index("bully/2025")
    find = "const f = document.getElementById('find'); f.value = 'raft 7'; f.dispatchEvent(new Event('input'))"
    found = opened(page, find)
    assert re.findall(r'<tr data-verdict="(\w+)" hidden', found.document) == ["invalid"]
    assert "1 of 2 shown" in found.document
