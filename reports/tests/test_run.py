from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from splitbrain import reports
from splitbrain.checkers.history import History
from splitbrain.names import GUARANTEES
from splitbrain.reports import figures, frames, page, timeline
from splitbrain.reports.tests import samples
from splitbrain.reports.tests.literal import history, until
from splitbrain.reports.tests.runs import EXPERIMENT, HOSTILE, Page, judged, rendered, stored, without_pictures

PICTURES = ["latency.png", "rates.png", "recovery.png", "terms.png", "timeline.png"]
SPLIT = samples.elections(seconds=24, overlap=1.5)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which two leaders are proven, drawn once for all who look at it."""
    directory = tmp_path_factory.mktemp("split")
    rendered(directory, SPLIT, pictures=True)
    return directory


def test_a_run_becomes_a_page_and_five_pictures_and_nothing_else(split: Path) -> None:
    assert sorted(path.name for path in split.iterdir()) == sorted(["history.jsonl", "report.html", *PICTURES])
    for name in PICTURES:
        assert (split / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_the_page_leads_with_the_verdict_and_how_to_run_it_again(split: Path) -> None:
    html = (split / "report.html").read_text()
    text = Page(html).words
    assert "raft under partition, kill: ✗ invalid" in text
    assert "Two leaders once, for at least" in text
    assert html.index("Two leaders once") < html.index(EXPERIMENT["command"]) < html.index(">Properties<")


def test_what_the_harness_noted_of_the_run_stands_beside_the_verdict(tmp_path: Path) -> None:
    html = rendered(tmp_path, samples.healthy(seconds=3), notes=["interrupted after 2 s"])
    assert html.index("Note: interrupted after 2 s") < html.index(">Properties<")


def test_the_evidence_on_the_page_is_the_history_verbatim(split: Path) -> None:
    lines = (split / "history.jsonl").read_text().splitlines()
    verdicts = judged(stored(split, SPLIT))
    evidence = verdicts["properties"]["exclusivity"]["evidence"]
    text = Page((split / "report.html").read_text()).words
    assert 2 <= len(evidence) <= 4
    for index in evidence:
        assert f"→ {index} {' '.join(lines[index].split())}" in text


def test_the_page_loads_nothing_and_links_only_to_its_own_files(split: Path) -> None:
    html = (split / "report.html").read_text()
    assert sorted(set(Page(html).loads())) == sorted(["history.jsonl", *PICTURES])
    assert not re.search(r"url\(\s*['\"]?(?!#)|@import|\bfetch\(|XMLHttpRequest|import\(", html)


def test_a_page_that_loads_from_elsewhere_would_be_seen() -> None:
    html = '<script src="https://cdn.example/x.js"></script><a href="#here">'
    assert Page(html).loads() == ["https://cdn.example/x.js"]


def test_the_page_stays_small(split: Path) -> None:
    assert (split / "report.html").stat().st_size < 1_000_000


def test_every_word_of_a_hostile_run_stays_a_word(tmp_path: Path) -> None:
    truth = samples.elections(count=3, seconds=12)
    harmless, hostile = tmp_path / "harmless", tmp_path / "hostile"
    calm = Page(rendered(harmless, truth))
    renamed = replace(
        truth,
        nodes=(HOSTILE, *truth.nodes[1:]),
        reigns=tuple(replace(led, node=HOSTILE) if led.node == "n1" else led for led in truth.reigns),
        faults=tuple(replace(fault, nodes=(HOSTILE,), links=(), shape=HOSTILE) for fault in truth.faults),
    )
    words: dict[str, Any] = {
        "system": HOSTILE,
        "nemesis": [HOSTILE],
        "command": HOSTILE,
        "notes": [HOSTILE],
        "versions": {HOSTILE: HOSTILE},
    }
    page_of = Page(rendered(hostile, renamed, **words))
    for tag in ("script", "img"):
        assert page_of.count(tag) == calm.count(tag)
    assert not any("onerror" in attrs for _, attrs in page_of.tags)
    assert HOSTILE in "".join(page_of.text)


def test_unescaped_the_hostile_name_would_be_a_script_of_its_own() -> None:
    naked = Page(f"<h1>{HOSTILE}</h1>")
    assert naked.count("script") == 1
    assert any("onerror" in attrs for _, attrs in naked.tags)


def failing(**_: Any) -> Any:
    raise ArithmeticError("no ink")


def test_a_picture_that_fails_takes_nothing_with_it_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "terms.png").write_bytes(b"of an earlier report")
    monkeypatch.setattr(figures, "terms", failing)
    text = Page(rendered(tmp_path, samples.healthy(seconds=3), pictures=True)).words
    assert "The figure terms.png could not be made: ArithmeticError: no ink" in text
    assert text.count("could not be made") == 1
    assert not (tmp_path / "terms.png").exists()  # the one of the earlier report would pass for one of this
    assert all((tmp_path / name).exists() for name in PICTURES if name != "terms.png")


@pytest.mark.parametrize(("module", "name"), [(frames, "gather"), (timeline, "data"), (page, "facts"), (page, "made")])
def test_whatever_part_fails_the_verdict_is_on_the_page(
    module: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise ArithmeticError("no ink")

    monkeypatch.setattr(module, name, fails)
    text = Page(rendered(tmp_path, samples.healthy(seconds=3))).words
    assert "raft under partition, kill: ? unknown" in text
    assert "could not be made: ArithmeticError: no ink" in text


def test_a_run_that_stored_next_to_nothing_still_has_a_page(tmp_path: Path) -> None:
    with without_pictures():
        written = reports.render(history(until(5)), {}, {}, {}, tmp_path)
    assert written[0].name == "report.html"
    text = Page((tmp_path / "report.html").read_text()).words
    assert "a run: ? unknown" in text
    assert "No fault was injected." in text
    assert "could not be made" not in text


@pytest.mark.parametrize(
    "truth",
    [
        samples.leaderless(seconds=3),
        samples.keyless(samples.elections(3, 12)),
        samples.healthy(15, 3),
    ],
    ids=["leaderless", "keyless", "fifteen"],
)
def test_every_part_can_be_drawn_of_any_kind_of_run(truth: samples.Truth, tmp_path: Path) -> None:
    text = Page(rendered(tmp_path, truth, pictures=True)).words
    assert "could not be made" not in text
    assert all((tmp_path / name).exists() for name in PICTURES)


def test_every_guarantee_is_described_once(tmp_path: Path) -> None:
    html = rendered(tmp_path, samples.healthy(seconds=3))
    assert [html.count(f"<dd>{words}</dd>") for words in GUARANTEES.values()] == [1] * len(GUARANTEES)


def test_a_report_made_again_is_the_same(split: Path, tmp_path: Path) -> None:
    assert rendered(tmp_path, SPLIT, pictures=True) == (split / "report.html").read_text()
    assert all((tmp_path / name).read_bytes() == (split / name).read_bytes() for name in PICTURES)


def test_an_adversarial_run_of_many_short_reigns_stays_small(tmp_path: Path) -> None:
    entries = [
        {
            "index": 2 * n + half,
            "time": 2 * n + half,
            "process": n % 5,
            "type": kind,
            "f": "observe",
            "node": f"n{n % 5}",
        }
        | ({"value": {"leading": True, "leader": f"n{n % 5}", "term": n, "reign": f"r{n}"}} if half else {})
        for n in range(20_000)
        for half, kind in enumerate(("invoke", "ok"))
    ]
    run = History.from_entries(entries)
    with without_pictures():
        reports.render(run, {"verdict": "valid"}, {}, {}, tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert len(html) < 2_000_000
    assert "17,000 are omitted." in Page(html).words
    assert json.loads(html.split('id="run">')[1].split("</script>")[0])["nodes"] == ["n0", "n1", "n2", "n3", "n4"]
